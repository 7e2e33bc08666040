"""Squares of odd features against even observables."""

import math

import numpy as np
import pytest

from analysis.errors import index_chains
from analysis.latent_space.squares import read_by_line, read_fluctuations, squared_correlations

SAMPLES, CHAINS = 40_000, 400


def sample(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """m of unit variance; z = (m + noise) / sqrt(2) and m as features, m^2 + noise and a constant as observables."""
    rng = np.random.default_rng(seed)
    m_S, noise_S, other_S = rng.standard_normal((3, SAMPLES))
    odd_SK = np.stack([(m_S + noise_S) / math.sqrt(2) + 0.3, m_S, np.ones(SAMPLES)], axis=1)
    return odd_SK, np.stack([m_S**2 + math.sqrt(2) * other_S, np.ones(SAMPLES)], axis=1)


def test_correlations_of_gaussians() -> None:
    """corr(z^2, m^2) = corr(z, m)^2 = 1/2, times 1/sqrt(2) for the observable's noise; |z| < 5, chance 6e-7 each."""
    odd_SK, value_SV = sample()
    chains = index_chains(np.arange(SAMPLES) % CHAINS, np.zeros(SAMPLES, dtype=int))
    found = squared_correlations(odd_SK, value_SV, chains, np.random.default_rng(2))
    for estimate, expected in ((found[0][0], 0.5 / math.sqrt(2)), (found[1][0], 1 / math.sqrt(2))):
        assert abs(estimate.value - expected) < 5 * estimate.error
        assert 0.002 < estimate.error < 0.02
    assert found[0][0].value < found[1][0].value - 0.3, "negative control"


def test_what_is_constant_has_no_correlation() -> None:
    odd_SK, value_SV = sample()
    chains = index_chains(np.arange(SAMPLES) % CHAINS, np.zeros(SAMPLES, dtype=int))
    found = squared_correlations(odd_SK, value_SV, chains, np.random.default_rng(2), 20)
    assert math.isnan(found[2][0].value) and math.isnan(found[0][1].value)


def test_signs_are_weights() -> None:
    """Rows of weight -1 take away what rows of weight 1 have too many of."""
    odd_SK, value_SV = sample()
    extra = np.arange(0, SAMPLES, 4)
    rows = np.concatenate([np.arange(SAMPLES), extra, extra])
    weight_S = np.concatenate([np.ones(SAMPLES + len(extra)), -np.ones(len(extra))])
    plain = index_chains(np.arange(SAMPLES) % CHAINS, np.zeros(SAMPLES, dtype=int))
    signed = index_chains(rows % CHAINS, np.zeros(len(rows), dtype=int))._replace(weight_S=weight_S)
    expected = squared_correlations(odd_SK[:, :2], value_SV[:, :1], plain, np.random.default_rng(2), 10)
    found = squared_correlations(odd_SK[rows, :2], value_SV[rows, :1], signed, np.random.default_rng(2), 10)
    for one, other in zip(found, expected, strict=True):
        assert one[0].value == pytest.approx(other[0].value, rel=1e-9)


def test_unequal_rows_are_refused() -> None:
    odd_SK, value_SV = sample()
    chains = index_chains(np.arange(SAMPLES), np.zeros(SAMPLES, dtype=int))
    with pytest.raises(ValueError, match="got 40000 rows of features but 39999"):
        squared_correlations(odd_SK, value_SV[1:], chains, np.random.default_rng(1))


def spread() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x of variances .5, 1 and 2 at three points, z = .7 x + .2 with a little noise, x^2 + noise as observable."""
    rng = np.random.default_rng(3)
    point_S = np.arange(SAMPLES) % 3
    x_S = rng.standard_normal(SAMPLES) * np.sqrt([0.5, 1.0, 2.0])[point_S]
    z_S = 0.7 * x_S + 0.2 + 0.01 * rng.standard_normal(SAMPLES)
    return point_S, x_S, z_S, x_S**2 + rng.standard_normal(SAMPLES)


def test_a_linear_latent_gives_what_the_order_parameter_gives() -> None:
    """Scale 2 and rest 1 at every point: 2, 3 and 5; |z| < 5 over 12 comparisons, chance 7e-6."""
    point_S, x_S, z_S, value_S = spread()
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    given = x_S, np.full(SAMPLES, 2.0), np.ones(SAMPLES), 2 * value_S + 1, point_S, chains
    rng = np.random.default_rng(4)
    latents, orders = (read_fluctuations(some, some**2, *given, rng) for some in (z_S, x_S))
    for latent, order, expected in zip(latents, orders, (2, 3, 5), strict=True):
        for reading in (latent, order):
            assert reading.direct is not None and reading.off is not None
            assert abs(reading.read.value - expected) < 5 * reading.read.error
            assert abs(reading.off.value) < 5 * reading.off.error
            assert reading.off.value == pytest.approx(reading.read.value - reading.direct.value, abs=1e-12)
        assert latent.read.error == pytest.approx(order.read.error, rel=0.2)
    assert latents[0].direct is not None
    assert latents[0].direct.value == pytest.approx((2 * value_S + 1)[point_S == 0].mean(), rel=1e-12)


def test_squares_of_parts_are_of_each_by_itself() -> None:
    """Of two numbers (x + y, x - y) the mean is x, and the mean square x^2 + y^2."""
    point_S, x_S, _, value_S = spread()
    y_S = np.random.default_rng(6).standard_normal(SAMPLES)
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    linear_S, square_S = 3 * x_S - 1, ((3 * (x_S + y_S) - 1) ** 2 + (3 * (x_S - y_S) - 1) ** 2) / 2
    given = x_S, np.ones(SAMPLES), np.zeros(SAMPLES), value_S + 1, point_S, chains
    found = read_fluctuations(linear_S, square_S, *given, np.random.default_rng(4))
    for reading, expected in zip(found, (1.5, 2, 3), strict=True):
        assert abs(reading.read.value - expected) < 5 * reading.read.error
        assert reading.off is not None and abs(reading.off.value) < 5 * reading.off.error


def test_a_direction_that_is_not_pure_has_more_of_each_element_with_itself() -> None:
    """Sixteen elements x signs + noise: <x^2> is that of their mean, less the noise's 1/16; |z| < 5, 6 comparisons."""
    point_S, x_S, _, value_S = spread()
    rng = np.random.default_rng(7)
    sign_N, other_N = np.array([1.0, -1.0] * 8), np.array([1.0, 1.0, -1.0, -1.0] * 4)
    element_SN = x_S[:, None] * sign_N + rng.standard_normal((SAMPLES, 16))
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    order_S, weight_N = element_SN @ sign_N / 16, 0.7 * (sign_N + 2 * other_N) / 16
    z_S = element_SN @ weight_N
    given = order_S, np.ones(SAMPLES), np.full(SAMPLES, -1 / 16), value_S, point_S, chains, np.random.default_rng(4)
    pure = read_fluctuations(order_S, order_S**2, *given)
    mixed = read_fluctuations(z_S, z_S**2, *given, squared_norm=16 * float(weight_N @ weight_N))
    for reading in (*pure, *mixed):
        assert reading.off is not None and abs(reading.off.value) < 5 * reading.off.error
    # Negative control: taken for the order parameter's own direction.
    blind = read_fluctuations(z_S, z_S**2, *given)
    assert blind[0].off is not None and blind[0].off.value > 10 * blind[0].off.error


def test_a_latent_that_saturates_does_not() -> None:
    """The negative control: it gives too little at the last point."""
    point_S, x_S, _, value_S = spread()
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    given = x_S, np.ones(SAMPLES), np.zeros(SAMPLES), value_S, point_S, chains
    z_S = np.tanh(x_S)
    *_, latent = read_fluctuations(z_S, z_S**2, *given, np.random.default_rng(4))
    assert latent.off is not None and latent.off.value < -5 * latent.off.error


def test_what_was_not_measured_is_not_compared() -> None:
    point_S, x_S, z_S, _ = spread()
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    ones_S = np.ones(SAMPLES)
    given = x_S, ones_S, ones_S, None, point_S, chains
    found = read_fluctuations(z_S, z_S**2, *given, np.random.default_rng(4), 20)
    assert all(reading.direct is None and reading.off is None for reading in found)


def test_a_line_gives_means_that_lie_on_it_and_no_others() -> None:
    point_S, _, z_S, value_S = spread()
    chains = index_chains(np.arange(SAMPLES) // 3 % CHAINS, point_S)
    on, beside = (
        read_by_line(z_S, value, point_S, chains, np.random.default_rng(4))
        for value in (value_S, value_S + np.array([0.0, 0.3, 0.0])[point_S])
    )
    assert all(abs(r.off.value) < 5 * r.off.error for r in on if r.off is not None)
    assert beside[1].off is not None and beside[1].off.value < -5 * beside[1].off.error
