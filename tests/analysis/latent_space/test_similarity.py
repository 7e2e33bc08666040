"""Cosines of known directions, the control that unmasks a collapsed network, and linear probes that can and cannot."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from analysis.errors import Chains, index_chains
from analysis.latent_space.probe import Probe, fit, probe
from analysis.latent_space.similarity import cosine_matrix, similarity
from analysis.phases import Phases, of_labels

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed


def chains_of(rows: int) -> Chains:
    return index_chains(np.arange(rows) % 20, np.zeros(rows))


def classes(rows: int, number: int) -> Phases:
    return of_labels(np.arange(rows) * number // rows, [str(c) for c in range(number)])


def test_blocks_of_known_directions() -> None:
    """Four directions 90 deg apart, lengths drawn: cosines 1, 0, -1, and 0 exactly."""
    rng = np.random.default_rng(1)
    phases = classes(80, 4)
    direction = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    mean_SZ = direction[phases.label_S] * rng.uniform(0.5, 3, (80, 1))
    found = similarity(mean_SZ, np.full_like(mean_SZ, 0.5), phases, chains_of(80), rng, 50)
    blocks = np.array([[e.value for e in row] for row in found.block_PP])
    np.testing.assert_allclose(blocks, direction @ direction.T, atol=1e-12)
    assert (found.same.value, found.other.value) == pytest.approx((1, -1 / 3))
    assert found.contrast.value == pytest.approx(4 / 3)
    assert found.is_informative


def test_mean_cosines_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(2)
    phases = classes(60, 3)
    mean_SZ = rng.normal(size=(60, 4)) + phases.label_S[:, None]
    found = similarity(mean_SZ, np.ones_like(mean_SZ), phases, chains_of(60), rng, 50)
    unit = mean_SZ / np.linalg.norm(mean_SZ, axis=1, keepdims=True)
    cosine = unit @ unit.T
    for p in range(3):
        for r in range(3):
            pairs = np.outer(phases.label_S == p, phases.label_S == r) & ~np.eye(60, dtype=bool)
            assert found.block_PP[p][r].value == pytest.approx(cosine[pairs].mean())


def test_a_collapsed_network_shows_the_same_blocks_and_is_unmasked() -> None:
    """The pitfall: latents a thousand times smaller have the same cosines; only the divergence tells."""
    rng = np.random.default_rng(3)
    phases = classes(80, 2)
    mean_SZ = np.stack([1.0 - 2.0 * phases.label_S, 0.3 * rng.normal(size=80)], axis=1)
    alive = similarity(mean_SZ, np.full_like(mean_SZ, 0.4), phases, chains_of(80), np.random.default_rng(0), 50)
    dead = similarity(1e-3 * mean_SZ, np.ones_like(mean_SZ), phases, chains_of(80), np.random.default_rng(0), 50)
    assert dead.contrast.value == pytest.approx(alive.contrast.value)
    assert alive.contrast.value > 1.5
    assert (alive.is_informative, dead.is_informative) == (True, False)
    assert dead.divergence.value < 1e-5


def test_shuffled_labels_have_no_blocks() -> None:
    """Negative control."""
    rng = np.random.default_rng(4)
    phases = classes(400, 4)
    mean_SZ = rng.normal(size=(400, 3)) + 3 * np.eye(4)[phases.label_S, :3]
    shuffled = phases._replace(label_S=rng.permutation(phases.label_S))
    real = similarity(mean_SZ, np.ones_like(mean_SZ), phases, chains_of(400), rng).contrast
    none = similarity(mean_SZ, np.ones_like(mean_SZ), shuffled, chains_of(400), rng).contrast
    assert abs(none.value) < norm.isf(FALSE_ALARM / 2) * none.error < 0.1 < real.value


def test_a_latent_of_zero_has_no_direction() -> None:
    phases = classes(40, 2)
    found = similarity(np.zeros((40, 2)), np.ones((40, 2)), phases, chains_of(40), np.random.default_rng(0), 20)
    assert (found.same.value, found.other.value, found.divergence.value) == (0, 0, 0)


def test_the_picture_is_sorted_by_class() -> None:
    label_S = np.array([2, 0, 2, 0, 2, 1])
    mean_SZ = np.eye(3)[label_S]
    found = cosine_matrix(mean_SZ, label_S, 2, np.random.default_rng(0))
    assert found.label_M.tolist() == [0, 0, 1, 2, 2]
    np.testing.assert_allclose(found.cosine_MM, found.label_M[:, None] == found.label_M)


def probe_of(train: NDArray[np.float64], labels: NDArray[np.intp], test: NDArray[np.float64]) -> Probe:
    return probe(train, labels, test, labels, chains_of(len(test)), np.random.default_rng(0), 50)


def test_separable_classes_are_read_and_xor_is_not() -> None:
    """Negative control: the exclusive or of two signs is in the latents, but no linear classifier can read it."""
    rng = np.random.default_rng(5)
    train, test = rng.choice([-1.0, 1.0], size=(2, 600, 2))
    test = train + 0.1 * rng.normal(size=train.shape)
    linear, xor = (train[:, 0] > 0).astype(np.intp), (train[:, 0] * train[:, 1] > 0).astype(np.intp)
    good = probe_of(train, linear, test)
    assert good.accuracy.value == 1
    assert good.accuracy.error > 0  # never certain from 600 samples
    assert abs(good.chance.value - 0.5) < 0.1
    # Four equal corners: at most three of them can be on the right sides of a line.
    assert probe_of(train, xor, test).accuracy.value < 0.8


def test_several_classes_and_any_scale() -> None:
    rng = np.random.default_rng(6)
    label = np.arange(900) % 3
    centre = np.array([[2.0, 0], [-1, 1.7], [-1, -1.7]])
    train, test = (centre[label] + 0.3 * rng.normal(size=(900, 2)) for _ in range(2))
    assert probe_of(train, label + 7, test).accuracy.value > 0.99
    assert probe_of(1e-3 * train + 5, label, 1e-3 * test + 5).accuracy.value > 0.99
    shuffled = probe_of(train, rng.permutation(label), test)
    assert abs(shuffled.accuracy.value - 1 / 3) < norm.isf(FALSE_ALARM / 2) * np.sqrt(2 / 9 / 900)


def test_draws_from_the_posterior_unmask_a_collapsed_network() -> None:
    rng = np.random.default_rng(7)
    label = np.arange(1000) % 2
    mean = 1e-3 * (1.0 - 2 * label)[:, None]
    assert probe_of(mean, label, mean).accuracy.value == 1
    train, test = (mean + rng.normal(size=mean.shape) for _ in range(2))
    found = probe_of(train, label, test).accuracy
    assert abs(found.value - 0.5) < norm.isf(FALSE_ALARM / 2) * np.sqrt(0.25 / 1000)


def test_weights_are_those_of_the_likelihood() -> None:
    """Two classes, one latent: at the optimum the residuals of the logistic model are orthogonal to 1 and x."""
    rng = np.random.default_rng(8)
    x = rng.normal(2, 3, size=(5000, 1))
    label = (rng.random(5000) < expit(0.7 * x[:, 0] - 1)).astype(np.intp)
    found = fit(x, label, 1e-12)
    p = expit(x @ (found.weight_ZP[:, 1] - found.weight_ZP[:, 0]) + found.bias_P[1] - found.bias_P[0])
    # L-BFGS stops at gradients below 1e-5 for latents of unit spread.
    assert abs((p - label).mean()) < 2e-5
    assert abs(((p - label) * (x[:, 0] - x.mean()) / x.std()).mean()) < 2e-5


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="two classes"):
        fit(x, [0, 0, 0, 0])
    with pytest.raises(ValueError, match="held-out latents"):
        probe(x, [0, 1, 0, 1], np.zeros((4, 3)), [0] * 4, chains_of(40), rng)
    with pytest.raises(ValueError, match="two classes of two"):
        similarity(x, x + 1, of_labels([0, 0, 0, 0], ["a"]), chains_of(40), rng)
    with pytest.raises(ValueError, match="per_class"):
        cosine_matrix(x, np.zeros(4, dtype=np.intp), 0, rng)
