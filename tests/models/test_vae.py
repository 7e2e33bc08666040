"""Terms of the objective against independent formulas; stacking; rotations of the latent space."""

from math import prod
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from models.config import ModelConfig, Network
from models.data.samples import samples_of
from models.vae import VAEOutput, build, kl_divergence, objective

THERMAL: tuple[dict[str, Any], ...] = (
    {"variable": "spins", "likelihood": "thermal"},
    {"variable": "states", "states": 3, "likelihood": "thermal"},
)
NETWORKS: tuple[Network, ...] = ("shallow", "table-1", "convolutional")
KINDS: tuple[dict[str, Any], ...] = (
    {"variable": "spins", "likelihood": "bernoulli"},
    {"variable": "spins", "likelihood": "gaussian", "variance": 0.5},
    {"variable": "states", "states": 3, "likelihood": "multinomial"},
    {"variable": "angles", "likelihood": "von-mises"},
    {"variable": "angles", "likelihood": "gaussian", "variance": "learned"},
    {"variable": "values", "likelihood": "gaussian"},
)
MODELS = [
    ModelConfig(shape=(1, 8, 8), latent=3),
    ModelConfig(shape=(2, 5, 3), latent=2, hidden=16),
    ModelConfig(shape=(1, 8, 8), network="table-1", latent=3),
    ModelConfig(shape=(2, 4, 8), network="table-1", padding="same"),
    ModelConfig(shape=(2, 5, 3), network="convolutional", hidden=16),
    *(
        ModelConfig(shape=(2, 4, 8), network=network, model=model, **kind)
        for network in NETWORKS
        for model in ("beta-vae", "beta2-vae")
        for kind in KINDS
    ),
    *(ModelConfig(shape=(2, 4, 8), network=network, **kind) for network in NETWORKS for kind in THERMAL),
    *(ModelConfig(shape=(2, 4, 8), network=network, posterior="isotropic", latent=3) for network in NETWORKS),
]
"""Every likelihood, plain and with a local temperature, with every network."""


def configurations(config: ModelConfig, runs: int, batch: int) -> torch.Tensor:
    """Features of random configurations (runs, batch, F)."""
    rng = np.random.default_rng(1)
    count = runs * batch
    raw: NDArray[Any]
    match config.variable:
        case "spins":
            raw = rng.integers(0, 256, size=(count, -(-config.sites // 8)), dtype=np.uint8)
        case "states":
            raw = rng.integers(0, config.states, size=(count, config.sites))
        case "angles":
            raw = rng.uniform(0, 2 * np.pi, size=(count, config.sites))
        case "values":
            raw = rng.standard_normal((count, config.sites))
    samples = samples_of(raw, config.shape, config.variable, config.states)
    return samples.unpack(torch.arange(count)).unflatten(0, (runs, batch)).to(torch.get_default_dtype())


def spins(runs: int, batch: int, sites: int) -> torch.Tensor:
    return configurations(ModelConfig(shape=(1, 1, sites)), runs, batch)


def noise(runs: int, batch: int, latent: int) -> torch.Tensor:
    return torch.randn(runs, batch, latent, generator=torch.Generator().manual_seed(2))


@pytest.mark.usefixtures("double_precision")
def test_kl_agrees_with_torch() -> None:
    mean, std = noise(2, 5, 3), noise(2, 5, 3).exp()
    torch.testing.assert_close(kl_divergence(mean, std), torch_kl(Normal(mean, std), Normal(0.0, 1.0)))


def test_objective_weighs_kl_by_beta_and_sums() -> None:
    output = VAEOutput(
        *[torch.empty(0)] * 3,
        reconstruction_RB=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        kl_RBZ=torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 1.0], [0.0, 0.0]]]),
    )
    assert objective(output, torch.tensor([10.0, 100.0])).item() == (3 + 10 * 2) + (7 + 100 * 2)


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_shapes_and_gradients(config: ModelConfig) -> None:
    runs = 3 if config.network == "shallow" else 1
    vae = build(config, range(runs))
    x, eps = configurations(config, runs, 6), noise(runs, 6, config.latent)
    output = vae(x, eps)
    assert output.mean_RBZ.shape == output.std_RBZ.shape == output.kl_RBZ.shape == (runs, 6, config.latent)
    site, shared = vae.likelihood.outputs
    assert output.output_RBK.shape == (runs, 6, site * prod(config.shape[1:]) + shared)
    assert vae.likelihood.mean(output.output_RBK).shape == x.shape
    drawn = vae.likelihood.sample(output.output_RBK, torch.Generator().manual_seed(0))
    assert drawn.shape == x.shape and drawn.dtype == x.dtype
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
    x = configurations(config, 1, 6)
    rotation = torch.linalg.qr(noise(1, config.latent, config.latent)).Q
    silent = torch.zeros(1, 6, config.latent)
    before = vae(x, silent)
    vae.rotate(rotation)
    after = vae(x, silent)
    torch.testing.assert_close(after.mean_RBZ, before.mean_RBZ @ rotation)
    torch.testing.assert_close(after.output_RBK, before.output_RBK)
    torch.testing.assert_close(after.std_RBZ, before.std_RBZ)
    # Negative control: without the decoder's part the fields do change.
    with torch.no_grad():
        vae.encoder.rotate(rotation)
    assert not torch.allclose(vae(x, silent).output_RBK, before.output_RBK)


def test_initialization_is_a_function_of_the_seed_and_leaves_the_global_stream_alone() -> None:
    for config in MODELS[1:3]:
        state = torch.random.get_rng_state()
        first, again, other = (build(config, [seed]).state_dict() for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_convolutional_networks_are_not_stacked() -> None:
    for network in NETWORKS[1:]:
        with pytest.raises(ValueError, match=f"{network} trains one member at a time, got 2; split"):
            build(ModelConfig(shape=(1, 4, 4), network=network), [0, 1])
    with pytest.raises(ValueError, match="at least one member"):
        build(ModelConfig(shape=(1, 4, 4)), [])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("double_precision")
def test_only_an_isotropic_posterior_leaves_the_objective_blind_to_a_rotation(network: Network) -> None:
    rotation = torch.linalg.qr(noise(1, 3, 3)).Q

    def change(posterior: Literal["diagonal", "isotropic"]) -> float:
        config = ModelConfig(shape=(1, 4, 4), network=network, posterior=posterior, latent=3)
        vae = build(config, [0]).eval()
        x, eps = configurations(config, 1, 6), noise(1, 6, 3)
        with torch.no_grad():
            before = objective(vae(x, eps), torch.ones(1))
            vae.rotate(rotation)
            # The noise turned along: the same draws of a posterior that a rotation takes to itself.
            return float((objective(vae(x, eps @ rotation), torch.ones(1)) - before).abs() / before)

    assert change("isotropic") < 1e-12
    assert change("diagonal") > 1e-9
