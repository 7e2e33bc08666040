"""Many independent Markov chains of one spec: what every system's simulation shares.

A system's ``Simulation`` derives from ``ChainSimulation`` and names, for each algorithm, the class of its updates.
Those hold all chains in the layout that the algorithm is fastest in: ``RowMajor`` one lattice after the other, for
clusters; ``Lanes`` with the same site of several chains side by side, for vector instructions.

Axes: R chains, I rows, J columns; G groups of K lanes, R <= G K, chain r in lane r % K of group r // K.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from simulators.rng.lanes import streams
from simulators.rng.sfc64 import generators

Arrays = dict[str, NDArray[Any]]


class Updates(Protocol):
    """One algorithm on all chains of a spec.

    ``Updates(spec, states_RIJ, rng)`` copies the states; all its randomness comes from ``rng``.
    """

    def __init__(self, spec: Any, states_RIJ: NDArray[Any], rng: np.random.Generator) -> None: ...

    def advance(self, sweeps: int) -> None:
        """Update every chain; a run cut in two is the same run, bit for bit."""

    def states(self) -> NDArray[Any]:
        """(R, I, J), a copy."""

    def arrays(self) -> Arrays:
        """All that a sweep changes, the very arrays: states, random streams, counters."""

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        """Swap the states, not the random streams, of the chosen chains with those of ``other``."""

    @property
    def acceptance(self) -> float:
        """Accepted over proposed moves; for cluster updates, sites changed per site and sweep."""

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains on one core, from a table and counts, never from a clock."""


class CountedUpdates:
    """Updates that count their moves in ``counts_2``: accepted, proposed."""

    nanoseconds: ClassVar[float]
    """Measured cost of one site and sweep."""
    counts_2: NDArray[np.int64]

    @property
    def acceptance(self) -> float:
        return float(self.counts_2[0] / max(1, self.counts_2[1]))


class RowMajor(CountedUpdates):
    """Chains as (R, I, J) states, every chain with an SFC64 generator of its own.

    A subclass advances ``states_RIJ`` with ``state_RV`` and adds to ``counts_2``.
    """

    def __init__(self, spec: Any, states_RIJ: NDArray[Any], rng: np.random.Generator) -> None:
        self.spec = spec
        self.states_RIJ = states_RIJ.copy()
        self.state_RV = generators(rng, len(states_RIJ))
        self.counts_2 = np.zeros(2, dtype=np.int64)

    def states(self) -> NDArray[Any]:
        return self.states_RIJ.copy()

    def arrays(self) -> Arrays:
        return {"states": self.states_RIJ, "generators": self.state_RV, "counts": self.counts_2}

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        swap(self.states_RIJ, other.states_RIJ, chosen_R)

    @property
    def cost(self) -> float:
        return self.nanoseconds * self.states_RIJ.size


class Lanes(CountedUpdates):
    """Chains as (G, I, J, K) states, every group with the random words of a ``simulators.rng.lanes`` stream.

    A subclass sets ``lanes`` and advances ``states_GIJK`` with ``stream_GS``, and adds to ``counts_2`` the moves of the
    lanes that hold a chain.  Lanes beyond the last chain repeat the last chain's start.
    """

    lanes: ClassVar[int] = 64

    def __init__(self, spec: Any, states_RIJ: NDArray[Any], rng: np.random.Generator) -> None:
        self.spec = spec
        self.chains = len(states_RIJ)
        groups = -(-self.chains // self.lanes)
        padded = np.minimum(np.arange(groups * self.lanes), self.chains - 1)
        grouped = states_RIJ[padded].reshape(groups, self.lanes, *states_RIJ.shape[1:])
        self.states_GIJK = np.ascontiguousarray(np.moveaxis(grouped, 1, -1))
        self.stream_GS = streams(rng, groups)
        self.counts_2 = np.zeros(2, dtype=np.int64)

    def states(self) -> NDArray[Any]:
        rows, columns = self.states_GIJK.shape[1:3]
        return np.moveaxis(self.states_GIJK, -1, 1).reshape(-1, rows, columns)[: self.chains].copy()

    def arrays(self) -> Arrays:
        return {"states": self.states_GIJK, "streams": self.stream_GS, "counts": self.counts_2}

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        group, lane = np.divmod(np.flatnonzero(chosen_R), self.lanes)
        swap(self.states_GIJK, other.states_GIJK, (group, ..., lane))

    @property
    def cost(self) -> float:
        return self.nanoseconds * self.states_GIJK.size


class ChainSimulation:
    """The simulation of one spec by one algorithm.

    A subclass sets ``kinds`` and defines ``start`` and ``observables``.

    Raises:
        ValueError: an algorithm that is not offered, or no chains.
    """

    kinds: ClassVar[Mapping[str, type[Updates]]]
    """Algorithm -> its updates."""

    def __init__(self, spec: Any, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        if algorithm not in self.kinds:
            raise ValueError(f"algorithm must be one of {', '.join(self.kinds)}, got {algorithm!r}")
        if hot.ndim != 1 or len(hot) == 0:
            raise ValueError(f"hot must be a vector with one entry per chain, got shape {hot.shape}")
        self.spec = spec
        self.updates = self.kinds[algorithm](spec, self.start(spec, hot, rng), rng)

    @staticmethod
    def start(spec: Any, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[Any]:
        """(R, I, J) starts, free of stripes and the like that local moves cannot shed."""
        raise NotImplementedError

    def observables(self) -> Arrays:
        """``energy`` and everything else that is measured, (R,) each and per site."""
        raise NotImplementedError

    def advance(self, sweeps: int) -> None:
        """Sweep every chain; a run cut in two is the same run, bit for bit."""
        if sweeps < 0:
            raise ValueError(f"sweeps must not be negative, got {sweeps}")
        self.updates.advance(sweeps)

    def configurations(self) -> NDArray[Any]:
        """(R, 1, I, J) states."""
        return self.updates.states()[:, None]

    def measure(self) -> dict[str, NDArray[np.float64]]:
        """``observables`` of the chains as they are now."""
        return self.observables()

    def reduced_energy(self, spec: Any) -> NDArray[np.float64]:
        """(R,) -ln of the unnormalized weight that the current states have under ``spec``.

        ``spec`` may differ in the temperature alone; a system without one overrides this.
        """
        sites = int(np.prod(spec.shape))
        return self.measure()["energy"] * (sites / spec.temperature)

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        """Swap the states of the chosen chains with those of a simulation that differs in its spec alone."""
        self.updates.exchange(other.updates, chosen_R)

    @property
    def acceptance(self) -> float:
        """Accepted over proposed moves; for cluster updates, sites changed per site and sweep."""
        return self.updates.acceptance

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains."""
        return self.updates.cost

    @property
    def numerics(self) -> dict[str, float]:
        """Numbers on rounding and the like for the certificate."""
        return {}

    def state(self) -> Arrays:
        """Copies of all that a sweep changes."""
        return {name: array.copy() for name, array in self.updates.arrays().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what ``state`` gave: the rest of the run is the same, bit for bit.

        Raises:
            ValueError: an array is missing or of another shape.
        """
        for name, array in self.updates.arrays().items():
            if name not in state or state[name].shape != array.shape:
                raise ValueError(f"state must have {name} of shape {array.shape}")
            array[...] = state[name]


def swap(states: NDArray[Any], others: NDArray[Any], index: Any) -> None:
    """Swap the entries of two arrays at ``index``, a mask or arrays of positions."""
    entries = states[index]
    states[index] = others[index]
    others[index] = entries


def cut(sweeps: int, limit: int) -> list[int]:
    """Parts of at most ``limit`` sweeps, at least one each, that add up to ``sweeps``.

    One part is one kernel call, well below a second of work: between calls Python can be interrupted.
    """
    limit = max(1, limit)
    return [limit] * (sweeps // limit) + ([sweeps % limit] if sweeps % limit else [])


def few_chains(
    states_RIJ: NDArray[Any], state_RV: NDArray[np.uint64], limit: int
) -> Iterator[tuple[NDArray[Any], NDArray[np.uint64]]]:
    """Chains and their generators in groups of at most ``limit`` sites, one chain at least.

    Chains have generators of their own, so some may go ahead of the others.
    """
    few = max(1, limit // states_RIJ[0].size)
    for first in range(0, len(states_RIJ), few):
        yield states_RIJ[first : first + few], state_RV[first : first + few]
