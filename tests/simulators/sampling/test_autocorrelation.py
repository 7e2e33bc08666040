"""Chain statistics against autoregressive processes, whose autocorrelation is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.sampling.autocorrelation import LARGEST_R_HAT, autocorrelation_time, mean_over_chains, r_hat, start_z


def autoregressive(tau: float, chains: int, length: int, seed: int) -> NDArray[np.float64]:
    """Stationary x_t = a x_(t-1) + noise of unit variance; 1/2 + sum a^t = (1 + a) / (2 (1 - a)) = tau."""
    rng = np.random.default_rng(seed)
    a = (2 * tau - 1) / (2 * tau + 1)
    x_RT = np.empty((chains, length))
    x_RT[:, 0] = rng.normal(size=chains)
    for t in range(1, length):
        x_RT[:, t] = a * x_RT[:, t - 1] + np.sqrt(1 - a * a) * rng.normal(size=chains)
    return x_RT


@pytest.mark.parametrize("tau", [0.5, 2.0, 10.0, 40.0])
def test_autocorrelation_time_of_many_short_chains(tau: float) -> None:
    chains, length = 256, 1024
    estimate = autocorrelation_time(autoregressive(tau, chains, length, seed=1))
    # Madras and Sokal: relative variance 2 (2 window + 1) / measurements; 4.9 sigma is 1e-6.  The window leaves out
    # exp(-6) of the sum, the mean of all measurements another 2 tau / (chains length).
    sigma = np.sqrt(2 * (2 * estimate.window + 1) / (chains * length))
    assert estimate.long_enough
    assert estimate.tau == pytest.approx(tau, rel=4.9 * sigma + np.exp(-6) + 2 * tau / (length * chains))


def test_a_wrong_autocorrelation_time_is_noticed() -> None:
    """Negative control: the tolerance above tells 10 from 13."""
    estimate = autocorrelation_time(autoregressive(13.0, 256, 1024, seed=1))
    sigma = np.sqrt(2 * (2 * estimate.window + 1) / (256 * 1024))
    assert estimate.tau != pytest.approx(10.0, rel=4.9 * sigma + np.exp(-6))


def test_series_shorter_than_its_correlations_says_so() -> None:
    assert not autocorrelation_time(autoregressive(100.0, 64, 128, seed=2)).long_enough


def test_chains_that_never_mix_count_as_correlated() -> None:
    x_RT = autoregressive(0.5, 64, 256, seed=3) + np.where(np.arange(64) % 2, 10.0, -10.0)[:, None]
    estimate = autocorrelation_time(x_RT)
    assert not estimate.long_enough
    assert estimate.tau > 50


def test_a_quantity_that_never_varies() -> None:
    frozen_RT = np.full((8, 32), -1.9999999)
    assert autocorrelation_time(frozen_RT) == (0.5, 0, True)
    assert r_hat(frozen_RT) == 1.0
    assert mean_over_chains(frozen_RT).effective_samples == frozen_RT.size
    assert start_z(frozen_RT, np.arange(8) % 2 == 0) == 0.0


def test_chains_frozen_in_different_states() -> None:
    hot_R = np.arange(8) % 2 == 0
    x_RT = np.where(hot_R, 0.3, -1.7)[:, None] * np.ones((8, 32))
    assert r_hat(x_RT) == LARGEST_R_HAT
    assert mean_over_chains(x_RT).effective_samples < 8
    assert start_z(x_RT, hot_R) > 5
    assert np.isfinite(start_z(x_RT, hot_R))


def test_r_hat_of_mixed_and_of_separated_chains() -> None:
    mixed_RT = autoregressive(0.5, 64, 64, seed=4)
    # R-hat^2 = 1 - 1/64 + chi-square_63 / (63 * 64): 1 with a standard deviation of 0.0028; 4.9 sigma is 1e-6.
    assert r_hat(mixed_RT) ** 2 == pytest.approx(1.0, abs=4.9 * 0.0028)
    assert r_hat(mixed_RT + np.linspace(-1, 1, 64)[:, None]) > 1.1


def test_error_covers_the_known_mean_of_correlated_chains() -> None:
    z = [(mean := mean_over_chains(autoregressive(5.0, 64, 128, seed))).mean / mean.error for seed in range(100)]
    # Variance of t_63 is 63/61; a sample variance of 100 has relative deviation 0.14; 4.9 sigma is 1e-6.
    assert np.var(z) == pytest.approx(63 / 61, rel=4.9 * 0.14)
    naive = [x.mean() / (x.std() / np.sqrt(x.size)) for x in (autoregressive(5.0, 64, 128, s) for s in range(100))]
    assert np.var(naive) > (1 + 4.9 * 0.14) * 63 / 61, "negative control: independent errors must be too small"


def test_effective_samples_of_correlated_chains() -> None:
    # N / (2 tau), known to 2 / sqrt(2 * 255) with 256 chains; 4.9 sigma is 1e-6.
    known = mean_over_chains(autoregressive(5.0, 256, 512, seed=5)).effective_samples
    assert known == pytest.approx(256 * 512 / 10, rel=4.9 * 2 / np.sqrt(2 * 255))


def test_start_z_is_a_unit_normal_even_for_few_chains() -> None:
    hot_R = np.arange(6) % 2 == 0
    rng = np.random.default_rng(6)
    z = np.array([start_z(rng.normal(size=(6, 2)), hot_R) for _ in range(4000)])
    # Share beyond 2 of a unit normal, 4.55 %; binomial standard deviation 0.33 %, 4.9 sigma is 1e-6.
    assert np.mean(np.abs(z) > 2) == pytest.approx(0.0455, abs=4.9 * 0.0033)
    assert np.mean(np.abs(z) > 3.5) < 0.0005 + 4.9 * np.sqrt(0.0005 / 4000)


@pytest.mark.parametrize("shape", [(4,), (1, 8), (4, 1)])
def test_too_few_chains_or_measurements_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="chains of two measurements"):
        r_hat(np.zeros(shape))


def test_start_z_needs_two_chains_of_either_start() -> None:
    with pytest.raises(ValueError, match="1 hot and 4 ordered"):
        start_z(np.zeros((5, 4)), np.arange(5) == 0)
