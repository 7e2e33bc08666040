"""Energy and specific heat of configurations, simulated or drawn from a decoder.

Axes: S samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap


class Thermodynamics(NamedTuple):
    """Of one parameter point, per site."""

    energy: Estimate
    specific_heat: Estimate
    """N (<e^2> - <e>^2) / T^2 with the energy e per site."""


def thermodynamics(
    energy_S: Array,
    sites: int,
    temperature: float,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Thermodynamics:
    """Mean energy and specific heat, with errors from resampling chains.

    Args:
        energy_S: energy per site of each sample.
        sites: N.
        temperature: T, in the units of the energy.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.
    """
    # Taken off before squaring: the variance is a small difference otherwise.
    middle = float(energy_S.mean())
    shifted_S = energy_S - middle

    def statistic(mean_F: Array) -> Array:
        return np.array([middle + mean_F[0], sites * (mean_F[1] - mean_F[0] ** 2) / temperature**2])

    energy, heat = bootstrap(statistic, np.stack([shifted_S, shifted_S**2], axis=1), chains, rng, resamples)
    return Thermodynamics(energy, heat)
