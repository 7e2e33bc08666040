"""Squares of odd features against even observables."""

import math

import numpy as np
import pytest

from analysis.errors import index_chains
from analysis.squares import squared_correlations

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
