"""Decoder readings of data whose conditional mean is known."""

import numpy as np
import pytest

from analysis.decoder.reading import read
from analysis.errors import index_chains

SAMPLES, SITES, CHAINS = 6000, 64, 60


def data(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A latent, and spins that are independent given it with the mean tanh(z)."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal(SAMPLES)
    order = (2 * rng.binomial(SITES, (1 + np.tanh(latent)) / 2) - SITES) / SITES
    return latent, order, np.tile(np.arange(CHAINS), SAMPLES // CHAINS)


def test_a_decoder_that_knows_the_conditional_mean_agrees_within_errors() -> None:
    """About 14 bins within 5 standard errors: 1e-5 false alarms."""
    latent, order, chain = data()
    chains = index_chains(chain, np.zeros(SAMPLES, int))
    rng = np.random.default_rng(2)
    found = read(latent, order, np.tanh(latent), 2 * latent, np.full(SAMPLES, 0.3), chains, rng)
    for one in found.bins:
        assert abs(one.decoded.value - one.order.value) < 5 * max(one.order.error, 1e-3)
        assert one.weiss_field.value == pytest.approx(2 * 4 * 0.3 * one.order.value)
        assert one.conditional_field.value == pytest.approx(2 * np.arctanh(one.order.value))
    middle = min(found.bins, key=lambda one: abs(one.latent))
    assert middle.field.value == pytest.approx(2 * middle.latent)
    assert found.deviation.value < 0.03
    # Negative control: a decoder whose fields are a fifth too weak.
    weak = read(latent, order, np.tanh(0.8 * latent), 1.6 * latent, np.full(SAMPLES, 0.3), chains, rng)
    assert weak.deviation.value - 5 * weak.deviation.error > found.deviation.value


def test_sparse_bins_are_left_out_and_columns_must_fit() -> None:
    latent, order, chain = data()
    chains = index_chains(chain, np.zeros(SAMPLES, int))
    rng = np.random.default_rng(2)
    stray = np.append(latent[:-1], 40.0)
    assert len(read(stray, order, order, order, order, chains, rng, bins=10).bins) < 10
    with pytest.raises(ValueError, match="one number per sample in each column"):
        read(latent[:-1], order, order, order, order, chains, rng)
