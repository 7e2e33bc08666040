"""Terms of the objective against independent formulas; stacking; rotations of the latent space."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from models.config import ModelConfig
from models.likelihood import Bernoulli
from models.vae import VAEOutput, build, kl_divergence, objective

MODELS = [
    ModelConfig(shape=(1, 8, 8), latent=3),
    ModelConfig(shape=(2, 5, 3), latent=2, hidden=16),
    ModelConfig(shape=(1, 8, 8), network="table-1", latent=3),
    ModelConfig(shape=(2, 4, 8), network="table-1", padding="same"),
]


def spins(runs: int, batch: int, sites: int) -> torch.Tensor:
    return torch.randint(0, 2, (runs, batch, sites), generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0


def noise(runs: int, batch: int, latent: int) -> torch.Tensor:
    return torch.randn(runs, batch, latent, generator=torch.Generator().manual_seed(2))


@pytest.mark.usefixtures("double_precision")
def test_kl_agrees_with_torch() -> None:
    mean, std = noise(2, 5, 3), noise(2, 5, 3).exp()
    torch.testing.assert_close(kl_divergence(mean, std), torch_kl(Normal(mean, std), Normal(0.0, 1.0)))


@pytest.mark.usefixtures("double_precision")
def test_bernoulli_sums_the_binary_cross_entropy_over_sites() -> None:
    x, fields = spins(2, 5, 9), 8 * noise(2, 5, 9)
    expected = F.binary_cross_entropy_with_logits(fields, (x + 1) / 2, reduction="none").sum(-1)
    torch.testing.assert_close(-Bernoulli().log_probability(x, fields), expected)


def test_bernoulli_stays_finite_at_strong_fields() -> None:
    fields = torch.tensor([300.0, -300.0], requires_grad=True)
    nll = -Bernoulli().log_probability(torch.tensor([-1.0, -1.0]), fields)
    nll.backward()
    torch.testing.assert_close(nll.detach(), torch.tensor(300.0))
    torch.testing.assert_close(fields.grad, torch.tensor([1.0, 0.0]))


def test_bernoulli_samples_have_the_mean() -> None:
    """Five standard errors on each of 4 sites: 2e-6 false alarms."""
    draws = 20_000
    fields = torch.tensor([-1.0, 0.0, 0.5, 3.0]).expand(draws, 4)
    likelihood = Bernoulli()
    up = (likelihood.sample(fields, torch.Generator().manual_seed(3)) + 1) / 2
    probability = likelihood.mean(fields[0])
    error = (probability * (1 - probability) / draws).sqrt()
    assert ((up.mean(0) - probability).abs() < 5 * error).all()


def test_objective_weighs_kl_by_beta_and_sums() -> None:
    output = VAEOutput(
        *[torch.empty(0)] * 3,
        reconstruction_RB=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        kl_RBZ=torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 1.0], [0.0, 0.0]]]),
    )
    assert objective(output, torch.tensor([10.0, 100.0])).item() == (3 + 10 * 2) + (7 + 100 * 2)


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_shapes_and_gradients(config: ModelConfig) -> None:
    runs = 1 if config.network == "table-1" else 3
    vae = build(config, range(runs))
    x, eps = spins(runs, 6, config.sites), noise(runs, 6, config.latent)
    output = vae(x, eps)
    assert output.mean_RBZ.shape == output.std_RBZ.shape == output.kl_RBZ.shape == (runs, 6, config.latent)
    assert output.fields_RBN.shape == x.shape
    assert output.reconstruction_RB.shape == (runs, 6)
    assert (output.std_RBZ > 0).all()
    objective(output, torch.ones(runs)).backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.usefixtures("double_precision")
def test_a_stack_computes_what_its_runs_do_alone() -> None:
    config = ModelConfig(shape=(1, 4, 4), latent=3, hidden=8)
    seeds, betas = [4, 0, 9], torch.tensor([1.0, 10.0, 0.1])
    x, eps = spins(3, 6, 16), noise(3, 6, 3)
    stack = build(config, seeds)
    objective(stack(x, eps), betas).backward()
    stacked = dict(stack.named_parameters())
    for run, seed in enumerate(seeds):
        alone = build(config, [seed])
        objective(alone(x[run : run + 1], eps[run : run + 1]), betas[run : run + 1]).backward()
        for name, parameter in alone.named_parameters():
            assert torch.equal(parameter[0], stacked[name][run]), name
            torch.testing.assert_close(parameter.grad[0], stacked[name].grad[run])


@pytest.mark.parametrize("config", MODELS, ids=str)
@pytest.mark.usefixtures("double_precision")
def test_a_rotation_moves_the_means_and_nothing_that_they_decode_to(config: ModelConfig) -> None:
    vae = build(config, [0]).eval()
    x = spins(1, 6, config.sites)
    rotation = torch.linalg.qr(noise(1, config.latent, config.latent)).Q
    silent = torch.zeros(1, 6, config.latent)
    before = vae(x, silent)
    vae.rotate(rotation)
    after = vae(x, silent)
    torch.testing.assert_close(after.mean_RBZ, before.mean_RBZ @ rotation)
    torch.testing.assert_close(after.fields_RBN, before.fields_RBN)
    torch.testing.assert_close(after.std_RBZ, before.std_RBZ)
    # Negative control: without the decoder's part the fields do change.
    with torch.no_grad():
        vae.encoder.rotate(rotation)
    assert not torch.allclose(vae(x, silent).fields_RBN, before.fields_RBN)


def test_initialization_is_a_function_of_the_seed_and_leaves_the_global_stream_alone() -> None:
    for config in MODELS[1:3]:
        state = torch.random.get_rng_state()
        first, again, other = (build(config, [seed]).state_dict() for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_table1_is_not_stacked() -> None:
    with pytest.raises(ValueError, match="one run at a time, got 2; split"):
        build(ModelConfig(shape=(1, 4, 4), network="table-1"), [0, 1])
    with pytest.raises(ValueError, match="at least one run"):
        build(ModelConfig(shape=(1, 4, 4)), [])
