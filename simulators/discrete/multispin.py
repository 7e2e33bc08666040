"""Sixty-four replicas in the bits of one word: random masks that are true with an exact probability.

A *lane* is one bit position of a 64-bit word, that is, one replica.  Every lane has random bits of its own: one
random number shared by all replicas would make them collapse onto each other at low temperature.

A mask decides "random number < probability" in all lanes at once, from the bits P_1 P_2 ... P_64 (most significant
first) of the probability: a lane takes P_k at the first k whose random bit y_k is 0, which happens with chance 2^-k.
Going through the bits backwards, q <- (y_k & q) ^ D_k with D_k = P_k ^ P_(k-1) does that with two operations.
Only LEADING bits are drawn for every lane; the few lanes that are still undecided then go on one word at a time up
to bit 64, so a mask's probability is exact to 2^-64.  Masks that are made together share their random bits, which
is allowed where a lane uses only one of them.

Random words: 64 SFC64 generators side by side, one more for the lanes that are left over.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import ALL, ONE, ZERO, generators, sfc64, step

BLOCK = 64
"""Masks made at once."""
LEADING = 12
"""Random bits drawn for every lane; more cost time, fewer leave more lanes to be decided one word at a time."""

# Layout of a stream: the four state words of BLOCK generators, the masks they last made, the spare generator, and
# how many of the masks have been used.  One array with constant offsets, because only then can the compiler prove
# that its parts don't overlap, and so run several generators per instruction.
STATE_A, STATE_B, STATE_C, COUNTER = 0, BLOCK, 2 * BLOCK, 3 * BLOCK
UNDECIDED = 4 * BLOCK
MASK_0, MASK_1, MASK_2, MASK_3, MASK_4 = 5 * BLOCK, 6 * BLOCK, 7 * BLOCK, 8 * BLOCK, 9 * BLOCK
SPARE = 10 * BLOCK
POSITION = SPARE + 4
STREAM_LENGTH = POSITION + 1
# Where the leading words of each probability begin, constants for the same reason.
OF_1, OF_2, OF_3, OF_4 = LEADING + 1, 2 * (LEADING + 1), 3 * (LEADING + 1), 4 * (LEADING + 1)

AFTER_LEADING = np.uint64(63 - LEADING)
TWO, FOUR, TOP_BYTE = np.uint64(2), np.uint64(4), np.uint64(56)
PAIRS, NIBBLES = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
BYTES, EACH_BYTE = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


class Thresholds(NamedTuple):
    """P probabilities whose masks are made together, as the kernels read them."""

    leading_X: NDArray[np.uint64]
    """(P (LEADING + 1),) words of all bits or none; for each probability D_1 to D_LEADING, then P_LEADING."""
    bits_P: NDArray[np.uint64]
    """floor(2^64 probability), at most 2^64 - 1."""


def thresholds(exponents: Sequence[Decimal]) -> Thresholds:
    """Thresholds of the probabilities exp(-x), x >= 0.

    Raises:
        ValueError: a negative exponent.
    """
    if any(exponent < 0 for exponent in exponents):
        raise ValueError(f"exponents must not be negative, got {[float(x) for x in exponents]}")
    with localcontext() as context:
        context.prec = 50
        scaled = [int((-exponent).exp() * 2**64) for exponent in exponents]
    bits_P = np.array([min(value, 2**64 - 1) for value in scaled], dtype=np.uint64)
    shifts = np.arange(63, 63 - LEADING, -1).astype(np.uint64)
    set_PK = (bits_P[:, None] >> shifts & ONE).astype(bool)
    changes_PK = np.diff(set_PK, axis=1, prepend=False)
    return Thresholds(np.where(np.hstack([changes_PK, set_PK[:, -1:]]), ALL, ZERO).ravel(), bits_P)


def streams(rng: np.random.Generator, words: int) -> NDArray[np.uint64]:
    """(words, STREAM_LENGTH): an independent source of masks for each word, nothing made yet."""
    stream_WS = np.zeros((words, STREAM_LENGTH), dtype=np.uint64)
    state_WGV = generators(rng, words * (BLOCK + 1)).reshape(words, BLOCK + 1, 4)
    stream_WS[:, : 4 * BLOCK] = state_WGV[:, :BLOCK].transpose(0, 2, 1).reshape(words, 4 * BLOCK)
    stream_WS[:, SPARE : SPARE + 4] = state_WGV[:, BLOCK]
    stream_WS[:, POSITION] = BLOCK
    return stream_WS


@njit(inline="always")
def popcount(word: np.uint64) -> np.uint64:
    """Set bits: sums of single bits, then of pairs, nibbles and bytes, all inside the word."""
    word -= (word >> ONE) & PAIRS
    word = (word & NIBBLES) + ((word >> TWO) & NIBBLES)
    word = (word + (word >> FOUR)) & BYTES
    return (word * EACH_BYTE) >> TOP_BYTE


@njit(cache=True, nogil=True)
def decide_rest(stream_S: NDArray[np.uint64], bits_P: NDArray[np.uint64]) -> None:
    """Go on with the lanes that the leading bits left undecided, up to bit 64."""
    spare_V = stream_S[SPARE : SPARE + 4]
    for j in range(BLOCK):
        undecided = stream_S[UNDECIDED + j]
        shift = AFTER_LEADING
        while undecided != ZERO:
            y = sfc64(spare_V)
            for p in range(len(bits_P)):
                if (bits_P[p] >> shift) & ONE:
                    stream_S[MASK_0 + BLOCK * p + j] |= undecided & ~y
            undecided &= y
            if shift == ZERO:
                break
            shift -= ONE


@njit(cache=True, nogil=True)
def fill_two(stream_S: NDArray[np.uint64], leading_X: NDArray[np.uint64], bits_P: NDArray[np.uint64]) -> None:
    """Make BLOCK masks for each of two probabilities, at MASK_0 and MASK_1."""
    for j in range(BLOCK):
        state = stream_S[STATE_A + j], stream_S[STATE_B + j], stream_S[STATE_C + j], stream_S[COUNTER + j]
        q0, q1, undecided = leading_X[LEADING], leading_X[OF_1 + LEADING], ALL
        # LEADING is a constant: the compiler unrolls this loop and runs several j at once.
        for k in range(LEADING - 1, -1, -1):
            y, state = step(state)
            q0 = (y & q0) ^ leading_X[k]
            q1 = (y & q1) ^ leading_X[OF_1 + k]
            undecided &= y
        stream_S[STATE_A + j], stream_S[STATE_B + j], stream_S[STATE_C + j], stream_S[COUNTER + j] = state
        stream_S[MASK_0 + j], stream_S[MASK_1 + j], stream_S[UNDECIDED + j] = q0, q1, undecided
    decide_rest(stream_S, bits_P)


@njit(cache=True, nogil=True)
def fill_five(stream_S: NDArray[np.uint64], leading_X: NDArray[np.uint64], bits_P: NDArray[np.uint64]) -> None:
    """Make BLOCK masks for each of five probabilities, at MASK_0 to MASK_4."""
    for j in range(BLOCK):
        state = stream_S[STATE_A + j], stream_S[STATE_B + j], stream_S[STATE_C + j], stream_S[COUNTER + j]
        q0, q1, q2 = leading_X[LEADING], leading_X[OF_1 + LEADING], leading_X[OF_2 + LEADING]
        q3, q4, undecided = leading_X[OF_3 + LEADING], leading_X[OF_4 + LEADING], ALL
        # In two parts: the compiler doesn't unroll as many operations as the whole loop has.
        for k in range(LEADING - 1, LEADING // 2 - 1, -1):
            y, state = step(state)
            q0 = (y & q0) ^ leading_X[k]
            q1 = (y & q1) ^ leading_X[OF_1 + k]
            q2 = (y & q2) ^ leading_X[OF_2 + k]
            q3 = (y & q3) ^ leading_X[OF_3 + k]
            q4 = (y & q4) ^ leading_X[OF_4 + k]
            undecided &= y
        for k in range(LEADING // 2 - 1, -1, -1):
            y, state = step(state)
            q0 = (y & q0) ^ leading_X[k]
            q1 = (y & q1) ^ leading_X[OF_1 + k]
            q2 = (y & q2) ^ leading_X[OF_2 + k]
            q3 = (y & q3) ^ leading_X[OF_3 + k]
            q4 = (y & q4) ^ leading_X[OF_4 + k]
            undecided &= y
        stream_S[STATE_A + j], stream_S[STATE_B + j], stream_S[STATE_C + j], stream_S[COUNTER + j] = state
        stream_S[MASK_0 + j], stream_S[MASK_1 + j], stream_S[MASK_2 + j] = q0, q1, q2
        stream_S[MASK_3 + j], stream_S[MASK_4 + j], stream_S[UNDECIDED + j] = q3, q4, undecided
    decide_rest(stream_S, bits_P)
