"""Local updates of spins with few values by table, 64 chains side by side: heat bath or Metropolis, any bond energies.

For values 0 to q - 1 and a bond energy that depends on the difference of the values mod q (Potts, clock), what an
update does depends only on the neighbours relative to a *reference*: the site's own value for Metropolis, and for
heat bath, where the old value does not matter, the neighbour above.  The new value is the reference plus a step, and
a table holds the probabilities of the steps for all relative neighbours, q^4 or q^3 of them, as Walker's alias method
wants them: a random column c of 2^b, then the step c with the probability of the column, else the column's *alias*.

Why it is fast: one lookup of 16 bits and no exponential, branch or search per update.  16 random bits serve both
choices: the first b are the column, the next 12 are compared with the first 12 of the probability; a tie, one time in
4096, is decided by 64 further bits.  The lookups, one load each, stand in a loop of their own; all else runs on 16 or
32 chains per instruction.

Source: A. J. Walker, ACM TOMS 3 (1977) 253; the table as M. D. Vose, IEEE TSE 17 (1991) 972, makes it.

Axes as in ``simulators.discrete.local``; Q values, C columns of a table, T table entries.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.discrete.local import HOLD, RUNS, around, run
from simulators.rng.lanes import LANES, SPARE, take
from simulators.rng.sfc64 import sfc64

MOST_STATES = {"metropolis": 8, "heat-bath": 16}
"""Largest q, so that tables of 16-bit numbers have 2^16 entries at most, 128 KiB, and indices fit into 16 bits."""
ALIAS_BITS = np.uint16(4)
ALIAS = np.uint16(15)
LEADING = 2.0**12
TO_WORD = 2.0**64
AT_ONCE = 4 * LANES
"""Numbers of 16 bits in one row of random words: those of four sites."""
HALF = np.uint32(16)


class Table(NamedTuple):
    """Probabilities of the steps, as ``sweep`` reads them."""

    entries_T: NDArray[np.uint16]
    """Column c of relative neighbours number n at n 2^b + c: the first 12 bits of its probability, then its alias."""
    rest_T: NDArray[np.uint64]
    """The following 64 bits of the probabilities."""
    states: int
    """q."""
    columns: int
    """2^b, the power of two next to q, or 2."""
    own: bool
    """Whether the site's own value is the reference, rather than the neighbour above."""


def table(energy_Q: NDArray[np.float64], temperature: float, algorithm: str) -> Table:
    """The table of one temperature.

    Args:
        energy_Q: energy of a bond whose values differ by 0 to q - 1, E(d) = E(q - d).
        temperature: T, in the units of the energies.
        algorithm: "metropolis", which proposes one of the q - 1 other values (the only one of two not every time, see
            ``local.HOLD``), or "heat-bath".

    Raises:
        ValueError: too many values for a table.
    """
    states = len(energy_Q)
    if states > MOST_STATES[algorithm]:
        raise ValueError(f"tables of {algorithm} hold at most {MOST_STATES[algorithm]} values, got {states}")
    columns = max(2, 1 << (states - 1).bit_length())
    own = algorithm == "metropolis"
    entries_T, rest_T = make_entries(energy_Q, temperature, columns, own)
    return Table(entries_T, rest_T, states, columns, own)


@njit(cache=True)
def make_entries(
    energy_Q: NDArray[np.float64], temperature: float, columns: int, own: bool
) -> tuple[NDArray[np.uint16], NDArray[np.uint64]]:
    """The arrays of ``Table``.  Neighbours number ((d1 q + d2) q + d3) q + d4, d1 = 0 where it is the reference."""
    q = len(energy_Q)
    patterns = q**4 if own else q**3
    entries_T, rest_T = np.zeros(patterns * columns, np.uint16), np.zeros(patterns * columns, np.uint64)
    probability_C, energy_C, alias_C = np.zeros(columns), np.zeros(q), np.zeros(columns, np.int64)
    for pattern in range(patterns):
        for step in range(q):
            energy_C[step] = 0.0
            digits = pattern
            for _ in range(4):
                energy_C[step] += energy_Q[(digits % q - step) % q]
                digits //= q
        probability_C[:] = 0.0
        if own:
            proposed = (1.0 - HOLD if q == 2 else 1.0) / (q - 1)
            for step in range(1, q):
                cost = energy_C[step] - energy_C[0]
                probability_C[step] = proposed * (np.exp(-cost / temperature) if cost > 0.0 else 1.0)
            probability_C[0] = max(0.0, 1.0 - probability_C.sum())
        else:
            probability_C[:q] = np.exp((energy_C.min() - energy_C) / temperature)
            probability_C /= probability_C.sum()
        fill_columns(probability_C, alias_C)
        for c in range(columns):
            scaled = probability_C[c] * LEADING
            # A column that is full is its own alias: a probability of one would not fit.
            leading = 0 if alias_C[c] == c else min(int(scaled), int(LEADING) - 1)
            entries_T[pattern * columns + c] = np.uint16((leading << int(ALIAS_BITS)) | alias_C[c])
            if alias_C[c] != c:
                rest_T[pattern * columns + c] = np.uint64((scaled - leading) * TO_WORD)
    return entries_T, rest_T


@njit(cache=True)
def fill_columns(probability_C: NDArray[np.float64], alias_C: NDArray[np.int64]) -> None:
    """Turn the probabilities of the steps into those of the columns, with the aliases, by Vose's method."""
    columns = len(probability_C)
    small_C, large_C = np.empty(columns, np.int64), np.empty(columns, np.int64)
    small = large = 0
    for c in range(columns):
        probability_C[c] *= columns
        alias_C[c] = c
        if probability_C[c] < 1.0:
            small_C[small] = c
            small += 1
        else:
            large_C[large] = c
            large += 1
    while small > 0 and large > 0:
        small -= 1
        receiver, giver = small_C[small], large_C[large - 1]
        alias_C[receiver] = giver
        probability_C[giver] -= 1.0 - probability_C[receiver]
        if probability_C[giver] < 1.0:
            large -= 1
            small_C[small] = giver
            small += 1
    # What is left over is full but for rounding, and stays its own alias.


@njit(cache=True, nogil=True)
def draw(
    stream_S: NDArray[np.uint64], length: int, columns: int, column_X: NDArray[np.uint8], fraction_X: NDArray[np.uint16]
) -> None:
    """Columns and fractions, of 12 bits, of a run: ``length`` of each and up to AT_ONCE - 1 more."""
    random_X, factor = stream_S.view(np.uint16), np.uint16(columns)
    for first in range(0, length, AT_ONCE):
        row = 4 * take(stream_S)
        x_X = random_X[row : row + AT_ONCE]
        to_column_X, to_fraction_X = column_X[first : first + AT_ONCE], fraction_X[first : first + AT_ONCE]
        for k in range(AT_ONCE):
            # The halves of a product: a product needs no shift by a variable, which vector units may lack.
            to_column_X[k] = np.uint8((np.uint32(x_X[k]) * factor) >> HALF)
            to_fraction_X[k] = np.uint16(np.uint16(x_X[k] * factor) >> ALIAS_BITS)


@njit(inline="always")
def relative(value: np.uint8, reference: np.uint8, q: np.uint8) -> np.uint8:
    """value - reference mod q; a difference below 0 wraps around and is larger than any value."""
    difference = np.uint8(value - reference)
    return min(difference, np.uint8(difference + q))


@njit(cache=True, nogil=True)
def find_own(
    states_X: NDArray[np.uint8],
    row_and_run: tuple[int, int, int],
    size: int,
    shape: tuple[int, int],
    column_X: NDArray[np.uint8],
    index_X: NDArray[np.uint16],
) -> None:
    """Table indices of a run, the reference being a site's own value; ``shape`` is (q, 2^b)."""
    i, start, end = row_and_run
    q, wide, factor = np.uint8(shape[0]), np.uint16(shape[0]), np.uint16(shape[1])
    first = 0
    for j in range(start, end, 2):
        here, above, below, left, right = around(i, j, size)
        own_K, chosen_K, to_K = states_X[here : here + LANES], column_X[first:], index_X[first:]
        a_K, b_K = states_X[above : above + LANES], states_X[below : below + LANES]
        c_K, d_K = states_X[left : left + LANES], states_X[right : right + LANES]
        for k in range(LANES):
            s = own_K[k]
            n = np.uint16(np.uint16(relative(a_K[k], s, q)) * wide + np.uint16(relative(b_K[k], s, q)))
            n = np.uint16(n * wide + np.uint16(relative(c_K[k], s, q)))
            n = np.uint16(n * wide + np.uint16(relative(d_K[k], s, q)))
            to_K[k] = np.uint16(n * factor + np.uint16(chosen_K[k]))
        first += LANES


@njit(cache=True, nogil=True)
def find_above(
    states_X: NDArray[np.uint8],
    row_and_run: tuple[int, int, int],
    size: int,
    shape: tuple[int, int],
    column_X: NDArray[np.uint8],
    index_X: NDArray[np.uint16],
) -> None:
    """Table indices of a run, the reference being the neighbour above.

    Written out beside ``find_own``: a loop over lanes becomes vector instructions without a branch only.
    """
    i, start, end = row_and_run
    q, wide, factor = np.uint8(shape[0]), np.uint16(shape[0]), np.uint16(shape[1])
    first = 0
    for j in range(start, end, 2):
        _, above, below, left, right = around(i, j, size)
        chosen_K, to_K = column_X[first:], index_X[first:]
        a_K, b_K = states_X[above : above + LANES], states_X[below : below + LANES]
        c_K, d_K = states_X[left : left + LANES], states_X[right : right + LANES]
        for k in range(LANES):
            s = a_K[k]
            n = np.uint16(np.uint16(relative(b_K[k], s, q)) * wide + np.uint16(relative(c_K[k], s, q)))
            n = np.uint16(n * wide + np.uint16(relative(d_K[k], s, q)))
            to_K[k] = np.uint16(n * factor + np.uint16(chosen_K[k]))
        first += LANES


@njit(cache=True, nogil=True)
def look_up(
    entries_T: NDArray[np.uint16], length: int, index_X: NDArray[np.uint16], entry_X: NDArray[np.uint16]
) -> None:
    """Entries of a run.  It has many sites, so that no number is needed while its store is still on its way."""
    for x in range(length):
        entry_X[x] = entries_T[np.int64(index_X[x])]


@njit(cache=True, nogil=True)
def move(
    states_X: NDArray[np.uint8],
    row_and_run: tuple[int, int, int],
    size: int,
    rule: tuple[int, bool],
    draws_X: tuple[NDArray[np.uint8], NDArray[np.uint16]],
    lookups_X: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    rest_T: NDArray[np.uint64],
    spare_V: NDArray[np.uint64],
) -> None:
    """Give the sites of a run their new values; ``rule`` is q and whether a site's own value is the reference."""
    i, start, end = row_and_run
    states, own = rule
    column_X, fraction_X = draws_X
    index_X, entry_X = lookups_X
    q = np.uint8(states)
    reference_K = np.empty(LANES, np.uint8)
    first = 0
    for j in range(start, end, 2):
        here, above, _, _, _ = around(i, j, size)
        from_K = states_X[here : here + LANES] if own else states_X[above : above + LANES]
        for k in range(LANES):
            # A copy, so that the compiler knows it apart from what is written.
            reference_K[k] = from_K[k]
        own_K, column_K = states_X[here : here + LANES], column_X[first:]
        fraction_K, entry_K = fraction_X[first:], entry_X[first:]
        tie = np.uint16(0)
        for k in range(LANES):
            entry, fraction = entry_K[k], fraction_K[k]
            leading = np.uint16(entry >> ALIAS_BITS)
            tie = np.uint16(tie | np.uint16(fraction == leading))
            step = column_K[k] if fraction < leading else np.uint8(entry & ALIAS)
            new = np.uint8(reference_K[k] + step)
            own_K[k] = min(new, np.uint8(new - q))
        if tie:
            for k in range(LANES):
                if fraction_K[k] == entry_K[k] >> ALIAS_BITS:
                    stays = sfc64(spare_V) < rest_T[np.int64(index_X[first + k])]
                    chosen = np.int64(column_K[k]) if stays else np.int64(entry_K[k] & ALIAS)
                    own_K[k] = np.uint8((np.int64(reference_K[k]) + chosen) % states)
        first += LANES


@njit(cache=True, nogil=True)
def sweep(
    states_GX: NDArray[np.uint8],
    stream_GS: NDArray[np.uint64],
    entries_T: NDArray[np.uint16],
    rest_T: NDArray[np.uint64],
    states: int,
    columns: int,
    own: bool,
    size: int,
    sweeps: int,
) -> None:
    """Update every site of every lane, ``sweeps`` times.

    Args:
        states_GX: values 0 to q - 1, site by site, 64 lanes each.
        stream_GS: random words of each group.
        entries_T, rest_T, states, columns, own: the fields of ``Table``.
        size: rows, and columns, of the lattice.
        sweeps: of each group.
    """
    numbers = (size // 2 + 4) // 4 * AT_ONCE
    column_X, fraction_X = np.empty(numbers, np.uint8), np.empty(numbers, np.uint16)
    index_X, entry_X = np.empty(numbers, np.uint16), np.empty(numbers, np.uint16)
    draws_X, lookups_X, shape, rule = (column_X, fraction_X), (index_X, entry_X), (states, columns), (states, own)
    for g in range(len(states_GX)):
        states_X, stream_S = states_GX[g], stream_GS[g]
        spare_V = stream_S[SPARE : SPARE + 4]
        for _ in range(sweeps):
            for number in range(RUNS):
                for i in range(size):
                    start, end = run(number, i, size)
                    length = (end - start + 1) // 2 * LANES
                    draw(stream_S, length, columns, column_X, fraction_X)
                    if own:
                        find_own(states_X, (i, start, end), size, shape, column_X, index_X)
                    else:
                        find_above(states_X, (i, start, end), size, shape, column_X, index_X)
                    look_up(entries_T, length, index_X, entry_X)
                    move(states_X, (i, start, end), size, rule, draws_X, lookups_X, rest_T, spare_V)
