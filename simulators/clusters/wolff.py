"""Single clusters of spins with few values, by tables.

A reflection pairs the values of a spin, s and R s, so that a bond's energy has E(R s, R t) = E(s, t).  Neighbours of
values s and t are joined with probability 1 - exp(-(E(R s, t) - E(s, t)) / T) where that is positive, and a cluster
grown from a random site is reflected as a whole (Wolff, Phys. Rev. Lett. 62, 361 (1989)).  All that a system needs
is a table of these probabilities for each of its reflections, which ``reflections`` makes from its bond energies.
What breaks the symmetry, such as a field, is no bond: the grown cluster is reflected with the Metropolis
probability of the energy that this costs.

Axes: R chains, I rows, J columns, N = I J sites of a chain, V words of a generator's state, K reflections, S values.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters.lattice import part_of
from simulators.clusters.single import SingleClusters
from simulators.clusters.swendsen_wang import bond_threshold
from simulators.rng.sfc64 import (
    ABOVE_CHUNKS,
    CHUNK_BITS,
    HALF_WORD,
    LOWER_HALF,
    SHIFT_TO_DOUBLE,
    TWO_TO_MINUS_53,
    State,
    load,
    step,
    store,
)

LARGEST_GAIN = 1e290
CHUNK = np.uint64(0xFFFF)
ONE_COLUMN = 1 << 32


class Reflections(NamedTuple):
    """The reflections of a spin with S values, lowest, lowest + 1, and so on, as ``table_clusters`` reads them."""

    bonds_KSS: NDArray[np.uint64]
    """Threshold of random words below which neighbours s and t are joined."""
    reflected_KS: NDArray[np.int8]
    """What each value becomes, a value itself."""
    gains_KS: NDArray[np.float64] | None
    """Energy, over T, that the reflection of one site costs beyond its bonds; None for none."""
    lowest: int


def reflections(
    bond_energy_SS: NDArray[np.float64],
    reflected_KS: NDArray[np.int8],
    temperature: float,
    lowest: int,
    site_energy_S: NDArray[np.float64] | None = None,
) -> Reflections:
    """Tables of K reflections, one of which is drawn for each cluster.

    Args:
        bond_energy_SS: energy of a bond between the values s and t, unchanged where both are reflected.
        reflected_KS: reflected values; reflecting twice changes nothing.
        temperature: T.
        lowest: the first value.
        site_energy_S: further energy of each value where reflections change it; None where they don't.

    Raises:
        ValueError: the table is no reflection, or reflecting both ends of a bond changes its energy.
    """
    index_KS = reflected_KS.astype(np.int64) - lowest
    values, count = np.arange(bond_energy_SS.shape[0]), len(reflected_KS)
    rows_K = np.arange(count)[:, None]
    if (index_KS[rows_K, index_KS] != values).any():
        raise ValueError("reflecting a value twice must give the value again")
    both_KSS = bond_energy_SS[index_KS[:, :, None], index_KS[:, None, :]]
    if not np.allclose(both_KSS, bond_energy_SS, rtol=1e-12, atol=1e-12 * np.abs(bond_energy_SS).max()):
        raise ValueError("reflecting both ends must leave the energy of a bond as it is")
    with np.errstate(over="ignore"):
        gain_KSS = (bond_energy_SS[index_KS] - bond_energy_SS) / temperature
    thresholds = [bond_threshold(max(gain, 0.0)) for gain in gain_KSS.ravel().tolist()]
    gains_KS = None
    if site_energy_S is not None:
        with np.errstate(over="ignore"):
            # Finite, so that gains of either sign have a sum.
            gains_KS = np.clip((site_energy_S[index_KS] - site_energy_S) / temperature, -LARGEST_GAIN, LARGEST_GAIN)
    return Reflections(np.array(thresholds, dtype=np.uint64).reshape(gain_KSS.shape), reflected_KS, gains_KS, lowest)


class TableClusters(SingleClusters):
    """Wolff updates of spins with few values; a subclass defines ``reflections`` and ``nanoseconds``."""

    @staticmethod
    def reflections(spec: Any) -> Reflections:
        """The tables of a spec."""
        raise NotImplementedError

    def prepare(self, spec: Any) -> None:
        self._tables = self.reflections(spec)

    def grow(self, states_RIJ: NDArray[np.int8], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        size = states_RIJ.shape[1]
        visited, turned = table_clusters(
            states_RIJ.reshape(len(states_RIJ), -1), size, state_RV, *self._tables, clusters
        )
        return visited, turned


@njit(inline="always")
def start_of(word: np.uint64, sites: int, choices: int) -> tuple[int, int]:
    """A random site and a random reflection, each from half of a word."""
    return part_of(word >> HALF_WORD, sites), part_of(word & LOWER_HALF, choices)


@njit(inline="always")
def as_member(site: int, size: int) -> int:
    """A site as the queue holds it: with its column in the upper half of the number."""
    return site + (site % size) * ONE_COLUMN


@njit(inline="always")
def site_of(member: int) -> int:
    """Without the column."""
    return member & (ONE_COLUMN - 1)


@njit(inline="always")
def neighbours(member: int, size: int, sites: int) -> tuple[int, int, int, int]:
    """The members to the right, to the left, below and above."""
    site, column = site_of(member), member >> 32
    return (
        member + 1 + ONE_COLUMN if column + 1 < size else member - (size - 1) * (1 + ONE_COLUMN),
        member - 1 - ONE_COLUMN if column > 0 else member + (size - 1) * (1 + ONE_COLUMN),
        member + size if site + size < sites else member + size - sites,
        member - size if site >= size else member - size + sites,
    )


@njit(inline="always")
def grow(
    states_N: NDArray[np.int8],
    size: int,
    bonds_X: NDArray[np.uint64],
    reflected_X: NDArray[np.int8],
    first: int,
    values: int,
    lowest: int,
    queue_N: NDArray[np.int64],
    state: State,
) -> tuple[int, State]:
    """Grow the cluster of the one member in ``queue_N``, which is reflected already; returns its members and the state.

    Args:
        states_N, size, bonds_X, reflected_X, values, lowest: as in ``table_clusters``, tables in one row.
        first: where the reflected value of a value stands: at ``first`` plus the value.
        queue_N: members in the order in which they joined; scratch of N + 1.
        state: of the chain's generator.
    """
    sites = len(states_N)
    head, tail = 0, 1
    while head < tail:
        member = queue_N[head]
        head += 1
        word, state = step(state)
        before = reflected_X[np.uint32(first + states_N[site_of(member)])]
        row = (first + before) * values - lowest
        others = neighbours(member, size, sites)
        for which in range(4):
            other = others[which]
            value = states_N[np.uint32(other)]
            # Members are reflected already: of those and this one the energy is the lowest, nothing to join.
            bond = bonds_X[np.uint32(row + value)]
            chunk = (word >> np.uint64(16 * which)) & CHUNK
            joins = chunk < (bond >> ABOVE_CHUNKS)
            if chunk == (bond >> ABOVE_CHUNKS):
                rest, state = step(state)
                joins = rest < (bond << CHUNK_BITS)
            queue_N[tail] = other
            tail += joins
            image = reflected_X[np.uint32(first + value)]
            states_N[np.uint32(other)] = image if joins else value
    return tail, state


@njit(inline="always")
def accept(
    members_M: NDArray[np.int64], states_N: NDArray[np.int8], gain_S: NDArray[np.float64], lowest: int, state: State
) -> tuple[bool, State]:
    """Whether a reflected cluster stays so, with the Metropolis probability of what this costs beyond its bonds."""
    cost = 0.0
    for member in members_M:
        # Back from a reflected value is what it gains.
        cost -= gain_S[states_N[np.uint32(member)] - lowest]
    word, state = step(state)
    return cost <= 0.0 or (word >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53 < np.exp(-cost), state


@njit(inline="always")
def reflect(
    members_M: NDArray[np.int64], states_N: NDArray[np.int8], reflected_X: NDArray[np.int8], first: int
) -> None:
    """Reflect the members of a cluster."""
    for member in members_M:
        site = np.uint32(member)
        states_N[site] = reflected_X[np.uint32(first + states_N[site])]


@njit(cache=True, nogil=True)
def table_clusters(
    states_RN: NDArray[np.int8],
    size: int,
    state_RV: NDArray[np.uint64],
    bonds_KSS: NDArray[np.uint64],
    reflected_KS: NDArray[np.int8],
    gains_KS: NDArray[np.float64] | None,
    lowest: int,
    clusters: int,
) -> tuple[int, int]:
    """Grow ``clusters`` single clusters in every chain and reflect them, in place; returns sites visited and turned.

    Why it is fast: a member waits in a queue, first in, first out, so that the processor knows the members to come
    long before their turn and works on several at once; whether a neighbour joins is arithmetic, without a branch
    that could be mispredicted; one random word serves four neighbours, 16 bits each.  Where these equal the first 16
    bits of the threshold, one time in 2^16, a further word decides, so that probabilities are exact to 2^-64.

    Args:
        states_RN: R chains of N = size^2 values, row by row; of even size where unequal neighbours are joined.
        size: rows, and columns, at least 2.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        bonds_KSS, reflected_KS, gains_KS, lowest: the fields of ``Reflections``.
        clusters: in each chain.
    """
    sites = states_RN.shape[1]
    choices, values = reflected_KS.shape
    bonds_X, reflected_X = bonds_KSS.ravel(), reflected_KS.ravel()
    queue_N = np.empty(sites + 1, dtype=np.int64)
    visited = turned = 0
    for r in range(len(states_RN)):
        states_N, state = states_RN[r], load(state_RV[r])
        for _ in range(clusters):
            word, state = step(state)
            site, choice = start_of(word, sites, choices)
            first = choice * values - lowest
            before = states_N[site]
            states_N[site] = reflected_X[first + before]
            # A member that joins is changed by the reflection; only the first can be its own mirror image.
            still = states_N[site] == before
            queue_N[0] = as_member(site, size)
            members, state = grow(states_N, size, bonds_X, reflected_X, first, values, lowest, queue_N, state)
            visited += members
            if gains_KS is not None:
                accepted, state = accept(queue_N[:members], states_N, gains_KS[choice], lowest, state)
                if not accepted:
                    reflect(queue_N[:members], states_N, reflected_X, first)
                    continue
            turned += members - still
        store(state, state_RV[r])
    return visited, turned
