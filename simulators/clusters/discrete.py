"""Cluster updates of spins with few values: Swendsen-Wang by reflections, and both kinds for Potts spins.

Potts: equal neighbours are joined with probability 1 - exp(-J / T), and a cluster takes any value, all equally likely
(Fortuin and Kasteleyn, Physica 57 (1972) 536; Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987)), or a single one
grown from a random site takes one of the others (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

Reflections, of clock spins: an update draws one, closes bonds as ``simulators.clusters.wolff`` does, and reflects every
cluster with probability 1/2.  In the antiferromagnetic Potts model they exchange pairs of values (Wang, Swendsen and
Kotecky, Phys. Rev. Lett. 63, 109 (1989)).

Probabilities are exact to 2^-64: 16 random bits decide; where they equal the first 16 bits of the threshold, a further
word does.

Why it is fast: as ``simulators.clusters.swendsen_wang``; branches depend on random numbers in rare cases only.

Axes: R chains, N = L^2 sites of a chain, K reflections, S values, V words of a generator's state.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.chains import RowMajor, cut, few_chains
from simulators.clusters.lattice import neighbour
from simulators.clusters.single import SITES_PER_CALL
from simulators.clusters.swendsen_wang import Scratch, join_row, new_scratch
from simulators.clusters.wolff import Reflections, reflections
from simulators.rng.sfc64 import ABOVE_CHUNKS, CHUNK_BITS, ONE, below, fill_words, sfc64

CHUNK, HALF = np.uint64(0xFFFF), np.uint32(16)


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
def closed(chunk: np.uint16, bond: np.uint64, state_V: NDArray[np.uint64]) -> np.bool_:
    """True with the probability that ``bond`` is the threshold of."""
    leading = bond >> ABOVE_CHUNKS
    if np.uint64(chunk) != leading:
        return np.uint64(chunk) < leading
    return sfc64(state_V) < bond << CHUNK_BITS


@njit(cache=True, nogil=True)
def close_bonds(
    value_J: NDArray[np.int8],
    neighbour_J: NDArray[np.int8],
    chunk_J: NDArray[np.uint16],
    bond_X: NDArray[np.uint64],
    leading_X: NDArray[np.uint16],
    values: int,
    state_V: NDArray[np.uint64],
    closed_J: NDArray[np.uint8],
) -> None:
    """Which of the bonds between ``value_J`` and ``neighbour_J`` are closed, each with random bits of its own.

    The threshold of values s and t is at s q + t, q = ``values``; ``leading_X`` are the first 16 bits of ``bond_X``.
    """
    tie = np.uint16(0)
    for j in range(len(value_J)):
        leading = leading_X[value_J[j] * values + neighbour_J[j]]
        closed_J[j] = chunk_J[j] < leading
        tie = np.uint16(tie | np.uint16(chunk_J[j] == leading))
    if tie:
        for j in range(len(value_J)):
            index = value_J[j] * values + neighbour_J[j]
            if chunk_J[j] == leading_X[index]:
                closed_J[j] = sfc64(state_V) < bond_X[index] << CHUNK_BITS


@njit(cache=True, nogil=True)
def find_clusters(
    states_N: NDArray[np.int8],
    state_V: NDArray[np.uint64],
    bond_X: NDArray[np.uint64],
    leading_X: NDArray[np.uint16],
    values: int,
    size: int,
    parent_N: NDArray[np.int32],
    scratch: Scratch,
) -> None:
    """Close bonds at random, by the thresholds of their values, and set ``parent_N`` to the smallest site of each
    site's cluster; row by row like ``swendsen_wang.find_clusters``."""
    sites = size * size
    right_N, below_N, next_J, linked_J, words_X, chunk_X = scratch
    for i in range(size):
        first, end = i * size, (i + 1) * size
        down = end if end < sites else 0
        row_J, below_J = states_N[first:end], states_N[down : down + size]
        next_J[: size - 1], next_J[size - 1] = row_J[1:], row_J[0]
        fill_words(words_X, state_V)
        close_bonds(row_J, next_J, chunk_X[:size], bond_X, leading_X, values, state_V, right_N[first:end])
        close_bonds(row_J, below_J, chunk_X[size : 2 * size], bond_X, leading_X, values, state_V, below_N[first:end])
        join_row(parent_N, right_N, below_N, i, size, linked_J)
    for n in range(sites):
        # A root is the smallest site of its cluster, so the parent's own parent is its root already.
        parent_N[n] = parent_N[parent_N[n]]


@njit(cache=True, nogil=True)
def draw_values(
    value_N: NDArray[np.int8], words_X: NDArray[np.uint64], values: int, state_V: NDArray[np.uint64]
) -> None:
    """A value for every site, all equally likely: 16 bits each, and more where these are too few to be fair."""
    fill_words(words_X, state_V)
    chunk_X, factor, uneven = words_X.view(np.uint16), np.uint16(values), np.uint16(65536 % values)
    again = np.uint16(0)
    for n in range(len(value_N)):
        value_N[n] = np.int8((np.uint32(chunk_X[n]) * factor) >> HALF)
        again = np.uint16(again | np.uint16(np.uint16(chunk_X[n] * factor) < uneven))
    if again:
        for n in range(len(value_N)):
            if np.uint16(chunk_X[n] * factor) < uneven:
                value_N[n] = below(values, state_V)


@njit(cache=True, nogil=True)
def potts_swendsen_wang(
    states_RN: NDArray[np.int8], state_RV: NDArray[np.uint64], bond_SS: NDArray[np.uint64], size: int, updates: int
) -> int:
    """Give all clusters of every chain new values, ``updates`` times, in place; returns how many sites changed.

    Args:
        states_RN: values 0 to q - 1, row by row.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        bond_SS: ``swendsen_wang.bond_threshold`` of J / T for equal values, 0 for others.
        size: rows, and columns, at least 2.
        updates: of each chain.
    """
    chains, sites = states_RN.shape
    bond_X, values, changed = bond_SS.ravel(), len(bond_SS), 0
    leading_X = (bond_X >> ABOVE_CHUNKS).astype(np.uint16)
    parent_N, value_N = np.empty(sites, dtype=np.int32), np.empty(sites, dtype=np.int8)
    words_X, scratch = np.empty((sites + 3) // 4, dtype=np.uint64), new_scratch(size)
    for r in range(chains):
        states_N, state_V = states_RN[r], state_RV[r]
        for _ in range(updates):
            find_clusters(states_N, state_V, bond_X, leading_X, values, size, parent_N, scratch)
            # Every site draws a value, and takes that of its cluster's first site: no branch is needed.
            draw_values(value_N, words_X, values, state_V)
            for n in range(sites):
                new = value_N[parent_N[n]]
                changed += int(new != states_N[n])
                states_N[n] = new
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
    leading_KSS = (bonds_KSS >> ABOVE_CHUNKS).astype(np.uint16)
    parent_N = np.empty(sites, dtype=np.int32)
    words_X, scratch = np.empty((sites + 63) // 64, dtype=np.uint64), new_scratch(size)
    for r in range(chains):
        states_N, state_V = states_RN[r], state_RV[r]
        for _ in range(updates):
            choice = below(len(reflected_KS), state_V)
            reflected_S = reflected_KS[choice]
            bond_X, leading_X = bonds_KSS[choice].ravel(), leading_KSS[choice].ravel()
            find_clusters(states_N, state_V, bond_X, leading_X, len(reflected_S), size, parent_N, scratch)
            fill_words(words_X, state_V)
            for n in range(sites):
                # Every site has a bit; that of the cluster's first site decides.
                turned = (words_X[parent_N[n] >> 6] >> np.uint64(parent_N[n] & 63)) & ONE
                new = reflected_S[states_N[n]] if turned else states_N[n]
                changed += int(new != states_N[n])
                states_N[n] = new
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
        bond: ``swendsen_wang.bond_threshold`` of J / T.
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
                    other, _ = neighbour(site, column, size, which)
                    # Sites are changed when they join, so that they don't join again.
                    chunk = np.uint16((word >> np.uint64(16 * which)) & CHUNK)
                    if states_N[other] == old and closed(chunk, bond, state_V):
                        states_N[other] = new
                        stack_N[waiting] = other
                        waiting += 1
                        changed += 1
    return changed
