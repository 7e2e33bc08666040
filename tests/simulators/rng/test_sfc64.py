"""One step, in memory, in registers and by numpy, is that of numpy's own SFC64."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import WARM_UP, below, fill_words, generators, load, sfc64, step, store, uniform

COUNT = 200


def numpys(seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(4,) a state of numpy's generator, and (COUNT,) the words that follow it."""
    generator = np.random.SFC64(seed)
    return generator.state["state"]["state"].copy(), generator.random_raw(COUNT)


@njit
def in_memory(state_V: NDArray[np.uint64], words_X: NDArray[np.uint64]) -> None:
    for x in range(len(words_X)):
        words_X[x] = sfc64(state_V)


@njit
def in_registers(state_V: NDArray[np.uint64], words_X: NDArray[np.uint64]) -> None:
    state = load(state_V)
    for x in range(len(words_X)):
        words_X[x], state = step(state)
    store(state, state_V)


@njit
def uniforms(state_V: NDArray[np.uint64], numbers_X: NDArray[np.float64]) -> None:
    for x in range(len(numbers_X)):
        numbers_X[x] = uniform(state_V)


@njit
def numbers_below(count: int, state_V: NDArray[np.uint64], numbers_X: NDArray[np.int64]) -> None:
    for x in range(len(numbers_X)):
        numbers_X[x] = below(count, state_V)


def test_every_way_gives_numpys_words_and_state() -> None:
    for way in (in_memory, in_registers, lambda state_V, words_X: fill_words(words_X, state_V)):
        state_V, expected_X = numpys(1)
        words_X = np.empty(COUNT, dtype=np.uint64)
        way(state_V, words_X)
        np.testing.assert_array_equal(words_X, expected_X)
        further = np.random.SFC64(1)
        further.random_raw(COUNT)
        np.testing.assert_array_equal(state_V, further.state["state"]["state"])


def test_another_state_gives_other_words() -> None:
    """Negative control."""
    state_V, expected_X = numpys(1)
    state_V[3] += np.uint64(1)
    words_X = np.empty(COUNT, dtype=np.uint64)
    in_registers(state_V, words_X)
    assert (words_X != expected_X).all()


def test_generators_are_seeds_after_the_warm_up() -> None:
    seeds_3C = np.random.default_rng(5).integers(0, 2**64, size=(3, 4), dtype=np.uint64)
    for state_V, seed_3 in zip(generators(np.random.default_rng(5), 4), seeds_3C.T, strict=True):
        from_seed_V = np.array([*seed_3, 1], dtype=np.uint64)
        in_memory(from_seed_V, np.empty(WARM_UP, dtype=np.uint64))
        np.testing.assert_array_equal(state_V, from_seed_V)


def test_uniform_numbers_are_the_first_53_bits() -> None:
    state_V, words_X = numpys(3)
    numbers_X = np.empty(COUNT)
    uniforms(state_V, numbers_X)
    np.testing.assert_array_equal(numbers_X, (words_X >> np.uint64(11)) / 2**53)


def test_numbers_below_a_count_are_equally_likely() -> None:
    """Chi-square of 3 degrees of freedom: beyond 30 once in 700,000; control: one of three numbers never comes."""
    numbers_X = np.empty(40_000, dtype=np.int64)
    numbers_below(4, numpys(7)[0], numbers_X)
    counts = np.bincount(numbers_X, minlength=4)
    assert len(counts) == 4
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 30
    numbers_below(3, numpys(7)[0], numbers_X)
    counts = np.bincount(numbers_X, minlength=4)
    assert ((counts - 10_000) ** 2 / 10_000).sum() > 30
