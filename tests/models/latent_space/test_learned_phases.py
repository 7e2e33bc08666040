"""What a trained model has learned of ferromagnet, antiferromagnet and paramagnet."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.config import AUTO_FRACTION, Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.inference import encode, from_tensors
from models.latent_space.axes import psi4
from models.latent_space.spectrum import eigenvalues
from models.training.trainer import Epoch, Trainer

SIZE = 8
MODEL = ModelConfig(shape=(1, SIZE, SIZE))


def last(trainer: Trainer) -> Epoch:
    return list(trainer.epochs())[-1]


def angle_to_axes(means: NDArray[np.float32], phase: NDArray[np.int64]) -> float:
    """Degrees, 0 to 45, between the nearest latent axis and the line through both ferromagnetic clusters."""
    arm = means[phase == 1].mean(0) - means[phase == 2].mean(0)
    return float(np.degrees(np.arctan2(np.abs(arm).min(), np.abs(arm).max())))


def angles(phases: Callable, axes: str, seeds: int) -> tuple[list[float], list[float]]:
    bits, phase = phases(SIZE, 6000)
    samples = PackedSamples(bits, MODEL.shape)
    beta = AUTO_FRACTION * eigenvalues(PackedSamples(bits, MODEL.shape), MODEL)[0]
    trainer = Trainer(samples, MODEL, TrainConfig(axes=axes), [Member(beta, seed) for seed in range(seeds)])
    list(trainer.epochs())
    posteriors = [encode(from_tensors(MODEL, weights), samples) for weights in trainer.weights()]
    means = [posterior.mean for posterior in posteriors]
    return [angle_to_axes(mean, phase) for mean in means], [psi4(mean) for mean in means]


def test_the_kick_puts_order_parameters_on_the_axes(phases: Callable) -> None:
    """The worst of 12 seeds is 3.6 degrees off and has psi4 = .966; the gates are those of simulated data."""
    degrees, confidence = angles(phases, "quartimax", 8)
    assert max(degrees) < 10
    assert min(confidence) > 0.95


def test_without_the_kick_they_are_elsewhere(phases: Callable) -> None:
    """Negative control: were the angle uniform over 0 to 45 degrees, all 8 would pass the gate with 6e-6."""
    degrees, _ = angles(phases, "none", 8)
    assert max(degrees) > 10


def test_latents_collapse_above_the_top_eigenvalue_and_not_below(phases: Callable) -> None:
    """Theory: the KL divergence is zero from beta = lam on. A tenth above, at most .02 nats remain of noise."""
    bits, _ = phases(SIZE, 6000)
    lam = eigenvalues(PackedSamples(bits, MODEL.shape), MODEL)[0]
    runs = [Member(AUTO_FRACTION * lam, 0), Member(1.1 * lam, 0)]
    epoch = last(Trainer(PackedSamples(bits, MODEL.shape), MODEL, TrainConfig(), runs))
    np.testing.assert_array_equal(epoch.active, [2, 0])
    assert epoch.kl[0].min() > 0.3
    assert epoch.kl[1].max() < 0.02


@pytest.mark.slow
def test_table1_learns_the_phases_too(phases: Callable) -> None:
    bits, phase = phases(SIZE, 4000)
    model = ModelConfig(shape=(1, SIZE, SIZE), network="table-1")
    samples = PackedSamples(bits, model.shape)
    trainer = Trainer(samples, model, TrainConfig(), [Member(AUTO_FRACTION * eigenvalues(samples, model)[0], 0)])
    assert last(trainer).kl.min() > 0.3
    posterior = encode(from_tensors(model, trainer.weights()[0]), samples)
    assert angle_to_axes(posterior.mean, phase) < 10
