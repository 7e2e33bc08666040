"""Averages over a signed measure that is known exactly: reweighted estimates find it, those without the sign do not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import Chains, average, bootstrap, chain_sums, index_chains, part_of
from analysis.latent_space.canonical import align, canonical
from analysis.latent_space.correlation import correlate
from analysis.orders import signs
from analysis.phases import label
from analysis.scans import thermal_scan

FALSE_ALARM_Z = 4.5
"""7e-6 per comparison of a normal number; seeds are fixed."""
STATES_NK = np.array([[-0.6, 0.4], [-0.8, -0.4], [0.1, 0.8], [-0.2, 0.2], [0.5, 0.3], [-0.9, 0.8]])
"""Two observables of six states."""
WEIGHTS_N = np.array([1.4, 0.9, -0.5, -0.6, 0.6, 0.5])
"""Their weights, some negative; the average sign is 2.3 / 4.5, and the correlation changes its own."""


EXPERIMENTS = 150


class Sampled(NamedTuple):
    x_SK: NDArray[np.float64]
    sign_S: NDArray[np.float64]
    chains: Chains
    """Without the signs."""

    @property
    def thermal(self) -> Chains:
        return self.chains._replace(weight_S=self.sign_S)


def sampled(seed: int, num_chains: int = 40, rows: int = 50, strata: int = 1, stay: float = 0.5) -> Sampled:
    """Chains that visit states as often as |weight| says; each step they stay where they are with some probability."""
    rng = np.random.default_rng(seed)
    probability = np.abs(WEIGHTS_N) / np.abs(WEIGHTS_N).sum()
    chains = num_chains * strata
    states = rng.choice(len(WEIGHTS_N), p=probability, size=(chains, rows))
    for step in range(1, rows):
        keep = rng.random(chains) < stay
        states[keep, step] = states[keep, step - 1]
    chain_S = np.repeat(np.arange(chains), rows)
    flat = states.ravel()
    return Sampled(STATES_NK[flat], np.sign(WEIGHTS_N[flat]), index_chains(chain_S, chain_S // num_chains))


def exact(weight_N: NDArray[np.float64] = WEIGHTS_N) -> dict[str, float]:
    """Averages under a measure that need not be positive."""
    p = weight_N / weight_N.sum()
    mean = p @ STATES_NK
    cov = (STATES_NK * p[:, None]).T @ STATES_NK - np.outer(mean, mean)
    correlation = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    return {"mean": mean[0], "abs": p @ np.abs(STATES_NK[:, 0]), "correlation": correlation}


def z(found: tuple[float, float], expected: float) -> float:
    return (found[0] - expected) / found[1]


def test_the_signed_measure_is_another_one() -> None:
    signed, unsigned = exact(), exact(np.abs(WEIGHTS_N))
    assert all(abs(signed[name] - unsigned[name]) > 0.3 for name in signed)
    assert signed["correlation"] < 0 < unsigned["correlation"]


@pytest.mark.parametrize("strata", [1, 3])
def test_means_are_ratios(strata: int) -> None:
    data = sampled(1, num_chains=400, strata=strata)

    def found(chains: Chains) -> tuple[float, float]:
        (one, _) = bootstrap(lambda mean: mean, data.x_SK, chains, np.random.default_rng(2))
        assert ("sign" in one.method) == (chains.weight_S is not None)
        return one.value, one.error

    assert abs(z(found(data.thermal), exact()["mean"])) < FALSE_ALARM_Z
    assert abs(z(found(data.chains), exact()["mean"])) > 10, "negative control: the sign is ignored"
    assert abs(z(found(data.chains), exact(np.abs(WEIGHTS_N))["mean"])) < FALSE_ALARM_Z


def test_the_error_is_that_of_the_jackknife_over_chains() -> None:
    data = sampled(3, num_chains=200)
    (mean, _) = bootstrap(lambda mean: mean, data.x_SK, data.thermal, np.random.default_rng(2), resamples=4000)
    sum_C = chain_sums(data.x_SK, data.thermal)[:, 0]
    sign_C = chain_sums(np.ones((len(data.x_SK), 1)), data.thermal)[:, 0]
    without_C = (sum_C.sum() - sum_C) / (sign_C.sum() - sign_C)
    jackknife = np.sqrt(199 / 200 * ((without_C - without_C.mean()) ** 2).sum())
    assert mean.value == pytest.approx(sum_C.sum() / sign_C.sum(), rel=1e-12)
    # 4000 resamples know their scatter to 1.1 %; the two agree to about 1 / 200 beyond that.
    assert mean.error == pytest.approx(jackknife, rel=0.05)


def test_errors_are_honest() -> None:
    """z has a standard deviation of 1, known to 6 % from 150 experiments; false alarm beyond .3, 1e-6."""
    means, correlations = [], []
    for seed in range(EXPERIMENTS):
        data = sampled(1000 + seed)
        rng = np.random.default_rng(seed)
        means.append(bootstrap(lambda mean: mean, data.x_SK, data.thermal, rng, 100)[0])
        matched = correlate(data.x_SK[:, :1], data.x_SK[:, 1:], data.thermal, rng, 100)
        correlations.append(matched.pairs[0].own)
    for found, expected in ((means, exact()["mean"]), (correlations, abs(exact()["correlation"]))):
        scores = np.array([z((one.value, one.error), expected) for one in found])
        assert 0.7 < scores.std() < 1.3
        assert abs(scores.mean()) < 5 / np.sqrt(EXPERIMENTS)


def test_correlations_are_those_of_weighted_covariances() -> None:
    data, rng = sampled(5, num_chains=400), np.random.default_rng(1)
    expected = exact()["correlation"]

    def found(chains: Chains) -> tuple[float, float]:
        matched = correlate(data.x_SK[:, :1], data.x_SK[:, 1:], chains, rng)
        own = matched.pairs[0].own
        assert matched.matrix_ZK[0, 0] == pytest.approx(matched.pairs[0].sign * own.value, abs=1e-12)
        return matched.matrix_ZK[0, 0], own.error

    assert abs(z(found(data.thermal), expected)) < FALSE_ALARM_Z
    assert abs(z(found(data.chains), expected)) > 10, "negative control: the sign is ignored"


def test_canonical_correlations_and_alignment() -> None:
    data, rng = sampled(6, num_chains=400), np.random.default_rng(1)
    expected = exact()["correlation"] ** 2

    def squared(chains: Chains) -> tuple[float, float]:
        smallest = canonical(data.x_SK[:, :1], data.x_SK[:, 1:], chains, rng).smallest
        return smallest.value, smallest.error

    assert abs(z(squared(data.thermal), expected)) < FALSE_ALARM_Z
    assert abs(z(squared(data.chains), expected)) > 10, "negative control: the sign is ignored"
    worst = align(data.x_SK[:, :1], data.x_SK[:, 1:], data.thermal, rng).worst
    assert abs(z((worst.value, worst.error), abs(exact()["correlation"]))) < FALSE_ALARM_Z


def test_curves_are_averages_of_magnitudes() -> None:
    data = sampled(7, num_chains=200, strata=2)
    temperature_S = np.where(data.chains.stratum_C[data.chains.chain_S] == 0, 1.0, 2.0)
    for chains, is_right in ((data.thermal, True), (data.chains, False)):
        scan = thermal_scan(data.x_SK, temperature_S, chains, np.random.default_rng(1))
        assert scan.temperature == (1.0, 2.0)
        for mean_F in scan.mean_TF:
            assert (abs(z((mean_F[0].value, mean_F[0].error), exact()["abs"])) < FALSE_ALARM_Z) == is_right


def test_a_point_is_ordered_if_its_thermal_average_is() -> None:
    """<|m|> is .4 for weights 3 and -1 of lengths .5 and .8: .35 with the sign, .575 without it."""
    order_SK = np.array([[0.5], [0.5], [0.5], [0.8]])
    sign_S = np.array([1.0, 1.0, 1.0, -1.0])
    strata = np.zeros(4, dtype=int)
    assert label(order_SK, signs(["m"]), strata, 0.5).orders == (0,)
    assert label(order_SK, signs(["m"]), strata, 0.5, sign_S).orders == ()
    assert label(order_SK, signs(["m"]), strata, 0.5, np.array([1.0, -1.0, 1.0, -1.0])).orders == ()


def test_every_point_counts_with_its_rows() -> None:
    """Two points of average signs 1 and 1/3 and means 1 and 3: their average is 2, not that of all rows together."""
    x_SF = np.array([1.0] * 6 + [3.0] * 6)[:, None]
    sign_S = np.array([1.0] * 6 + [1.0, 1.0, -1.0] * 2)
    chains = index_chains([0, 0, 0, 1, 1, 1] * 2, [0] * 6 + [1] * 6)._replace(weight_S=sign_S)
    assert average(x_SF, chains)[0] == pytest.approx(2)
    (mean,) = bootstrap(lambda mean: mean, x_SF, chains, np.random.default_rng(1), 50)
    assert mean.value == pytest.approx(2) and mean.error == pytest.approx(0, abs=1e-12)


def test_signs_that_are_all_positive_change_nothing() -> None:
    data = sampled(8)
    ones = data.chains._replace(weight_S=np.ones(len(data.x_SK)))
    plain, weighted = (
        bootstrap(lambda mean: mean, data.x_SK, chains, np.random.default_rng(1)) for chains in (data.chains, ones)
    )
    for one, other in zip(plain, weighted, strict=True):
        assert (one.value, one.error) == pytest.approx((other.value, other.error), rel=1e-12)


def test_a_sign_that_cancels_leaves_no_number_and_no_warning() -> None:
    x_SF = np.arange(8.0)[:, None]
    chains = index_chains([0, 0, 1, 1, 2, 2, 3, 3], [0] * 8)._replace(weight_S=np.array([1.0, -1.0] * 4))
    (mean,) = bootstrap(lambda mean: mean, x_SF, chains, np.random.default_rng(1), 50)
    assert np.isnan(mean.value) and np.isnan(mean.error)


def test_a_negative_variance_leaves_no_correlation() -> None:
    """Weights that are negative at both ends make <x^2> - <x>^2 negative."""
    x_SD = np.tile([[-1.0, -1.0], [0.0, 0.2], [1.0, 0.9], [0.1, 0.0], [0.0, 0.1]], (40, 1))
    sign_S = np.tile([-1.0, 1.0, -1.0, 1.0, 1.0], 40)
    chains = index_chains(np.repeat(np.arange(8), 25), np.zeros(200))._replace(weight_S=sign_S)
    rng = np.random.default_rng(1)
    matched = correlate(x_SD[:, :1], x_SD[:, 1:], chains, rng)
    assert np.isnan(matched.pairs[0].own.value) and np.isnan(matched.worst.value)
    assert np.isnan(canonical(x_SD[:, :1], x_SD[:, 1:], chains, rng).smallest.value)
    assert np.isnan(align(x_SD[:, :1], x_SD[:, 1:], chains, rng).worst.value)
    two = correlate(np.hstack([x_SD[:, :1], x_SD[:, :1]]), x_SD[:, 1:], chains, rng)
    assert two.rotated is not None and np.isnan(two.rotated.angle.value)


def test_parts_keep_their_signs() -> None:
    data = sampled(9, num_chains=4, rows=5)
    rows = np.flatnonzero(data.chains.chain_S >= 2)
    part = part_of(data.thermal, rows)
    assert part.weight_S is not None
    np.testing.assert_array_equal(part.weight_S, data.sign_S[rows])
    assert part.num_chains == 2 and part_of(data.chains, rows).weight_S is None


def test_a_likelihood_weighted_by_the_sign_has_no_lower_bound() -> None:
    """One spin, seen 60 times with sign + when up and 40 times with sign - when down: what [[train]] refuses.

    The best field under |weight| is finite; under the signed objective every larger field is better.
    """
    field = np.linspace(0, 200, 401)
    log_up, log_down = -np.logaddexp(0, -field), -np.logaddexp(0, field)
    ignoring = -(0.6 * log_up + 0.4 * log_down)
    signed = -(0.6 * log_up - 0.4 * log_down) / 0.2
    assert 0 < ignoring.argmin() < len(field) - 1
    assert (np.diff(signed) < 0).all() and signed[-1] < -300
