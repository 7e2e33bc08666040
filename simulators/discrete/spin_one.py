"""Single-site updates of spins -1, 0, 1 on the square lattice, by tables; heat bath and Metropolis are two of them.

What a site becomes depends on its own value s and the sum n of its neighbours alone: -1 with some probability, 0 with
another.  A uniform number u decides: -1 below the first threshold, 0 below the second, 1 above.  ``thresholds`` holds
both for every (s, n), in units of 2^-64, at index 9 (s + 1) + n + 4.

Axes as in ``simulators.discrete.local``; R chains, T table entries, V words of a generator's state.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.discrete.local import RUNS, around, run
from simulators.rng.lanes import LANES, SPARE, take
from simulators.rng.sfc64 import ABOVE_CHUNKS, CHUNK_BITS, sfc64

VALUES = (-1, 0, 1)
SUMS = range(-4, 5)
ROW = 4 * LANES
"""Numbers of 16 bits in one row of random words: those of four sites."""


def heat_bath(coupling: float, crystal_field: float, temperature: float) -> NDArray[np.uint64]:
    """(27, 2) thresholds: values are taken with their Boltzmann weights exp((J s n - D s^2) / T)."""
    rows = [_weights(n, coupling, crystal_field, temperature) for _ in VALUES for n in SUMS]
    return thresholds([[weight / sum(row) for weight in row] for row in rows])


def metropolis(coupling: float, crystal_field: float, temperature: float) -> NDArray[np.uint64]:
    """(27, 2) thresholds: either of the other values is proposed with probability 1/2, and taken with probability
    min(1, w' / w)."""
    rows = []
    for s in VALUES:
        for n in SUMS:
            exponent = _exponents(n, coupling, crystal_field, temperature)
            with localcontext(prec=50):
                row = [min(x - exponent[s + 1], Decimal(0)).exp() / 2 for x in exponent]
                row[s + 1] += 1 - sum(row)
            rows.append(row)
    return thresholds(rows)


def _exponents(n: int, coupling: float, crystal_field: float, temperature: float) -> list[Decimal]:
    with localcontext(prec=50):
        J, D, T = Decimal(coupling), Decimal(crystal_field), Decimal(temperature)
        return [(J * s * n - D * s * s) / T for s in VALUES]


def _weights(n: int, coupling: float, crystal_field: float, temperature: float) -> list[Decimal]:
    """Boltzmann weights of the three values, the largest one being 1."""
    exponent = _exponents(n, coupling, crystal_field, temperature)
    with localcontext(prec=50):
        return [(x - max(exponent)).exp() for x in exponent]


def thresholds(rows: Sequence[Sequence[Decimal]]) -> NDArray[np.uint64]:
    """(27, 2) floor(2^64 x), at most 2^64 - 1, of the probabilities of -1 and of -1 or 0 in each row."""
    with localcontext(prec=50):
        scaled = [[int(row[0] * 2**64), int((row[0] + row[1]) * 2**64)] for row in rows]
    return np.array([[min(x, 2**64 - 1) for x in row] for row in scaled], dtype=np.uint64)


def packed(thresholds_T2: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """(27,) the first 16 bits of both thresholds, the first one's above the second one's."""
    first_T2 = thresholds_T2 >> ABOVE_CHUNKS
    return (first_T2[:, 0] << CHUNK_BITS | first_T2[:, 1]).astype(np.uint32)


@njit(cache=True, nogil=True)
def draw(stream_S: NDArray[np.uint64], length: int, chunk_X: NDArray[np.uint16]) -> None:
    """``length`` numbers of 16 random bits, and up to ROW - 1 more."""
    random_X = stream_S.view(np.uint16)
    for first in range(0, length, ROW):
        row = 4 * take(stream_S)
        # Slices, whose indices cannot be negative: the compiler would have to look at each one, one by one.
        to_X, from_X = chunk_X[first : first + ROW], random_X[row : row + ROW]
        for x in range(ROW):
            to_X[x] = from_X[x]


@njit(cache=True, nogil=True)
def find_entries(
    states_X: NDArray[np.int8], row_and_run: tuple[int, int, int], size: int, entry_X: NDArray[np.uint8]
) -> None:
    """Table indices of the sites of a run: every second one of a row, from its first to before its last column."""
    i, start, end = row_and_run
    first = 0
    for j in range(start, end, 2):
        here, above, below, left, right = around(i, j, size)
        own_K, to_K = states_X[here : here + LANES], entry_X[first : first + LANES]
        a_K, b_K = states_X[above : above + LANES], states_X[below : below + LANES]
        c_K, d_K = states_X[left : left + LANES], states_X[right : right + LANES]
        for k in range(LANES):
            n = np.int8(np.int8(a_K[k] + b_K[k]) + np.int8(c_K[k] + d_K[k]))
            to_K[k] = np.uint8(np.int8(np.int8(np.int8(9) * own_K[k]) + n) + np.int8(13))
        first += LANES


@njit(cache=True, nogil=True)
def look_up(packed_T: NDArray[np.uint32], length: int, entry_X: NDArray[np.uint8], pair_X: NDArray[np.uint32]) -> None:
    """Both thresholds of each table index."""
    for x in range(length):
        pair_X[x] = packed_T[entry_X[x]]


@njit(cache=True, nogil=True)
def decide(
    states_X: NDArray[np.int8],
    row_and_run: tuple[int, int, int],
    size: int,
    drawn_X: tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint32]],
    thresholds_T2: NDArray[np.uint64],
    spare_V: NDArray[np.uint64],
) -> None:
    """Set the values of a run; ``drawn_X`` are its random numbers, table indices and packed thresholds."""
    i, start, end = row_and_run
    chunk_X, entry_X, pair_X = drawn_X
    first = 0
    for j in range(start, end, 2):
        here = (i * size + j) * LANES
        own_K, chunk_K, pair_K = states_X[here : here + LANES], chunk_X[first:], pair_X[first:]
        tie = False
        for k in range(LANES):
            low, high, u = np.uint16(pair_K[k] >> np.uint32(16)), np.uint16(pair_K[k]), chunk_K[k]
            own_K[k] = np.int8(np.int8(u >= low) + np.int8(u >= high) - np.int8(1))
            tie = tie | (u == low) | (u == high)
        if tie:
            # Where 16 bits equal the first ones of a threshold, 64 bits more decide.
            for k in range(LANES):
                value, more = np.int8(-1), sfc64(spare_V)
                for p in range(2):
                    threshold = thresholds_T2[entry_X[first + k], p]
                    leading = np.uint16(threshold >> ABOVE_CHUNKS)
                    value += np.int8(
                        chunk_K[k] > leading or (chunk_K[k] == leading and more >= threshold << CHUNK_BITS)
                    )
                own_K[k] = value
        first += LANES


@njit(cache=True, nogil=True)
def sweep_lanes(
    states_GX: NDArray[np.int8],
    stream_GS: NDArray[np.uint64],
    thresholds_T2: NDArray[np.uint64],
    packed_T: NDArray[np.uint32],
    size: int,
    sweeps: int,
) -> None:
    """Update every site of every lane, ``sweeps`` times, in place.

    Why it is fast: 64 chains per instruction.  Each takes 16 random bits for a site, and both its thresholds from one
    entry of a table that stays in the innermost cache; only the one in 2^15 that these don't decide takes 64 bits
    more, so that probabilities are exact to 2^-64.  The lookups, one load each, stand in a loop of their own, over
    many sites that are no neighbours, so that no index is needed while its store is still on its way.

    Args:
        states_GX: spins, site by site, 64 lanes each.
        stream_GS: random words of each group.
        thresholds_T2, packed_T: as ``thresholds`` and ``packed`` make them.
        size: rows, and columns, of the lattice.
        sweeps: of each group.
    """
    numbers = (size // 2 + 4) // 4 * ROW
    chunk_X, entry_X = np.empty(numbers, dtype=np.uint16), np.empty(numbers, dtype=np.uint8)
    pair_X = np.empty(numbers, dtype=np.uint32)
    for g in range(len(states_GX)):
        states_X, stream_S = states_GX[g], stream_GS[g]
        spare_V = stream_S[SPARE : SPARE + 4]
        for _ in range(sweeps):
            for number in range(RUNS):
                for i in range(size):
                    start, end = run(number, i, size)
                    length = (end - start + 1) // 2 * LANES
                    draw(stream_S, length, chunk_X)
                    find_entries(states_X, (i, start, end), size, entry_X)
                    look_up(packed_T, length, entry_X, pair_X)
                    decide(states_X, (i, start, end), size, (chunk_X, entry_X, pair_X), thresholds_T2, spare_V)


@njit(cache=True, nogil=True)
def sweep_rows(states_RIJ: NDArray[np.int8], state_RV: NDArray[np.uint64], thresholds_T2: NDArray[np.uint64]) -> None:
    """Update every site of every chain once, in place, a word of the chain's own generator each."""
    _, rows, columns = states_RIJ.shape
    for r in range(len(states_RIJ)):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for i in range(rows):
            above, below = i - 1 if i > 0 else rows - 1, i + 1 if i + 1 < rows else 0
            for j in range(columns):
                left, right = j - 1 if j > 0 else columns - 1, j + 1 if j + 1 < columns else 0
                n = states_IJ[above, j] + states_IJ[below, j] + states_IJ[i, left] + states_IJ[i, right]
                entry = 9 * (states_IJ[i, j] + 1) + n + 4
                u = sfc64(state_V)
                states_IJ[i, j] = (u >= thresholds_T2[entry, 0]) + (u >= thresholds_T2[entry, 1]) - 1


@njit(cache=True, nogil=True)
def sums(states_GIJK: NDArray[np.int8]) -> NDArray[np.int64]:
    """(4, G, K): products over the bonds, spins, spins with the sign of their sublattice, and squares, summed."""
    groups, rows, columns, lanes = states_GIJK.shape
    totals_4GK = np.zeros((4, groups, lanes), dtype=np.int64)
    for g in range(groups):
        states_IJK = states_GIJK[g]
        bond_K, even_K = totals_4GK[0, g], totals_4GK[1, g]
        odd_K, square_K = totals_4GK[2, g], totals_4GK[3, g]
        for i in range(rows):
            below = i + 1 if i + 1 < rows else 0
            for j in range(columns):
                own_K, below_K = states_IJK[i, j], states_IJK[below, j]
                right_K = states_IJK[i, j + 1 if j + 1 < columns else 0]
                part_K = odd_K if (i + j) % 2 else even_K
                for k in range(lanes):
                    bond_K[k] += own_K[k] * (below_K[k] + right_K[k])
                    square_K[k] += own_K[k] * own_K[k]
                for k in range(lanes):
                    part_K[k] += own_K[k]
        for k in range(lanes):
            even_K[k], odd_K[k] = even_K[k] + odd_K[k], even_K[k] - odd_K[k]
    return totals_4GK
