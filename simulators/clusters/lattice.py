"""Sites of the periodic square lattice, as clusters grow over them: N = size^2 sites, row by row.

Axes: V words of a generator's state.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import HALF_WORD, sfc64


@njit(inline="always")
def part_of(half_word: np.uint64, count: int) -> int:
    """One of 0 to count - 1, count < 2^31, from 32 random bits.

    Numbers are equally likely to 2^-32 only.  For the site that a cluster grows from, and the reflection that it grows
    with, this is no error: a cluster that is turned back has the same, and their probability cancels in detailed
    balance.
    """
    return int((half_word * np.uint64(count)) >> HALF_WORD)


@njit(inline="always")
def random_site(sites: int, state_V: NDArray[np.uint64]) -> int:
    """One of ``sites`` < 2^31 sites."""
    return part_of(sfc64(state_V) >> HALF_WORD, sites)


@njit(inline="always")
def neighbour(site: int, column: int, size: int, which: int) -> tuple[int, int]:
    """Site and column of a neighbour on the periodic lattice: 0 right, 1 left, 2 below, 3 above."""
    if which == 0:
        return (site + 1, column + 1) if column + 1 < size else (site + 1 - size, 0)
    if which == 1:
        return (site - 1, column - 1) if column > 0 else (site - 1 + size, size - 1)
    if which == 2:
        return (site + size, column) if site + size < size * size else (site + size - size * size, column)
    return (site - size, column) if site >= size else (site - size + size * size, column)
