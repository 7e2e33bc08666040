"""Random words for kernels that update the same site of 64 chains at a time: 64 SFC64 generators side by side.

A *stream* is one array, (STREAM_LENGTH,) words: the generators' states, BLOCK rows of 64 words that they made last,
one more generator for rare cases, and how many of the rows are used up.  A kernel takes whole rows: word k of a row
is lane k's own, or with other numbers of lanes any part of a word goes to one lane only.

    row = take(stream_S)                 # makes a new block where the last one is used up
    words_K = stream_S[row : row + 64]   # valid until the next take

Uniform numbers: disjoint parts of a word are independent integers; ``TWO_TO_MINUS_53 * (word >> 11)`` is a double in
[0, 1).  A number of few bits that ties with its threshold is decided by ``spare_word``, the bits that would have
followed.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import ONE, below, generators, sfc64, step

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
            state = stream_S[STATE_A + k], stream_S[STATE_B + k], stream_S[STATE_C + k], stream_S[COUNTER + k]
            # A constant, small trip count: the compiler unrolls this loop, and then runs several k at once with their
            # states in registers.
            for row in range(AT_ONCE):
                stream_S[first + row * LANES + k], state = step(state)
            stream_S[STATE_A + k], stream_S[STATE_B + k], stream_S[STATE_C + k], stream_S[COUNTER + k] = state
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
    """``sfc64.below`` of the generator that makes no rows."""
    return below(count, stream_S[SPARE:])
