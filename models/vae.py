"""beta-VAE: an encoder, a decoder and a likelihood, joined by the objective of arXiv:2110.08082, Eq. 4.

Axes: R members of a stack, B samples of a batch, F features, K outputs of the decoder, Z latents.
"""

from collections.abc import Sequence
from math import prod, sqrt
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from models.compute.precision import mixed
from models.compute.streams import stream
from models.config import ModelConfig
from models.likelihoods.independent import Bernoulli, Gaussian, Likelihood, MeanField, Multinomial, VonMises
from models.likelihoods.temperature import LocalTemperature
from models.likelihoods.thermal import Thermal
from models.likelihoods.thermal_states import ThermalStates
from models.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from models.networks.shallow import ShallowDecoder, ShallowEncoder, StackedLinear
from models.networks.table1 import Table1Decoder, Table1Encoder


class Encoder(Protocol):
    """An nn.Module for q(z|x), a diagonal Gaussian."""

    stacked: ClassVar[bool]
    """Whether the parameters carry the member dimension first; if not, R is 1."""

    def __call__(self, x_RBF: Tensor) -> tuple[Tensor, Tensor]: ...

    def rotate(self, rotation_RZZ: Tensor) -> None: ...


class Decoder(Protocol):
    """An nn.Module from latents to what the likelihood needs."""

    stacked: ClassVar[bool]

    def __call__(self, z_RBZ: Tensor) -> Tensor: ...

    def rotate(self, rotation_RZZ: Tensor) -> None: ...


class VAEOutput(NamedTuple):
    """One pass through encoder and decoder."""

    mean_RBZ: Tensor
    std_RBZ: Tensor
    output_RBK: Tensor
    """What the decoder gives the likelihood."""
    reconstruction_RB: Tensor
    """-ln p(x|z) in nats, summed over sites."""
    kl_RBZ: Tensor
    """KL[q(z|x) || N(0, 1)] in nats, per latent."""


class BetaVAE(nn.Module):
    """R independent beta-VAEs of one shape."""

    def __init__(self, encoder: Encoder, decoder: Decoder, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.autocast: torch.dtype | None = None
        """Type that ``forward`` computes products and convolutions in; None: that of the parameters."""

    def forward(self, x_RBF: Tensor, noise_RBZ: Tensor) -> VAEOutput:
        """Encode, draw z = mean + std * noise, decode.

        Args:
            x_RBF: features of configurations, each member its own.
            noise_RBZ: standard normal numbers; zeros to decode the posterior's mean.
        """
        with mixed(self.autocast, x_RBF.device):
            mean_RBZ, std_RBZ = self.encoder(x_RBF)
            z_RBZ = torch.addcmul(mean_RBZ, std_RBZ, noise_RBZ)
            output_RBK = self.decoder(z_RBZ).to(z_RBZ.dtype)
        reconstruction_RB = -self.likelihood.log_probability(x_RBF, output_RBK)
        return VAEOutput(mean_RBZ, std_RBZ, output_RBK, reconstruction_RB, kl_divergence(mean_RBZ, std_RBZ))

    @torch.no_grad()
    def rotate(self, rotation_RZZ: Tensor) -> None:
        """Turn the latent space: means become mean @ rotation, and the decoder undoes it exactly.

        The standard deviations stay with the axes, so what a sampled z decodes to does change.
        """
        self.encoder.rotate(rotation_RZZ)
        self.decoder.rotate(rotation_RZZ)

    def of_member(self, name: str, tensor: Tensor, member: int) -> Tensor:
        """The view of one member in the parameter or buffer ``name``, or in a tensor of the same shape."""
        part = getattr(self, name.partition(".")[0])
        return tensor[member] if part.stacked else tensor


def kl_divergence(mean_RBZ: Tensor, std_RBZ: Tensor) -> Tensor:
    """KL[N(mean, std^2) || N(0, 1)] in nats, elementwise (Kingma and Welling, arXiv:1312.6114, Appendix B)."""
    return 0.5 * (mean_RBZ.square() + std_RBZ.square() - 1) - std_RBZ.log()


def objective(output: VAEOutput, beta_R: Tensor) -> Tensor:
    """arXiv:2110.08082, Eq. 4, summed over the batch and over members: a scalar, in nats.

    Likelihood summed over sites, KL divergence summed over latents. The sum over members keeps their gradients apart:
    no parameter belongs to two members. Divide by the batch for the mean of Eq. 4.
    """
    return (output.reconstruction_RB + beta_R.unsqueeze(-1) * output.kl_RBZ.sum(-1)).sum()


def build(config: ModelConfig, seeds: Sequence[int]) -> BetaVAE:
    """Networks for a stack of members, each initialized by its own seed.

    Raises:
        ValueError: no seeds, or several with a network that cannot be stacked.
    """
    members = len(seeds)
    if members < 1:
        raise ValueError("a stack needs at least one member, got none")
    if members > 1 and config.network != "shallow":
        raise ValueError(
            f"{config.network} trains one member at a time, got {members}; split the sweep into single members"
        )
    likelihood = build_likelihood(config, members)
    features, sides, latent = config.features, config.shape[1:], config.latent
    stds = latent if config.posterior == "diagonal" else 1
    encoder: Encoder
    decoder: Decoder
    match config.network:
        case "shallow":
            site, shared = likelihood.outputs
            encoder = ShallowEncoder(members, prod(features), config.hidden, latent, stds)
            decoder = ShallowDecoder(members, site * prod(sides) + shared, config.hidden, latent)
        case "table-1":
            encoder = Table1Encoder(features, latent, stds, config.padding)
            decoder = Table1Decoder(likelihood.outputs, sides, latent, config.padding)
        case "convolutional":
            encoder = ConvolutionalEncoder(features, latent, stds, config.hidden)
            decoder = ConvolutionalDecoder(likelihood.outputs, sides, latent, config.hidden)
    vae = BetaVAE(encoder, decoder, likelihood)
    _initialize(vae, [stream(seed, "initialization") for seed in seeds])
    return vae


def build_likelihood(config: ModelConfig, members: int = 1) -> Likelihood:
    """The likelihood of a configuration, for a stack of ``members``."""
    channels = config.shape[0]
    inner: MeanField
    match config.likelihood:
        case "bernoulli":
            inner = Bernoulli(channels)
        case "multinomial":
            inner = Multinomial(channels, config.states)
        case "von-mises":
            inner = VonMises(channels)
        case "gaussian":
            inner = Gaussian(channels * config.width, config.variance, members)
        case "thermal" if config.variable == "spins":
            return Thermal(config.shape)
        case "thermal":
            return ThermalStates(config.shape, config.states)
    return LocalTemperature(inner, channels, config.local_beta) if config.model == "beta2-vae" else inner


@torch.no_grad()
def _initialize(vae: BetaVAE, generators: Sequence[torch.Generator]) -> None:
    """Uniform within 1 / sqrt(inputs of a unit), as torch's own layers; batch norm starts as the identity."""
    for layer in vae.modules():
        if isinstance(layer, StackedLinear):
            bound = 1 / sqrt(layer.weight.shape[1])
            for member, generator in enumerate(generators):
                layer.weight[member].uniform_(-bound, bound, generator=generator)
                layer.bias[member].uniform_(-bound, bound, generator=generator)
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generators[0])
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generators[0])
