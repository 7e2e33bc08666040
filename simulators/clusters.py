"""Cluster updates of Ising spins: Swendsen-Wang with a field, for ferro- and antiferromagnets.

Bonds follow Fortuin and Kasteleyn: neighbours that satisfy the coupling J are joined with probability
1 - exp(-2 |J| / T) (Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987)).  On a lattice of even size the
antiferromagnet is a ferromagnet of staggered spins, so one rule serves both signs.  The field is not in the bonds:
turning a whole cluster of magnetization M over costs -2 h M, and the cluster takes its direction with the heat-bath
probability of that, which is 1/2 without a field.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.multispin import sfc64

SHIFT_TO_DOUBLE = np.uint64(11)
TWO_TO_MINUS_53 = 2.0**-53


@njit(inline="always")
def root(parent_N: NDArray[np.int32], site: int) -> int:
    """The smallest site known to be in the cluster; shortens the path on the way."""
    while parent_N[site] != site:
        parent_N[site] = parent_N[parent_N[site]]
        site = parent_N[site]
    return site


@njit(inline="always")
def join(parent_N: NDArray[np.int32], one: int, other: int) -> None:
    """Make one cluster of two."""
    first, second = root(parent_N, one), root(parent_N, other)
    if first < second:
        parent_N[second] = first
    else:
        parent_N[first] = second


@njit(inline="always")
def uniform(state_V: NDArray[np.uint64]) -> float:
    """A double in [0, 1)."""
    return (sfc64(state_V) >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53


@njit(cache=True, nogil=True)
def swendsen_wang(
    spins_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    bond: float,
    satisfied: int,
    field: float,
    temperature: float,
    updates: int,
) -> int:
    """Update every chain ``updates`` times, in place; returns how many spins turned over.

    Args:
        spins_RIJ: R chains of I x J spins +-1, I = J even.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        bond: probability 1 - exp(-2 |J| / T) to join two neighbours whose product is ``satisfied``.
        satisfied: product of neighbours that the coupling prefers, the sign of J.
        field: h of H = ... + h sum s.
        temperature: T.
        updates: cluster updates of each chain.
    """
    chains, size, _ = spins_RIJ.shape
    sites = size * size
    parent_N = np.empty(sites, dtype=np.int32)
    moment_N = np.empty(sites, dtype=np.int32)
    turn_N = np.empty(sites, dtype=np.int8)
    turned = 0
    for r in range(chains):
        spins_N, state_V = spins_RIJ[r].reshape(sites), state_RV[r]
        for _ in range(updates):
            for n in range(sites):
                parent_N[n], moment_N[n] = n, 0
            for i in range(size):
                for n in range(i * size, (i + 1) * size):
                    right = n + 1 if n + 1 < (i + 1) * size else n + 1 - size
                    below = n + size if n + size < sites else n + size - sites
                    if spins_N[n] == satisfied * spins_N[right] and uniform(state_V) < bond:
                        join(parent_N, n, right)
                    if spins_N[n] == satisfied * spins_N[below] and uniform(state_V) < bond:
                        join(parent_N, n, below)
            # A root is the smallest site of its cluster, so every parent has been resolved before it is asked.
            for n in range(sites):
                parent_N[n] = parent_N[parent_N[n]]
                moment_N[parent_N[n]] += spins_N[n]
            for n in range(sites):
                if parent_N[n] == n:
                    stay = 0.5
                    if field != 0.0:
                        stay = 1.0 / (1.0 + np.exp(2.0 * field * moment_N[n] / temperature))
                    turn_N[n] = uniform(state_V) >= stay
                turn = turn_N[parent_N[n]]
                spins_N[n] = spins_N[n] * np.int8(1 - 2 * turn)
                turned += turn
    return turned
