"""Many independent Markov chains of one parameter point: what a system's ``Simulation`` must do."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Simulation(Protocol):
    """Many independent Markov chains of one spec; ``simulators.chains.ChainSimulation`` has most of it ready.

    ``Simulation(spec, hot, algorithm, rng)``: chain r starts at infinite temperature where ``hot[r]``, else in one
    of the degenerate ordered states, drawn at random.  The constructor ends ready to thermalize: stripes and the
    like, which local moves cannot shed, are gone.  All randomness comes from ``rng``.
    """

    kinds: ClassVar[Mapping[str, Any]]
    """Algorithm -> its updates, with ``nanoseconds``, the cost of one site and sweep, as a class constant.

    ``numerics``, numbers about rounding and the like that go into the certificate, may be left out.
    """

    def __init__(self, spec: Any, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None: ...

    def advance(self, sweeps: int) -> None:
        """Run the chains; returns to the interpreter at least every two seconds, so that it can be interrupted."""

    def configurations(self) -> NDArray[Any]:
        """(chains, channels, rows, columns) states as they are now; int8 or float32, a copy."""

    def measure(self) -> dict[str, NDArray[np.float64]]:
        """``energy``, every order parameter and every further column, each (chains,) and per site.

        A system with ``MEASURED_ON_REQUEST`` also has ``measure_on_request(requests)``.  It returns the columns of the
        requested measurements, and each second input under the name of its measurement, (chains, channels, rows,
        columns).
        """

    @property
    def acceptance(self) -> float:
        """Accepted over proposed moves since the start, of those that are counted; 0 before the first of them."""

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains on one core, from a table and counts, never from a clock."""

    def reduced_energy(self, spec: Any) -> NDArray[np.float64]:
        """(chains,) -ln of the unnormalized weight of the current states under another spec."""

    def exchange(self, other: Self, chosen: NDArray[np.bool_]) -> None:
        """Swap the states of the chosen chains with those of a simulation whose spec differs in ``ladder`` alone."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all arrays that a sweep changes."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state``: the rest of the run is the same, bit for bit."""
