"""The random generator SFC64: its step stands here once, and states, words and uniform numbers follow from it.

A state is four words (a, b, c, counter).  Kernels draw from it in one of three ways, which give the same words:

* ``sfc64(state_V)`` and ``uniform(state_V)`` read and write the state in memory: for numbers that are rare;
* ``step(state)`` keeps it in local variables, that is, in registers: for loops over many words;
* ``simulators.rng.lanes`` and ``simulators.discrete.multispin`` run 64 generators side by side, several of them per
  vector instruction, by ``step`` in a loop over generators.

Source: Chris Doty-Humphrey, SFC64 of PractRand 0.94.

Axes: V the four words of a state, X words.
"""

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
"""A chunk is the first 16 bits that decide an event; a word of 64 bits holds four."""
HALF_WORD, LOWER_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)


State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@njit(inline="always")
def step(state: State) -> tuple[np.uint64, State]:
    """Next word of a generator, and its next state."""
    a, b, c, counter = state
    out = a + b + counter
    return out, (b ^ (b >> SHIFT_11), c + (c << SHIFT_3), ((c << ROTATE_24) | (c >> ROTATE_40)) + out, counter + ONE)


@njit(inline="always")
def load(state_V: NDArray[np.uint64]) -> State:
    """A state from memory."""
    return state_V[0], state_V[1], state_V[2], state_V[3]


@njit(inline="always")
def store(state: State, state_V: NDArray[np.uint64]) -> None:
    """A state back to memory."""
    state_V[0], state_V[1], state_V[2], state_V[3] = state


def generators(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """(count, 4) states of generators, seeded from ``rng`` and warmed up."""
    a, b, c = rng.integers(0, 2**64, size=(3, count), dtype=np.uint64)
    state = (a, b, c, np.ones(count, dtype=np.uint64))
    for _ in range(WARM_UP):
        # The same step, by numpy on all generators at once.
        _, state = step.py_func(state)
    return np.stack(state, axis=1)


@njit(inline="always")
def sfc64(state_V: NDArray[np.uint64]) -> np.uint64:
    """Next word of one generator, whose state is updated in memory."""
    word, state = step(load(state_V))
    store(state, state_V)
    return word


@njit(inline="always")
def uniform(state_V: NDArray[np.uint64]) -> float:
    """A double in [0, 1)."""
    return (sfc64(state_V) >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53


@njit(inline="always")
def below(count: int, state_V: NDArray[np.uint64]) -> np.int64:
    """One of 0 to count - 1, count < 2^31, all equally likely (Lemire, ACM TOMACS 29 (2019) 3)."""
    uneven = np.uint64((1 << 32) % count)
    while True:
        product = (sfc64(state_V) >> HALF_WORD) * np.uint64(count)
        if (product & LOWER_HALF) >= uneven:
            return np.int64(product >> HALF_WORD)


@njit(cache=True, nogil=True)
def fill_words(words_X: NDArray[np.uint64], state_V: NDArray[np.uint64]) -> None:
    """The next words of one generator."""
    state = load(state_V)
    for x in range(len(words_X)):
        words_X[x], state = step(state)
    store(state, state_V)
