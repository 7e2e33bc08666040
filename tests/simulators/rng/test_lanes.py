"""Random words of 64 lanes are those of 64 independent SFC64 generators."""

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from simulators.rng import lanes
from simulators.rng.lanes import LANES
from simulators.rng.sfc64 import generators, sfc64

FALSE_ALARM = 1e-7  # per comparison, of which there are about 70; the seeds are fixed


@njit
def scalar_words(state_V: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    words_N = np.empty(count, dtype=np.uint64)
    for n in range(count):
        words_N[n] = sfc64(state_V)
    return words_N


@njit
def rows(stream_S: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    words_NK = np.empty((count, LANES), dtype=np.uint64)
    for n in range(count):
        row = lanes.take(stream_S)
        words_NK[n] = stream_S[row : row + LANES]
    return words_NK


@njit
def histogram(stream_S: NDArray[np.uint64], count: int, draws: int) -> NDArray[np.int64]:
    found = np.zeros(count, dtype=np.int64)
    for _ in range(draws):
        found[lanes.uniform_below(count, stream_S)] += 1
    return found


def test_every_lane_is_a_generator_of_its_own() -> None:
    """Word for word, over several blocks, and the spare one too."""
    stream_GS = lanes.streams(np.random.default_rng(1), 2)
    state_GKV = generators(np.random.default_rng(1), 2 * (LANES + 1)).reshape(2, LANES + 1, 4)
    count = 3 * lanes.BLOCK + 1
    for stream_S, state_KV in zip(stream_GS, state_GKV, strict=True):
        words_NK = rows(stream_S, count)
        for k in range(LANES):
            np.testing.assert_array_equal(words_NK[:, k], scalar_words(state_KV[k], count))
        spare = state_KV[LANES].copy()
        np.testing.assert_array_equal(stream_S[lanes.SPARE : lanes.SPARE + 4], spare)
    assert len(np.unique(state_GKV.reshape(-1, 4), axis=0)) == 2 * (LANES + 1)


def test_taking_rows_in_two_calls_is_the_same() -> None:
    whole, parts = (lanes.streams(np.random.default_rng(2), 1)[0] for _ in range(2))
    expected = rows(whole, 40)
    found = np.concatenate([rows(parts, count) for count in (1, 15, 0, 7, 17)])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(whole, parts)


def test_no_bit_is_biased_and_lanes_are_uncorrelated() -> None:
    words_NK = rows(lanes.streams(np.random.default_rng(3), 1)[0], 4000)
    for bit in range(64):
        ones = int(((words_NK >> np.uint64(bit)) & np.uint64(1)).sum())
        z = (ones - words_NK.size / 2) / np.sqrt(words_NK.size / 4)
        assert abs(z) < norm.isf(FALSE_ALARM / 2), bit
    correlations = np.corrcoef((words_NK >> np.uint64(11)).astype(float), rowvar=False)[np.triu_indices(LANES, 1)]
    # 2016 of them.
    assert np.abs(correlations).max() * np.sqrt(4000) < norm.isf(FALSE_ALARM / 4000)
    # Negative control: two lanes that share their numbers.
    words_NK[:, 1] = words_NK[:, 0]
    assert np.corrcoef((words_NK[:, :2] >> np.uint64(11)).astype(float), rowvar=False)[0, 1] > 0.999


@pytest.mark.parametrize("count", [1, 2, 3, 63, 3_000_000_000 // 2])
def test_bounded_numbers_are_uniform(count: int) -> None:
    stream_S = lanes.streams(np.random.default_rng(4), 1)[0]
    if count < 100:
        found = histogram(stream_S, count, 200_000)
        expected = 200_000 / count
        statistic = ((found - expected) ** 2 / expected).sum()
        assert count == 1 or chi2.sf(statistic, count - 1) > FALSE_ALARM
        return
    # Where one number in three must be rejected: truncating would make one third of them twice as frequent.
    drawn = many_below(stream_S, count, 200_000)
    halves = (drawn < count // 2).mean()
    assert abs(halves - 0.5) < norm.isf(FALSE_ALARM / 2) * 0.5 / np.sqrt(200_000)
    assert drawn.max() < count


@njit
def many_below(stream_S: NDArray[np.uint64], count: int, draws: int) -> NDArray[np.int64]:
    drawn = np.empty(draws, dtype=np.int64)
    for n in range(draws):
        drawn[n] = lanes.uniform_below(count, stream_S)
    return drawn
