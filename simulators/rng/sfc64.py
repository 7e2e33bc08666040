"""SFC64, once: states, steps and uniform numbers, for one chain or for many at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

ZERO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
SHIFT_11, SHIFT_3, ROTATE_24, ROTATE_40 = np.uint64(11), np.uint64(3), np.uint64(24), np.uint64(40)
WARM_UP = 18
"""Steps after which the authors of SFC64 call a generator seeded with three words well mixed."""
SHIFT_TO_DOUBLE = np.uint64(11)
TWO_TO_MINUS_53 = 2.0**-53
CHUNK_BITS, ABOVE_CHUNKS = np.uint64(16), np.uint64(48)


@njit(inline="always")
def step(
    a: np.uint64, b: np.uint64, c: np.uint64, counter: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """Next word of an SFC64 generator and its next state, for loops that keep it in registers."""
    out = a + b + counter
    return out, b ^ (b >> SHIFT_11), c + (c << SHIFT_3), ((c << ROTATE_24) | (c >> ROTATE_40)) + out, counter + ONE


def generators(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """(count, 4) states (a, b, c, counter) of SFC64 generators, seeded from ``rng`` and warmed up."""
    a, b, c = rng.integers(0, 2**64, size=(3, count), dtype=np.uint64)
    for step in range(WARM_UP):
        out = a + b + np.uint64(step + 1)
        a, b, c = b ^ (b >> SHIFT_11), c + (c << SHIFT_3), ((c << ROTATE_24) | (c >> ROTATE_40)) + out
    return np.stack([a, b, c, np.full(count, WARM_UP + 1, dtype=np.uint64)], axis=1)


@njit(inline="always")
def sfc64(state_V: NDArray[np.uint64]) -> np.uint64:
    """Next word of one generator, state (a, b, c, counter)."""
    b, c = state_V[1], state_V[2]
    out = state_V[0] + b + state_V[3]
    state_V[0] = b ^ (b >> SHIFT_11)
    state_V[1] = c + (c << SHIFT_3)
    state_V[2] = ((c << ROTATE_24) | (c >> ROTATE_40)) + out
    state_V[3] += ONE
    return out


@njit(inline="always")
def uniform(state_V: NDArray[np.uint64]) -> float:
    """A double in [0, 1)."""
    return (sfc64(state_V) >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53
