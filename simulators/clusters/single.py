"""Single-cluster updates (Wolff, Phys. Rev. Lett. 62, 361 (1989)) of any spins: how many clusters make a sweep.

Axes: R chains, I rows, J columns, V words of a generator's state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.chains import Arrays, RowMajor, cut, few_chains

WARM_UP_SWEEPS = 8
"""Sweeps before those over which clusters are counted, and the number of these."""
SITES_PER_CALL = 2**22
"""Limit of one kernel call, well below a second of work: between calls Python can be interrupted."""


def clusters_per_sweep(grow: Callable[[int], float], sites: int) -> int:
    """How many single clusters of a chain visit about as many sites as it has.

    The number is fixed before the run: one cluster keeps the distribution, and so does any fixed number of them.
    Stopping as soon as N sites have been visited would not: which state is the last one of a sweep would then depend
    on the sizes of the clusters.

    Args:
        grow: grows so many clusters in every chain, and returns how many sites of a chain they had, on average;
            at least one per cluster.
        sites: sites N of a chain.

    Returns:
        N over the mean size of the clusters, those of the first ``WARM_UP_SWEEPS`` left out; at least 1.
    """
    warm_up = _grow_sweeps(grow, sites, clusters=1)
    counted = _grow_sweeps(grow, sites, warm_up.clusters)
    return max(1, round(sites * counted.grown / counted.visited))


class _Grown(NamedTuple):
    """Clusters of one chain over some sweeps."""

    visited: float
    """Sites of all clusters."""
    grown: int
    """Number of clusters."""
    clusters: int
    """How many to grow in the next call."""


def _grow_sweeps(grow: Callable[[int], float], sites: int, clusters: int) -> _Grown:
    """Grow clusters until they have visited as many sites as ``WARM_UP_SWEEPS`` sweeps do, ``clusters`` at first."""
    visited, grown = 0.0, 0
    while visited < WARM_UP_SWEEPS * sites:
        visited += grow(clusters)
        grown += clusters
        # Few calls where clusters are small, and not many sweeps at once where they are large.
        clusters = max(1, min(2 * clusters, round(sites * grown / visited)))
    return _Grown(visited, grown, clusters)


class SingleClusters(RowMajor):
    """Wolff updates: a sweep is a fixed number of single clusters in every chain, as ``clusters_per_sweep`` finds it
    on a copy of the start.

    A subclass defines ``prepare``, ``grow`` and ``nanoseconds``.
    """

    def __init__(self, spec: Any, states_RIJ: NDArray[Any], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self.prepare(spec)
        copy_RIJ, state_RV = self.states_RIJ.copy(), self.state_RV.copy()

        def grow(clusters: int) -> float:
            return self.grow(copy_RIJ, state_RV, clusters)[0] / len(copy_RIJ)

        self.clusters_1 = np.array([clusters_per_sweep(grow, copy_RIJ[0].size)], dtype=np.int64)

    def prepare(self, spec: Any) -> None:
        """Make what ``grow`` needs, once."""

    def grow(self, states_RIJ: NDArray[Any], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        """Turn ``clusters`` clusters of every chain, in place; returns sites visited and sites turned, over all chains.

        At least one site is visited per cluster.
        """
        raise NotImplementedError

    def advance(self, sweeps: int) -> None:
        """Grow ``sweeps`` times the fixed number of clusters in every chain."""
        each = int(self.clusters_1[0])
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, SITES_PER_CALL):
            for part in cut(sweeps * each, SITES_PER_CALL * each // states_RIJ.size):
                self.counts_2[0] += self.grow(states_RIJ, state_RV, part)[1]
        self.counts_2[1] += sweeps * self.states_RIJ.size

    def arrays(self) -> Arrays:
        return super().arrays() | {"clusters": self.clusters_1}
