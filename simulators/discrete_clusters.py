"""Cluster updates of spins with few values: Swendsen-Wang by reflections, and both kinds for Potts spins.

Potts: equal neighbours are joined with probability 1 - exp(-J / T), and a cluster takes any value, all equally likely
(Fortuin and Kasteleyn, Physica 57 (1972) 536; Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987)), or a single one
grown from a random site takes one of the others (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

Reflections (clock; they serve the antiferromagnetic Potts model, too, as exchanges of pairs of values, Wang, Swendsen
and Kotecky, Phys. Rev. Lett. 63, 109 (1989)): bonds as in ``simulators.wolff``, for a reflection drawn anew for each
update, and every cluster is reflected with probability 1/2.

Probabilities are exact to 2^-64: 16 bits decide, and only where they equal the first ones of the threshold a further
word does.

Axes: R chains, N = L^2 sites of a chain, K reflections, S values, V words of a generator's state.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.chains import RowMajor, cut
from simulators.clusters import ABOVE_CHUNKS, CHUNK_BITS, fill_words, join, join_rows
from simulators.multispin import ONE, sfc64
from simulators.wolff import SITES_PER_CALL, Reflections, few_chains, reflections

HALF_WORD, LOWER_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
CHUNK = np.uint64(0xFFFF)


def mirrors(energy_Q: NDArray[np.float64], temperature: float) -> Reflections:
    """The q reflections s -> k - s mod q of values 0 to q - 1.

    Together they take every value to every other one.

    Args:
        energy_Q: energy of a bond whose values differ by 0 to q - 1, E(d) = E(q - d).
        temperature: T, in the units of the energies.
    """
    values = np.arange(len(energy_Q))
    difference_SS = (values[:, None] - values) % len(values)
    return reflections(energy_Q[difference_SS], difference_SS.astype(np.int8), temperature, 0)


class ReflectedClusters(RowMajor):
    """Swendsen-Wang updates by ``mirrors``; as acceptance, sites changed per site and update.

    A subclass defines ``energies`` and ``nanoseconds``.
    """

    def __init__(self, spec: Any, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self._mirrors = mirrors(self.energies(spec), spec.temperature)

    @staticmethod
    def energies(spec: Any) -> NDArray[np.float64]:
        """(q,) energy of a bond by the difference of its values."""
        raise NotImplementedError

    def advance(self, sweeps: int) -> None:
        """Reflect half of the clusters of every chain, ``sweeps`` times, in a mirror drawn anew each time."""
        bonds_KSS, reflected_KS = self._mirrors.bonds_KSS, self._mirrors.reflected_KS
        size = self.states_RIJ.shape[1]
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, SITES_PER_CALL):
            states_RN = states_RIJ.reshape(len(states_RIJ), -1)
            for part in cut(sweeps, SITES_PER_CALL // states_RIJ.size):
                self.counts_2[0] += reflect_clusters(states_RN, state_RV, bonds_KSS, reflected_KS, size, part)
        self.counts_2[1] += sweeps * self.states_RIJ.size


@njit(inline="always")
def below(count: int, state_V: NDArray[np.uint64]) -> np.int64:
    """One of 0 to count - 1, count < 2^31, all equally likely (Lemire, ACM TOMACS 29 (2019) 3)."""
    uneven = np.uint64((1 << 32) % count)
    while True:
        product = (sfc64(state_V) >> HALF_WORD) * np.uint64(count)
        if (product & LOWER_HALF) >= uneven:
            return np.int64(product >> HALF_WORD)


@njit(inline="always")
def closed(chunk: np.uint16, bond: np.uint64, state_V: NDArray[np.uint64]) -> np.bool_:
    """True with the probability that ``bond`` is the threshold of."""
    leading = bond >> ABOVE_CHUNKS
    if np.uint64(chunk) != leading:
        return np.uint64(chunk) < leading
    return sfc64(state_V) < bond << CHUNK_BITS


@njit(cache=True, nogil=True)
def find_clusters(
    states_N: NDArray[np.int8],
    state_V: NDArray[np.uint64],
    bond_SS: NDArray[np.uint64],
    size: int,
    parent_N: NDArray[np.int32],
) -> None:
    """Close bonds at random, by the thresholds of their values, and set ``parent_N`` to the smallest site of each
    site's cluster; row by row like ``clusters.find_clusters``."""
    sites = size * size
    right_N, below_N = np.empty(sites, dtype=np.uint8), np.empty(sites, dtype=np.uint8)
    linked_J, words_X = np.empty(size + 1, dtype=np.int32), np.empty((size + 1) // 2, dtype=np.uint64)
    chunk_X = words_X.view(np.uint16)
    for i in range(size):
        first, end = i * size, (i + 1) * size
        down = size if end < sites else size - sites
        fill_words(words_X, state_V)
        for j in range(size):
            n = first + j
            bond_S = bond_SS[states_N[n]]
            right_N[n] = closed(chunk_X[2 * j], bond_S[states_N[n + 1 if n + 1 < end else first]], state_V)
            below_N[n] = closed(chunk_X[2 * j + 1], bond_S[states_N[n + down]], state_V)
        start = first
        parent_N[first] = first
        for n in range(first + 1, end):
            start = start if right_N[n - 1] else n
            parent_N[n] = start
        if right_N[end - 1]:
            join(parent_N, first, end - 1)
        if i > 0:
            join_rows(parent_N, right_N, below_N, first - size, first, linked_J)
    join_rows(parent_N, right_N, below_N, sites - size, 0, linked_J)
    for n in range(sites):
        # A root is the smallest site of its cluster, so every parent has been resolved before it is asked.
        parent_N[n] = parent_N[parent_N[n]]


@njit(cache=True, nogil=True)
def potts_swendsen_wang(
    states_RN: NDArray[np.int8], state_RV: NDArray[np.uint64], bond_SS: NDArray[np.uint64], size: int, updates: int
) -> int:
    """Give all clusters of every chain new values, ``updates`` times, in place; returns how many sites changed.

    Args:
        states_RN: values 0 to q - 1, row by row.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        bond_SS: ``clusters.bond_threshold`` of J / T for equal values, 0 for others.
        size: rows, and columns, at least 2.
        updates: of each chain.
    """
    chains, sites = states_RN.shape
    values, changed = len(bond_SS), 0
    parent_N, new_N = np.empty(sites, dtype=np.int32), np.empty(sites, dtype=np.int8)
    for r in range(chains):
        states_N, state_V = states_RN[r], state_RV[r]
        for _ in range(updates):
            find_clusters(states_N, state_V, bond_SS, size, parent_N)
            for n in range(sites):
                new_N[n] = below(values, state_V) if parent_N[n] == n else new_N[parent_N[n]]
                changed += new_N[n] != states_N[n]
            for n in range(sites):
                states_N[n] = new_N[n]
    return changed


@njit(cache=True, nogil=True)
def reflect_clusters(
    states_RN: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    bonds_KSS: NDArray[np.uint64],
    reflected_KS: NDArray[np.int8],
    size: int,
    updates: int,
) -> int:
    """Reflect half of the clusters of every chain, ``updates`` times, in place; returns how many sites changed.

    Args:
        states_RN, state_RV, size, updates: as in ``potts_swendsen_wang``.
        bonds_KSS, reflected_KS: as in ``wolff.Reflections``, the lowest value being 0.
    """
    chains, sites = states_RN.shape
    changed = 0
    parent_N, new_N = np.empty(sites, dtype=np.int32), np.empty(sites, dtype=np.int8)
    for r in range(chains):
        states_N, state_V = states_RN[r], state_RV[r]
        for _ in range(updates):
            choice = below(len(reflected_KS), state_V)
            reflected_S = reflected_KS[choice]
            find_clusters(states_N, state_V, bonds_KSS[choice], size, parent_N)
            for n in range(sites):
                # For a root the word's last bit, then that of its root: 1 for those that are reflected.
                new_N[n] = np.int8(sfc64(state_V) & ONE) if parent_N[n] == n else new_N[parent_N[n]]
            for n in range(sites):
                if new_N[n]:
                    changed += reflected_S[states_N[n]] != states_N[n]
                    states_N[n] = reflected_S[states_N[n]]
    return changed


@njit(cache=True, nogil=True)
def potts_wolff(
    states_RN: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    bond: np.uint64,
    values: int,
    size: int,
    clusters: int,
) -> int:
    """Grow ``clusters`` single clusters in every chain and change their value, in place; returns the sites changed.

    Args:
        states_RN, state_RV, size: as in ``potts_swendsen_wang``.
        bond: ``clusters.bond_threshold`` of J / T.
        values: q.
        clusters: of each chain.
    """
    chains, sites = states_RN.shape
    stack_N = np.empty(sites, dtype=np.int32)
    changed = 0
    for r in range(chains):
        states_N, state_V = states_RN[r], state_RV[r]
        for _ in range(clusters):
            stack_N[0] = below(sites, state_V)
            old = states_N[stack_N[0]]
            new = old + 1 + below(values - 1, state_V)
            new = new if new < values else new - values
            states_N[stack_N[0]] = new
            changed += 1
            waiting = 1
            while waiting > 0:
                waiting -= 1
                site = stack_N[waiting]
                column = site % size
                word = sfc64(state_V)
                for which in range(4):
                    if which == 0:
                        other = site + 1 if column + 1 < size else site + 1 - size
                    elif which == 1:
                        other = site - 1 if column > 0 else site - 1 + size
                    elif which == 2:
                        other = site + size if site + size < sites else site + size - sites
                    else:
                        other = site - size if site >= size else site - size + sites
                    # Sites are changed when they join, so that they don't join again.
                    chunk = np.uint16((word >> np.uint64(16 * which)) & CHUNK)
                    if states_N[other] == old and closed(chunk, bond, state_V):
                        states_N[other] = new
                        stack_N[waiting] = other
                        waiting += 1
                        changed += 1
    return changed
