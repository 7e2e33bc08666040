"""What the local kernels of continuous spins share: lanes, their random numbers, exp(-x) without a library call.

A site of LANES chains is updated at once.  One row of 64 words of ``simulators.rng.lanes`` serves one proposal in all
of them: the first LANES words propose, the others accept.

A kernel goes along a row of sites in one function, with loops over the lanes that have constant lengths, few arrays,
and neither branches nor calls nor divisions that could raise: the compiler turns such loops into vector instructions.
Handing over single sites instead, as slices, would cost as much as their update.  Only sums, products, quotients and
bits are used, none of them reordered, and fused only by name, so the numbers are the same on every processor.
"""

import math
from typing import Any

import numpy as np
from numba import float64, njit
from numba.extending import intrinsic
from numpy.typing import NDArray

from simulators.rng.lanes import take
from simulators.rng.sfc64 import SHIFT_TO_DOUBLE, TWO_TO_MINUS_53

LANES = 32
ACCEPTING = np.uint64(LANES)
"""Where in a row of words those begin that accept."""
UPDATES_PER_CALL = 2**25
"""Most site updates, of all lanes, in one kernel call, well below a second of work: between calls Python can be
interrupted."""

LOG2_E = 1.0 / math.log(2.0)
LN_2_HIGH = 0.6931471803691238
"""The leading 32 bits of ln 2, so that products with small integers are exact."""
LN_2_LOW = 1.9082149292705877e-10
ROUND = 1.5 * 2.0**52
"""Adding it to |x| < 2^51 rounds x to a whole number, which then stands in the last bits."""
LARGEST = 40.0
"""exp(-40) < 2^-57: a uniform double, a multiple of 2^-53, is below it only if it is 0."""
EXPONENT = np.uint64(52)
C3, C4, C5, C6, C7, C8, C9, C10, C11, C12 = (1.0 / math.factorial(n) for n in range(3, 13))


@intrinsic
def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once: one instruction where the processor has it, and the same number where not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return float64(float64, float64, float64), generate


@njit(inline="always")
def exp_minus(x: float) -> float:
    """exp(-x) to a relative error of 4e-16, for 0 <= x <= 700.

    exp(-x) = 2^n exp(r), n the whole number next to -x / ln 2 and |r| <= ln(2) / 2, where the Taylor series to r^12 is
    good to 2e-16; the power of two is added to the exponent's bits.
    """
    shifted = fused(-LOG2_E, x, ROUND)
    n = shifted - ROUND
    r = fused(n, -LN_2_LOW, fused(n, -LN_2_HIGH, -x))
    series = fused(r, fused(r, fused(r, fused(r, C12, C11), C10), C9), C8)
    series = fused(r, fused(r, fused(r, fused(r, series, C7), C6), C5), C4)
    series = fused(r, fused(r, fused(r, fused(r, series, C3), 0.5), 1.0), 1.0)
    power = np.float64(shifted).view(np.uint64) << EXPONENT
    return np.uint64(np.float64(series).view(np.uint64) + power).view(np.float64)


@njit(inline="always")
def uniform(word: np.uint64) -> float:
    """A multiple of 2^-53 in [0, 1)."""
    return (word >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53


@njit(inline="always")
def symmetric(word: np.uint64) -> float:
    """An odd multiple of 2^-53 in (-1, 1), as likely as its negative."""
    return (word >> SHIFT_TO_DOUBLE) * (2.0 * TWO_TO_MINUS_53) - (1.0 - TWO_TO_MINUS_53)


@njit(inline="always")
def accepted(cost: float, word: np.uint64) -> bool:
    """True with probability min(1, exp(-cost)), by one uniform double."""
    return uniform(word) < exp_minus(min(max(cost, 0.0), LARGEST))


@njit(inline="always")
def proposal(stream_S: NDArray[np.uint64]) -> np.uint64:
    """Offset of the words of the next proposal.

    Unsigned, as everything added to it must be: such an index needs no check for counting from the end, which would
    keep the loops that use it from being vector instructions.
    """
    return np.uint64(take(stream_S))
