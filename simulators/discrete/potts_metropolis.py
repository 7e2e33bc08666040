"""Metropolis updates of Potts spins, 64 chains side by side.

A site proposes one of the q - 1 other values, all equally likely (one of two not every time, see ``local.HOLD``).
With H = -J sum delta the move costs |J| times c = sign(J) (equal neighbours before - equal neighbours after), so that
random number y takes it if y < exp(-c |J| / T): if c is not larger than the *level* of y, the number of thresholds
exp(-|J| / T), ..., exp(-4 |J| / T) above y.

Why it is fast: proposals and levels don't depend on the spins, so they are made by themselves, from 16 random bits
each; the moves are then comparisons of bytes, without a table or a branch.  All of that runs on 16 or 32 chains per
instruction.  Bits that don't decide alone, about one time in 200 for all 64 chains together, are replaced or
continued, so that proposals are exactly uniform and levels exact to 2^-64.

Axes as in ``simulators.discrete.local``; P the four levels.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.discrete.local import HOLD, RUNS, around, run
from simulators.rng.lanes import LANES, spare_word, take, uniform_below

AT_ONCE = 2 * LANES
"""Proposals and levels that one row of random words serves, in numbers of 16 bits: those of two sites."""
HALF, QUARTER = np.uint32(16), np.uint64(48)
FOLLOWING = np.uint64(16)


@njit(cache=True, nogil=True)
def draw_again(
    stream_S: NDArray[np.uint64],
    row: int,
    proposal_X: NDArray[np.uint8],
    level_X: NDArray[np.uint8],
    first: int,
    choices: int,
    bits_P: NDArray[np.uint64],
) -> None:
    """Settle what ``draw`` has left open."""
    random_X, uneven = stream_S.view(np.uint16), 65536 % choices
    for k in range(AT_ONCE):
        # Of 65536 numbers, as many are left out as make the others multiples of ``choices`` (Lemire, as above).
        if np.int64(random_X[row + k]) * choices % 65536 < uneven:
            proposal_X[first + k] = np.uint8(uniform_below(choices, stream_S))
        y = np.uint64(random_X[row + AT_ONCE + k])
        tie = False
        for p in range(len(bits_P)):
            tie = tie or y == bits_P[p] >> QUARTER
        if tie:
            further, level = spare_word(stream_S), 0
            for p in range(len(bits_P)):
                leading = bits_P[p] >> QUARTER
                level += y < leading or (y == leading and further < bits_P[p] << FOLLOWING)
            level_X[first + k] = np.uint8(level)


@njit(cache=True, nogil=True)
def draw(
    stream_S: NDArray[np.uint64],
    length: int,
    proposal_X: NDArray[np.uint8],
    level_X: NDArray[np.uint8],
    choices: int,
    bits_P: NDArray[np.uint64],
) -> None:
    """Steps to the proposals, less 1, and levels of a run: ``length`` of each and up to AT_ONCE - 1 more."""
    random_X = stream_S.view(np.uint16)
    factor, uneven = np.uint16(choices), np.uint16(65536 % choices)
    hold = np.uint16(HOLD * 65536 if choices == 1 else 0)
    p1, p2 = np.uint16(bits_P[0] >> QUARTER), np.uint16(bits_P[1] >> QUARTER)
    p3, p4 = np.uint16(bits_P[2] >> QUARTER), np.uint16(bits_P[3] >> QUARTER)
    for first in range(0, length, AT_ONCE):
        row = 4 * take(stream_S)
        x_X, y_X = random_X[row : row + AT_ONCE], random_X[row + AT_ONCE : row + 2 * AT_ONCE]
        open_, least = np.uint16(0), np.uint16(0xFFFF)
        to_X = proposal_X[first : first + AT_ONCE]
        for k in range(AT_ONCE):
            x = x_X[k]
            # 0 - 1 wraps around, and moves to the site's own value.
            to_X[k] = np.uint8(np.uint8((np.uint32(x) * factor) >> HALF) - np.uint8(x < hold))
            open_ = np.uint16(open_ | np.uint16(np.uint16(x * factor) < uneven))
        to_X = level_X[first : first + AT_ONCE]
        for k in range(AT_ONCE):
            y = y_X[k]
            to_X[k] = np.uint8(np.uint8(y < p1) + np.uint8(y < p2) + np.uint8(y < p3) + np.uint8(y < p4))
            # Zero where y equals one of them; faster than comparing, in the hands of a compiler.
            nearest = min(min(np.uint16(y ^ p1), np.uint16(y ^ p2)), min(np.uint16(y ^ p3), np.uint16(y ^ p4)))
            least = min(least, nearest)
        if open_ or least == 0:
            draw_again(stream_S, row, proposal_X, level_X, first, choices, bits_P)


@njit(cache=True, nogil=True)
def move(
    states_X: NDArray[np.uint8],
    row_and_run: tuple[int, int, int],
    size: int,
    proposal_X: NDArray[np.uint8],
    level_X: NDArray[np.uint8],
    states: int,
    sign: int,
) -> None:
    """Move the sites of a run in all lanes, or not."""
    i, start, end = row_and_run
    one, q = np.uint8(1), np.uint8(states)
    # Adding and exclusive-or with -1 change the sign, as a product would more slowly.
    flip = np.int8(0 if sign > 0 else -1)
    first = 0
    for j in range(start, end, 2):
        here, above, below, left, right = around(i, j, size)
        own_K, proposal_K, level_K = states_X[here : here + LANES], proposal_X[first:], level_X[first:]
        a_K, b_K = states_X[above : above + LANES], states_X[below : below + LANES]
        c_K, d_K = states_X[left : left + LANES], states_X[right : right + LANES]
        for k in range(LANES):
            s, a, b, c, d = own_K[k], a_K[k], b_K[k], c_K[k], d_K[k]
            new = np.uint8(np.uint8(s + one) + proposal_K[k])
            # Numbers below 0 wrap around and are larger than any value.
            new = min(new, np.uint8(new - q))
            equal = np.int8(np.int8(a == s) + np.int8(b == s) + np.int8(c == s) + np.int8(d == s))
            later = np.int8(np.int8(a == new) + np.int8(b == new) + np.int8(c == new) + np.int8(d == new))
            cost = np.int8(np.int8(np.int8(equal - later) ^ flip) - flip)
            own_K[k] = new if cost <= np.int8(level_K[k]) else s
        first += LANES


@njit(cache=True, nogil=True)
def sweep(
    states_GX: NDArray[np.uint8],
    stream_GS: NDArray[np.uint64],
    bits_P: NDArray[np.uint64],
    states: int,
    sign: int,
    size: int,
    sweeps: int,
) -> None:
    """Propose every site of every lane, ``sweeps`` times.

    Args:
        states_GX: values 0 to q - 1, site by site, 64 lanes each.
        stream_GS: random words of each group.
        bits_P: ``multispin.thresholds`` of c |J| / T for c = 1 to 4.
        states: q.
        sign: of the coupling.
        size: rows, and columns, of the lattice.
        sweeps: of each group.
    """
    numbers = (size // 2 + 2) // 2 * AT_ONCE
    proposal_X, level_X = np.empty(numbers, dtype=np.uint8), np.empty(numbers, dtype=np.uint8)
    for g in range(len(states_GX)):
        states_X, stream_S = states_GX[g], stream_GS[g]
        for _ in range(sweeps):
            for number in range(RUNS):
                for i in range(size):
                    start, end = run(number, i, size)
                    length = (end - start + 1) // 2 * LANES
                    draw(stream_S, length, proposal_X, level_X, states - 1, bits_P)
                    move(states_X, (i, start, end), size, proposal_X, level_X, states, sign)
