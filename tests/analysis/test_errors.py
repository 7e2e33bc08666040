"""Errors from resampling chains: right for correlated rows, few chains and many; wrong recipes are noticed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, norm

from analysis.errors import Estimate, binomial, bootstrap, chain_sums, index_chains, resample

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed
TRIALS = 300


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.99731, 0.00123, "0.9973(12)"),
        (115.43, 1.23, "115.4(1.2)"),
        (1154.3, 12.4, "1154(12)"),
        (12344.0, 678.0, "12340(680)"),
        (12.34, 0.996, "12.3(1.0)"),
        (0.5, 0.0996, "0.50(10)"),
        (-0.0021, 0.0304, "-0.002(30)"),
        (1.0, 0.0, "1(0)"),
        (0.5, float("nan"), "0.5(?)"),
    ],
)
def test_digits_follow_the_error(value: float, error: float, text: str) -> None:
    assert str(Estimate(value, error, 10, "")) == text


def ar1(rng: np.random.Generator, chains: int, rows: int, memory: float) -> NDArray[np.float64]:
    """Stationary chains with unit variance and correlation ``memory`` from row to row, (chains * rows, 1)."""
    x = np.empty((chains, rows))
    x[:, 0] = rng.normal(size=chains)
    for t in range(1, rows):
        x[:, t] = memory * x[:, t - 1] + np.sqrt(1 - memory**2) * rng.normal(size=chains)
    return x.reshape(-1, 1)


def relative_variance(memory: float, num_chains: int, strata: int, rows: int, by_row: bool) -> tuple[float, float]:
    """Mean squared error bar over the true variance of the mean, and the standard error of this ratio."""
    rng = np.random.default_rng(5)
    per_chain = np.arange(num_chains * rows) // rows
    stratum = per_chain % strata
    chains = index_chains(np.arange(num_chains * rows) if by_row else per_chain, stratum)
    squared = [
        bootstrap(lambda m: m, ar1(rng, num_chains, rows, memory), chains, rng, 100)[0].error ** 2
        for _ in range(TRIALS)
    ]
    lags = np.arange(1, rows)
    one_chain = (1 + 2 * ((1 - lags / rows) * memory**lags).sum()) / rows
    ratio = np.array(squared) / (one_chain / num_chains)
    return float(ratio.mean()), float(ratio.std(ddof=1) / np.sqrt(TRIALS))


@pytest.mark.parametrize(("num_chains", "strata"), [(24, 1), (24, 12)])
def test_errors_are_right_for_correlated_rows_and_few_chains(num_chains: int, strata: int) -> None:
    mean, error = relative_variance(0.8, num_chains, strata, rows=20, by_row=False)
    assert abs(mean - 1) < norm.isf(FALSE_ALARM / 2) * error


def test_rows_taken_as_independent_give_too_small_an_error() -> None:
    """Negative control: with tau this long the naive variance is several times too small."""
    mean, error = relative_variance(0.8, 24, 1, rows=20, by_row=True)
    assert mean < 0.5 < 1 - norm.isf(FALSE_ALARM / 2) * error


def test_drawing_all_chains_of_small_strata_would_halve_the_variance() -> None:
    """Negative control for the n - 1 draws: with two chains per stratum n draws lose a factor of two."""
    rng = np.random.default_rng(2)
    x_C = rng.normal(size=400)
    stratum_C = np.arange(400) // 2
    good_B = resample(stratum_C, rng, 2000) @ x_C
    naive_BC = np.concatenate([rng.multinomial(2, [0.5, 0.5], size=2000) for _ in range(200)], axis=1)
    # Two variances of 2000 draws each: the ratio is known to sqrt(4 / 2000) = 4.5 %.
    ratio = np.var(naive_BC @ x_C) / np.var(good_B)
    assert abs(ratio - 0.5) < norm.isf(FALSE_ALARM / 2) * 0.5 * np.sqrt(4 / 2000)


def test_two_errors_cover_the_truth_as_often_as_they_should() -> None:
    """For a function that is not linear: the spread s of n Gaussian rows, whose error is s / sqrt(2 n)."""
    rng = np.random.default_rng(11)
    n = 80
    chains = index_chains(np.arange(n), np.zeros(n))
    covered = 0
    for _ in range(TRIALS):
        x = rng.normal(size=(n, 1))
        estimate = bootstrap(lambda m: np.sqrt(m[1] - m[0] ** 2), np.hstack([x, x**2]), chains, rng)[0]
        covered += abs(estimate.value - 1) < 2 * estimate.error
    # |s - 1| < 2 s / sqrt(2 n), and n s^2 follows chi-square with n - 1 degrees of freedom.
    lower, upper = (1 + np.array([2, -2]) / np.sqrt(2 * n)) ** -2
    expected = chi2.cdf(n * upper, n - 1) - chi2.cdf(n * lower, n - 1)
    assert binomtest(covered, TRIALS, expected).pvalue > FALSE_ALARM


def test_weights_keep_every_stratum() -> None:
    stratum_C = np.array([0, 0, 1, 1, 1])
    weight_BC = resample(stratum_C, np.random.default_rng(0), 50)
    np.testing.assert_allclose(weight_BC[:, :2].sum(1), 2)
    np.testing.assert_allclose(weight_BC[:, 2:].sum(1), 3)


def test_chains_are_numbered_through_strata_and_summed() -> None:
    chains = index_chains([0, 0, 1, 1, 0, 2], ["b", "b", "b", "a", "a", "a"])
    assert chains.num_chains == 5
    assert chains.stratum_C.tolist() == [0, 0, 0, 1, 1]
    x_SF = np.arange(6.0)[:, None]
    assert chain_sums(x_SF, chains)[:, 0].tolist() == [4.0, 3.0, 5.0, 1.0, 2.0]


def test_estimates_say_what_they_are_and_repeat() -> None:
    x_SF = np.random.default_rng(0).normal(size=(30, 2))
    chains = index_chains(np.arange(30) // 3, np.zeros(30))
    first = bootstrap(lambda m: m, x_SF, chains, np.random.default_rng(3))
    assert first == bootstrap(lambda m: m, x_SF, chains, np.random.default_rng(3))
    np.testing.assert_allclose([e.value for e in first], x_SF.mean(0))
    assert first[0].samples == 30
    assert "10 chains" in first[0].method


def test_binomial_error_is_not_zero_for_no_success() -> None:
    none, half = binomial(0, 100), binomial(50, 100)
    assert none.value == 0
    assert none.error == pytest.approx(0.005 / 1.01)
    assert half.error == pytest.approx(np.sqrt(0.25 / 100 + 0.25 / 1e4) / 1.01)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="single chain"):
        index_chains([0, 0, 1, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="equally long"):
        index_chains([0, 0, 1], [0, 0])
    with pytest.raises(ValueError, match="at least 2"):
        resample(np.zeros(4, dtype=np.intp), np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="successes"):
        binomial(3, 2)
    with pytest.raises(ValueError, match="one row per sample"):
        chain_sums(np.zeros((3, 1)), index_chains([0, 1], [0, 0]))
