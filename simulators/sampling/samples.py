"""Samples of one parameter point, as a sampler returns them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.sampling.certificate import Certificate


@dataclass(frozen=True)
class PointSamples:
    """S samples of one parameter point."""

    configurations: NDArray[Any]
    """(S, channels, rows, columns), or what the sampler's ``encode`` returned for them."""
    chain: NDArray[np.int32]
    """(S,) which chain; even ones started hot, odd ones ordered."""
    sweep: NDArray[np.int64]
    """(S,) sweeps since the start."""
    observables: dict[str, NDArray[np.float64]]
    """``energy``, then the other columns in the system's order, (S,) each, per site."""
    certificate: Certificate
    inputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Second inputs that the order requests, by name, (S, channels, rows, columns)."""
