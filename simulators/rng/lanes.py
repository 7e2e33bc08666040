"""Random words for kernels that update the same site of 64 chains at a time: 64 SFC64 generators side by side.

A *stream* is one array, (STREAM_LENGTH,) words: the generators' states, BLOCK rows of 64 words that they made last,
one more generator for rare cases, and how many of the rows are used up.  A kernel takes whole rows: word k of a row
is lane k's own, or with other numbers of lanes any part of a word goes to one lane only.

    row = take(stream_S)                 # makes a new block where the last one is used up
    words_K = stream_S[row : row + 64]   # valid until the next take

Uniform numbers: disjoint parts of a word are independent integers; ``DOUBLE * (word >> 11)`` is a double in [0, 1).
A number of few bits that ties with its threshold is decided by ``spare_word``, the bits that would have followed.

Source: Chris Doty-Humphrey, SFC64 of PractRand 0.94.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import ONE, ROTATE_24, ROTATE_40, SHIFT_3, SHIFT_11, generators, sfc64

LANES = 64

BLOCK = 16
"""Rows made at once: 8 KiB, which stay in the innermost cache."""
AT_ONCE = 8
"""Words that a generator makes between loading and storing its state."""
STATE_A, STATE_B, STATE_C, COUNTER = 0, LANES, 2 * LANES, 3 * LANES
WORDS = 4 * LANES
SPARE = WORDS + BLOCK * LANES
POSITION = SPARE + 4
STREAM_LENGTH = POSITION + 1
DOUBLE = 2.0**-53
SHIFT_TO_DOUBLE = np.uint64(11)
HALF_WORD, LOWER_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)


def streams(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """(count, STREAM_LENGTH): independent streams, nothing made yet."""
    stream_GS = np.zeros((count, STREAM_LENGTH), dtype=np.uint64)
    state_GKV = generators(rng, count * (LANES + 1)).reshape(count, LANES + 1, 4)
    stream_GS[:, :WORDS] = state_GKV[:, :LANES].transpose(0, 2, 1).reshape(count, WORDS)
    stream_GS[:, SPARE : SPARE + 4] = state_GKV[:, LANES]
    stream_GS[:, POSITION] = BLOCK
    return stream_GS


@njit(cache=True, nogil=True)
def fill(stream_S: NDArray[np.uint64]) -> None:
    """Make BLOCK new rows."""
    for part in range(BLOCK // AT_ONCE):
        first = WORDS + part * AT_ONCE * LANES
        for k in range(LANES):
            a, b = stream_S[STATE_A + k], stream_S[STATE_B + k]
            c, counter = stream_S[STATE_C + k], stream_S[COUNTER + k]
            # A constant, small trip count: the compiler unrolls this loop, and then runs several k at once with their
            # states in registers.
            for row in range(AT_ONCE):
                out = a + b + counter
                counter += ONE
                a = b ^ (b >> SHIFT_11)
                b = c + (c << SHIFT_3)
                c = ((c << ROTATE_24) | (c >> ROTATE_40)) + out
                stream_S[first + row * LANES + k] = out
            stream_S[STATE_A + k], stream_S[STATE_B + k] = a, b
            stream_S[STATE_C + k], stream_S[COUNTER + k] = c, counter
    stream_S[POSITION] = 0


@njit(inline="always")
def take(stream_S: NDArray[np.uint64]) -> np.int64:
    """Offset of the next row of 64 unused words."""
    if stream_S[POSITION] == BLOCK:
        fill(stream_S)
    row = np.int64(stream_S[POSITION])
    stream_S[POSITION] += ONE
    return WORDS + row * LANES


@njit(inline="always")
def spare_word(stream_S: NDArray[np.uint64]) -> np.uint64:
    """A word of the generator that makes no rows."""
    return sfc64(stream_S[SPARE:])


@njit(inline="always")
def uniform_below(count: int, stream_S: NDArray[np.uint64]) -> np.int64:
    """One of 0 to count - 1, count < 2^31, all equally likely (Lemire, ACM TOMACS 29 (2019) 3)."""
    uneven = np.uint64((1 << 32) % count)
    while True:
        product = (spare_word(stream_S) >> HALF_WORD) * np.uint64(count)
        if (product & LOWER_HALF) >= uneven:
            return np.int64(product >> HALF_WORD)
