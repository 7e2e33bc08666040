"""Swendsen-Wang updates of spins +-1, with a field, for ferro- and antiferromagnets; spins 0 take no part.

Bonds follow Fortuin and Kasteleyn: neighbours that satisfy the coupling J are joined with probability
1 - exp(-2 |J| / T) (Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987)).  On a lattice of even size the
antiferromagnet is a ferromagnet of staggered spins, so one rule serves both signs.  The field is not in the bonds:
turning a whole cluster of magnetization M over costs -2 h M, and the cluster takes its direction with the heat-bath
probability of that, which is 1/2 without a field.

Why it is fast: bonds of a whole row are compared with 16 random bits each, many at a time, and only the one bond in
2^16 that these don't decide takes 64 bits more; along a row, clusters are runs and need no search; of the bonds
between two rows, those that join the same two runs again are left out without a branch.

Axes: R chains, I rows, J columns, N = I J sites of a chain, V words of a generator's state, X random words.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import ABOVE_CHUNKS, CHUNK_BITS, ONE, fill_words, sfc64, uniform

Scratch = tuple[
    NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int8], NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint16]
]


def bond_threshold(exponent: float) -> np.uint64:
    """2^64 (1 - exp(-exponent)), the threshold of random words below which a bond of weight exp(exponent) closes."""
    return np.uint64(min(int(-math.expm1(-exponent) * 2**64), 2**64 - 1))


@njit(inline="always")
def root(parent_N: NDArray[np.int32], site: int) -> int:
    """The smallest site known to be in the cluster; shortens the path on the way."""
    while parent_N[site] != site:
        parent_N[site] = parent_N[parent_N[site]]
        site = parent_N[site]
    return site


@njit(inline="always")
def join(parent_N: NDArray[np.int32], site: int, other_site: int) -> None:
    """Make one cluster of two."""
    first, second = root(parent_N, site), root(parent_N, other_site)
    if first < second:
        parent_N[second] = first
    else:
        parent_N[first] = second


@njit(cache=True, nogil=True)
def close_bonds(
    spin_J: NDArray[np.int8],
    neighbour_J: NDArray[np.int8],
    chunk_J: NDArray[np.uint16],
    satisfied: int,
    bond: np.uint64,
    state_V: NDArray[np.uint64],
    closed_J: NDArray[np.uint8],
) -> None:
    """Which of the bonds between ``spin_J`` and ``neighbour_J`` are closed, each with random bits of its own.

    The 16 bits of a chunk decide; where they equal the first 16 bits of the threshold, a further word does.
    """
    first, product = np.uint16(bond >> ABOVE_CHUNKS), np.int8(satisfied)
    tie = False
    for j in range(len(spin_J)):
        closed_J[j] = (np.int8(spin_J[j] * neighbour_J[j]) == product) & (chunk_J[j] < first)
        tie = tie | (chunk_J[j] == first)
    if tie:
        for j in range(len(spin_J)):
            if chunk_J[j] == first and spin_J[j] * neighbour_J[j] == product:
                closed_J[j] = sfc64(state_V) < bond << CHUNK_BITS


@njit(cache=True, nogil=True)
def join_rows(
    parent_N: NDArray[np.int32],
    right_N: NDArray[np.uint8],
    below_N: NDArray[np.uint8],
    upper: int,
    lower: int,
    linked_J: NDArray[np.int32],
) -> None:
    """Join the clusters of two rows, which begin at sites ``upper`` and ``lower``, along their closed bonds.

    Args:
        parent_N: of every site, another site of its cluster, a smaller one except for the smallest.
        right_N, below_N: 1 where the bond of a site to its right, or to the row below, is closed.
        linked_J: scratch of one row and one more.
    """
    linked_J[0] = 0
    links = np.int64(below_N[upper])
    for j in range(1, len(linked_J) - 1):
        linked_J[links] = j
        joined = below_N[upper + j - 1] & right_N[upper + j - 1] & right_N[lower + j - 1]
        links += np.int64(below_N[upper + j] & (joined ^ np.uint8(1)))
    for k in range(links):
        first = root(parent_N, upper + linked_J[k])
        # Mostly the start of a run that is its own root still, so look before searching.
        second = parent_N[lower + linked_J[k]]
        if parent_N[second] != second:
            second = root(parent_N, second)
        parent_N[max(first, second)] = min(first, second)


@njit(cache=True, nogil=True)
def join_row(
    parent_N: NDArray[np.int32],
    right_N: NDArray[np.uint8],
    below_N: NDArray[np.uint8],
    i: int,
    size: int,
    linked_J: NDArray[np.int32],
) -> None:
    """Join the sites of row i among each other and to the row above, the last row also to the first one.

    Args:
        parent_N: done for the rows above.
        right_N, below_N: as in ``join_rows``, up to this row.
        i, size: row, and how many there are.
        linked_J: scratch, (size + 1,).
    """
    first, end = i * size, (i + 1) * size
    start = first
    parent_N[first] = first
    for n in range(first + 1, end):
        start = start if right_N[n - 1] else n
        parent_N[n] = start
    if right_N[end - 1]:
        join(parent_N, first, end - 1)
    if i > 0:
        join_rows(parent_N, right_N, below_N, first - size, first, linked_J)
    if i == size - 1:
        join_rows(parent_N, right_N, below_N, first, 0, linked_J)


@njit(cache=True, nogil=True)
def toss(
    parent_N: NDArray[np.int32], state_V: NDArray[np.uint64], words_X: NDArray[np.uint64], turn_N: NDArray[np.int8]
) -> None:
    """Whether each site is turned, 1 or 0, as its cluster, with probability 1/2; (N + 63) // 64 words of scratch.

    ``parent_N`` points along closed bonds; in the end to the smallest site of the cluster.
    """
    fill_words(words_X, state_V)
    for n in range(len(parent_N)):
        # A root is the smallest site of its cluster, so the parent's own parent is its root already.
        parent = parent_N[parent_N[n]]
        parent_N[n] = parent
        turn_N[n] = np.int8((words_X[n >> 6] >> np.uint64(n & 63)) & ONE) if parent == n else turn_N[parent]


@njit(inline="always")
def new_scratch(size: int) -> Scratch:
    """Work arrays of ``find_clusters``, allocated once: on small lattices allocation takes longer than an update."""
    words_X = np.empty((size + 1) // 2, dtype=np.uint64)
    return (
        np.empty(size * size, dtype=np.uint8),
        np.empty(size * size, dtype=np.uint8),
        np.empty(size, dtype=np.int8),
        np.empty(size + 1, dtype=np.int32),
        words_X,
        words_X.view(np.uint16),
    )


@njit(cache=True, nogil=True)
def find_clusters(
    spins_N: NDArray[np.int8],
    state_V: NDArray[np.uint64],
    bond: np.uint64,
    satisfied: int,
    size: int,
    parent_N: NDArray[np.int32],
    scratch: Scratch,
) -> None:
    """Close bonds at random and join their sites, so that following ``parent_N`` leads to the smallest of a cluster."""
    sites = size * size
    right_N, below_N, next_J, linked_J, words_X, chunks = scratch
    for i in range(size):
        first, end = i * size, (i + 1) * size
        below = end if end < sites else 0
        spins_J = spins_N[first:end]
        next_J[: size - 1], next_J[size - 1] = spins_J[1:], spins_J[0]
        fill_words(words_X, state_V)
        close_bonds(spins_J, next_J, chunks[:size], satisfied, bond, state_V, right_N[first:end])
        below_J = spins_N[below : below + size]
        close_bonds(spins_J, below_J, chunks[size : 2 * size], satisfied, bond, state_V, below_N[first:end])
        join_row(parent_N, right_N, below_N, i, size, linked_J)


@njit(cache=True, nogil=True)
def decide(
    spins_N: NDArray[np.int8],
    parent_N: NDArray[np.int32],
    state_V: NDArray[np.uint64],
    field: float,
    temperature: float,
    turn_N: NDArray[np.int8],
    words_X: NDArray[np.uint64],
) -> None:
    """Whether each site is turned over, 1 or 0: as its cluster, with the heat-bath probability in the field."""
    sites = len(spins_N)
    if field == 0.0:
        toss(parent_N, state_V, words_X, turn_N)
        return
    moment_N = np.zeros(sites, dtype=np.int32)
    for n in range(sites):
        parent_N[n] = parent_N[parent_N[n]]
        moment_N[parent_N[n]] += spins_N[n]
    for n in range(sites):
        if parent_N[n] == n:
            stay = 1.0 / (1.0 + np.exp(2.0 * field * moment_N[n] / temperature))
            turn_N[n] = uniform(state_V) >= stay
        else:
            turn_N[n] = turn_N[parent_N[n]]


@njit(cache=True, nogil=True)
def swendsen_wang(
    spins_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    bond: np.uint64,
    satisfied: int,
    field: float,
    temperature: float,
    updates: int,
) -> int:
    """Update every chain ``updates`` times, in place; returns how many spins +-1 turned over.

    Args:
        spins_RIJ: R chains of I x J spins +-1 or 0, I = J >= 2, even if ``satisfied`` is -1.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        bond: ``bond_threshold`` of 2 |J| / T, for neighbours whose product is ``satisfied``.
        satisfied: product of neighbours that the coupling prefers, the sign of J.
        field: h of H = ... + h sum s.
        temperature: T.
        updates: cluster updates of each chain.
    """
    chains, size, _ = spins_RIJ.shape
    sites = size * size
    parent_N, turn_N = np.empty(sites, dtype=np.int32), np.empty(sites, dtype=np.int8)
    words_X, scratch = np.empty((sites + 63) // 64, dtype=np.uint64), new_scratch(size)
    turned = 0
    for r in range(chains):
        spins_N, state_V = spins_RIJ[r].reshape(sites), state_RV[r]
        for _ in range(updates):
            find_clusters(spins_N, state_V, bond, satisfied, size, parent_N, scratch)
            decide(spins_N, parent_N, state_V, field, temperature, turn_N, words_X)
            for n in range(sites):
                turned += turn_N[n] & (spins_N[n] & np.int8(1))
                spins_N[n] = np.int8(spins_N[n] * np.int8(1 - 2 * turn_N[n]))
    return turned
