"""Use of one trained network: posteriors of configurations, fields and mean-field values of latents."""

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.chunks import rows_at_once
from models.config import ModelConfig
from models.data.samples import Samples
from models.likelihoods.independent import MeanField
from models.likelihoods.temperature import LocalTemperature
from models.vae import BetaVAE, build


class Model(NamedTuple):
    """One trained network, in evaluation mode."""

    config: ModelConfig
    vae: BetaVAE


class Posterior(NamedTuple):
    """What the encoder says of n configurations; float32."""

    mean: NDArray[np.float32]
    """(n, Z) means of q(z|x)."""
    std: NDArray[np.float32]
    """(n, Z) standard deviations of q(z|x)."""
    reconstruction: NDArray[np.float32]
    """(n,) -ln p(x|z) at the mean in nats, summed over sites."""


def from_tensors(config: ModelConfig, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> Model:
    """A network from the weights of one member, as ``Trainer.weights`` gives them.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape than ``config`` asks for.
    """
    vae = build(config, [0])
    own = vae.state_dict()
    if own.keys() != tensors.keys():
        raise ValueError(
            f"weights do not fit {config.network}: missing or unknown {sorted(own.keys() ^ tensors.keys())}"
        )
    for name, tensor in own.items():
        view = vae.of_member(name, tensor, 0)
        if view.shape != tensors[name].shape:
            raise ValueError(f"{name} must have shape {tuple(view.shape)}, got {tuple(tensors[name].shape)}")
        view.copy_(tensors[name])
    return Model(config, vae.to(device).eval())


@torch.no_grad()
def encode(model: Model, samples: Samples, batch: int = 1024) -> Posterior:
    """Posteriors of all samples, in their order; the samples must be on the model's device.

    Raises:
        ValueError: samples of another shape or variable than the model's.
    """
    _require_fitting(model, samples)
    parts = []
    chunk = rows_at_once(batch, prod(model.config.features))
    for rows in torch.arange(len(samples), device=samples.device).split(chunk):
        x_RBF = samples.unpack(rows).unsqueeze(0)
        output = model.vae(x_RBF, torch.zeros(1, len(rows), model.config.latent, device=x_RBF.device))
        parts.append((output.mean_RBZ, output.std_RBZ, output.reconstruction_RB))
    return Posterior(*(torch.cat(part, dim=1)[0].cpu().numpy() for part in zip(*parts, strict=True)))


def response(model: Model, samples: Samples, unit: int) -> NDArray[np.float32]:
    """(F, H, W) derivative of one latent's mean by the inputs, mean over the samples.

    Raises:
        ValueError: as ``encode``, or no samples.
    """
    _require_fitting(model, samples)
    if not len(samples):
        raise ValueError("needs samples, got none")
    features = model.config.features
    total_F = torch.zeros(prod(features), device=samples.device)
    for rows in torch.arange(len(samples), device=samples.device).split(rows_at_once(256, prod(features))):
        x_RBF = samples.unpack(rows).unsqueeze(0).requires_grad_()
        mean_RBZ, _ = model.vae.encoder(x_RBF)
        total_F += torch.autograd.grad(mean_RBZ[..., unit].sum(), x_RBF)[0].sum(dim=(0, 1))
    return (total_F / len(samples)).reshape(features).cpu().numpy()


def fields(model: Model, z: NDArray[np.floating], batch: int = 1024) -> NDArray[np.float32]:
    """Fields h_k (n, C * width, H, W) that latents z (n, Z) decode to, in units of temperature.

    Raises:
        ValueError: z is not (n, Z) with n at least 1, or the likelihood is not one of independent sites.
    """
    if model.config.likelihood == "thermal":
        raise ValueError("the thermal likelihood has couplings beside its fields; take decode or sample")
    likelihood = cast(MeanField, model.vae.likelihood)
    return _decode(model, z, batch, likelihood.fields)


def decode(model: Model, z: NDArray[np.floating], batch: int = 1024) -> NDArray[np.float32]:
    """Mean-field values m_k (n, C * width, H, W) of latents z (n, Z).

    Spins: probability of +1. States: probability of each. Angles: mean of (cosine, sine). Values: mean.

    Raises:
        ValueError: z is not (n, Z) with n at least 1.
    """
    return _decode(model, z, batch, model.vae.likelihood.mean)


def local_temperatures(
    model: Model, z: NDArray[np.floating], batch: int = 1024
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Both branches of a beta^2-VAE at latents z (n, Z), and their product.

    Returns:
        beta_k (n, C, H, W); h_k and beta_k h_k (n, C * width, H, W).

    Raises:
        ValueError: z is not (n, Z) with n at least 1, or the model has no such branch.
    """
    likelihood = model.vae.likelihood
    if not isinstance(likelihood, LocalTemperature):
        raise ValueError(f"{model.config.model} has no local temperatures; only beta2-vae has")
    beta = _decode(model, z, batch, lambda output_RBK: likelihood.branches(output_RBK).beta.flatten(-2))
    field = _decode(model, z, batch, lambda output_RBK: likelihood.branches(output_RBK).field)
    return beta, field, _decode(model, z, batch, likelihood.product)


def sample(model: Model, z: NDArray[np.floating], seed: int, batch: int = 1024) -> NDArray[np.float32]:
    """Features (n, C * width, H, W) of one configuration drawn from p(x|z) for each of the latents z (n, Z).

    Raises:
        ValueError: z is not (n, Z) with n at least 1.
    """
    generator = torch.Generator(next(model.vae.parameters()).device).manual_seed(seed)
    return _decode(model, z, batch, lambda output_RBK: model.vae.likelihood.sample(output_RBK, generator))


@torch.no_grad()
def _decode(model: Model, z: NDArray[np.floating], batch: int, read: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
    if z.ndim != 2 or z.shape[1] != model.config.latent or len(z) < 1:
        raise ValueError(f"z must be (n, {model.config.latent}) with n at least 1, got {z.shape}")
    device = next(model.vae.parameters()).device
    z_RNZ = torch.tensor(z, dtype=torch.float32, device=device).unsqueeze(0)
    chunk = rows_at_once(batch, prod(model.config.features))
    parts = [read(model.vae.decoder(z_RBZ)) for z_RBZ in z_RNZ.split(chunk, dim=1)]
    return torch.cat(parts, dim=1)[0].unflatten(-1, (-1, *model.config.shape[1:])).cpu().numpy()


def _require_fitting(model: Model, samples: Samples) -> None:
    if (samples.shape, samples.width) != (model.config.shape, model.config.width):
        raise ValueError(
            f"samples have shape {samples.shape} and {samples.width} feature(s) per variable, but the model"
            f" {model.config.shape} and {model.config.width}"
        )
