"""Free energy and gap against a linear Gaussian model, where both have closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples, samples_of
from models.latent_space.free_energy import free_energy
from models.likelihoods.independent import Gaussian
from models.training.trainer import Trainer
from models.vae import BetaVAE, build, objective

SITES, BETA = 6, 0.7
pytestmark = pytest.mark.usefixtures("double_precision")


class Linear(nn.Module):
    """Decoder z @ W, and as encoder a posterior that is given: both linear in their input."""

    stacked = True

    def __init__(self, weight: Tensor, std: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.std = weight, std

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        mean = x @ self.weight
        return mean if self.std is None else (mean, self.std.expand_as(mean))


def linear_model(latent: int, std_factor: float = 1.0) -> tuple[BetaVAE, Tensor, Tensor]:
    """One with orthogonal columns, so that the best posterior is diagonal; samples; covariance of p(x)^(1 / beta)."""
    q = torch.linalg.qr(torch.randn(SITES, SITES, generator=torch.Generator().manual_seed(1))).Q
    weight = q[:latent] * torch.tensor([[1.3], [0.8]])[:latent]
    precision = 1 + weight.square().sum(1) / BETA
    encoder = Linear(weight.T / BETA / precision, std_factor * precision.rsqrt())
    x = torch.randn(1, 40, SITES, generator=torch.Generator().manual_seed(2))
    covariance = BETA * torch.eye(SITES) + weight.T @ weight
    return BetaVAE(encoder, Linear(weight), Gaussian(1)), x, covariance


def exact_free_energy(x: Tensor, covariance: Tensor) -> float:
    """-beta ln of the integral of N(z; 0, 1) N(x; W z, 1)^(1 / beta), which is Gaussian in x."""
    norm = -0.5 * SITES / BETA * math.log(2 * math.pi) + 0.5 * SITES * math.log(2 * math.pi * BETA)
    log_z = norm + torch.distributions.MultivariateNormal(torch.zeros(SITES), covariance).log_prob(x[0])
    return float(-BETA * log_z.mean())


@pytest.mark.parametrize("latent", [1, 2])
def test_the_best_encoder_leaves_no_gap(latent: int) -> None:
    vae, x, covariance = linear_model(latent)
    found = free_energy(vae, x, torch.tensor([BETA]))
    assert found.free_energy.item() == pytest.approx(exact_free_energy(x, covariance), rel=1e-9)
    assert found.gap.item() == pytest.approx(0, abs=1e-9)


def test_a_posterior_that_is_too_wide_costs_its_divergence() -> None:
    """To the weight, 2e-9, that lies beyond 6 standard deviations, times their square."""
    factor = 1.4
    vae, x, covariance = linear_model(2, factor)
    found = free_energy(vae, x, torch.tensor([BETA]))
    divergence = 2 * (0.5 * (factor**2 - 1) - math.log(factor))
    assert found.gap.item() == pytest.approx(BETA * divergence, rel=1e-7)
    assert found.free_energy.item() == pytest.approx(exact_free_energy(x, covariance), rel=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": "beta2-vae"},
        {"variable": "states", "states": 3, "likelihood": "multinomial"},
        {"variable": "angles", "likelihood": "von-mises"},
        {"network": "table-1"},
    ],
)
def test_free_energy_and_gap_add_up_to_the_objective(settings: dict) -> None:
    """The objective by a Monte Carlo average over z; 5 standard errors in each of 5 cases: 3e-6 false alarms."""
    config = ModelConfig(shape=(1, 4, 4), **settings)
    vae = build(config, [5]).eval()
    rng = np.random.default_rng(3)
    raw = {
        "spins": rng.integers(0, 256, (20, 2), dtype=np.uint8),
        "states": rng.integers(0, 3, (20, 16)),
        "angles": rng.uniform(0, 6, (20, 16)),
    }[config.variable]
    x = samples_of(raw, (1, 4, 4), config.variable, config.states).unpack(torch.arange(20)).double().unsqueeze(0)
    beta = torch.tensor([3.0])
    found = free_energy(vae, x, beta)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        draws = [objective(vae(x, torch.randn(1, 20, 2, generator=generator)), beta) / 20 for _ in range(400)]
    values = torch.stack(draws)
    error = values.std() / len(values) ** 0.5
    assert abs(found.free_energy + found.gap - values.mean()) < 5 * error
    assert found.gap > 0


def test_what_a_grid_cannot_do() -> None:
    vae, x, _ = linear_model(2, std_factor=0.01)
    found = free_energy(vae, x, torch.tensor([BETA]))
    assert found.free_energy.isnan().all() and found.gap.isnan().all()
    vae = build(ModelConfig(shape=(1, 4, 4), latent=3), [0]).eval()
    with pytest.raises(ValueError, match="one or two latents, got 3"):
        free_energy(vae, torch.ones(1, 2, 16), torch.ones(1))


def test_training_takes_it_without_changing_the_weights() -> None:
    bits = np.random.default_rng(0).integers(0, 256, (300, 2), dtype=np.uint8)
    samples = PackedSamples(bits, (1, 4, 4))
    model, runs = ModelConfig(shape=(1, 4, 4)), [Member(2.0, 0), Member(5.0, 1)]
    weights = []
    for wanted in (False, True):
        trainer = Trainer(samples, model, TrainConfig(epochs=3, free_energy=wanted), runs)
        epochs = list(trainer.epochs())
        weights.append(trainer.weights())
    assert all(torch.equal(one[name], other[name]) for one, other in zip(*weights, strict=True) for name in one)
    for epoch in epochs:
        assert epoch.free_energy is not None and (epoch.free_energy.gap > -1e-6).all()
        assert epoch.free_energy.free_energy.shape == (2,)
