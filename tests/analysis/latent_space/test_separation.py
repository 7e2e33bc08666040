"""Clusters against phases, and shares of phases among generated fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.latent_space.separation import (
    checkerboard,
    classify,
    cluster_centres,
    generated_shares,
    overlaps,
    separation,
    uniform,
)

Diamond = Callable[..., Any]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("width", [0.05, 0.2])
def test_five_clusters_are_found_from_any_start(make_diamond: Diamond, seed: int, width: float) -> None:
    """Half of the samples in the middle; at width .2 clusters overlap as they do at L = 8.

    A search that ends in a wrong minimum merges two phases and loses a whole one; one that ends in the right
    minimum differs from the nearest-true-mean rule by a few samples at the borders. Half of the smallest phase
    tells them apart.
    """
    held = make_diamond(np.random.default_rng(seed), width=width)
    result = separation(held.mean_SZ, held.phases, held.chains, np.random.default_rng(seed))
    centre_PZ = np.stack([held.mean_SZ[held.phases.label_S == p].mean(0) for p in range(5)])
    distance_SP = np.linalg.norm(held.mean_SZ[:, None] - centre_PZ, axis=2)
    nearest = (distance_SP.argmin(1) == held.phases.label_S).mean()
    smallest = np.bincount(held.phases.label_S).min() / len(held.mean_SZ)
    assert result.accuracy.value > nearest - smallest / 2
    assert result.phases == held.phases.names
    np.testing.assert_allclose(result.centre_PZ, centre_PZ, atol=width)
    assert 0 < result.accuracy.error < 0.02


def test_accuracy_is_of_phases_and_not_of_clusters(make_diamond: Diamond) -> None:
    """Negative control: the same clusters with labels of other samples."""
    held = make_diamond(np.random.default_rng(0))
    shuffled = np.random.default_rng(1).permutation(held.phases.label_S)
    result = separation(held.mean_SZ, held.phases._replace(label_S=shuffled), held.chains, np.random.default_rng(0))
    assert result.accuracy.value < 0.5


def test_latents_that_lost_a_sign_confuse_two_phases(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    folded_SZ = np.stack([np.abs(held.mean_SZ[:, 0]), held.mean_SZ[:, 1]], axis=1)
    result = separation(folded_SZ, held.phases, held.chains, np.random.default_rng(0))
    assert result.accuracy.value < 0.95
    assert min(share.value for share in result.recall) < 0.7


def test_constant_latents_score_the_largest_phase(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    result = separation(0 * held.mean_SZ, held.phases, held.chains, np.random.default_rng(0))
    assert result.accuracy.value == pytest.approx(0.5)  # half of the strata are disordered
    assert np.isnan(result.centre_PZ[:4]).all()
    assert [share.value for share in result.recall] == [0, 0, 0, 0, 1]


def test_fewer_distinct_samples_than_clusters() -> None:
    centres = cluster_centres(np.array([[0.0], [1.0], [0.0]]), 5, np.random.default_rng(0))
    assert centres.ravel().tolist() == [0.0, 1.0]


def test_one_phase_cannot_be_separated(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    alone = held.phases._replace(label_S=np.full_like(held.phases.label_S, 4))
    with pytest.raises(ValueError, match="two phases"):
        separation(held.mean_SZ, alone, held.chains, np.random.default_rng(0))


def fields(*values: tuple[float, float]) -> NDArray[np.float64]:
    """Fields with given overlaps with the uniform and the checkerboard pattern, (N, 1, 4, 4)."""
    shape = (1, 4, 4)
    return np.array([(1 + a * uniform(shape) + b * checkerboard(shape)) / 2 for a, b in values])


def test_overlaps_are_order_parameters() -> None:
    values = [(1.0, 0.0), (-0.3, 0.0), (0.0, -1.0), (0.4, 0.5)]
    shape = (1, 4, 4)
    np.testing.assert_allclose(overlaps(fields(*values), [uniform(shape), checkerboard(shape)]), values, atol=1e-15)


def test_fields_between_phases_are_ambiguous() -> None:
    order_NK = np.array([[0.5, 0.2], [-0.9, 0.0], [0.0, -0.6], [0.2, -0.2], [0.4, 0.0], [0.6, 0.3], [0.25, 0.0]])
    assert classify(order_NK).tolist() == [0, 0, 1, 2, 3, 3, 3]


def test_shares_add_up_and_carry_binomial_errors() -> None:
    order_NK = np.array([[0.9, 0.0]] * 30 + [[0.0, 0.9]] * 50 + [[0.0, 0.0]] * 20)
    shares = generated_shares(order_NK, ("magnetization", "staggered_magnetization"))
    assert [(s.phase, s.share.value) for s in shares] == [
        ("magnetization", 0.3),
        ("staggered_magnetization", 0.5),
        ("disordered", 0.2),
        ("ambiguous", 0.0),
    ]
    assert shares[1].share.error == pytest.approx(0.05, rel=0.02)
    assert shares[3].share.error > 0


def test_bad_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="probabilities"):
        overlaps(2 * fields((1.0, 0.0)), [uniform((1, 4, 4))])
    with pytest.raises(ValueError, match="one field's shape"):
        overlaps(fields((1.0, 0.0)), [uniform((1, 2, 2))])
    with pytest.raises(ValueError, match="order parameters"):
        generated_shares(np.zeros((0, 2)), ("a", "b"))
