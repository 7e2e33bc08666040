"""The second branch of the beta^2-VAE: a local inverse temperature times the field (arXiv:2110.08082, Fig. 7).

Only the product beta_k h_k enters the likelihood, so beta_k and h_k are fixed up to a gauge: beta_k is held in (0, 1)
by a sigmoid, and what it is beyond that is left to initialization and training. It is no temperature of the data.

Axes: ... any leading ones, K numbers that the decoder gives, C channels, Q features per variable, N sites of a channel.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from models.likelihoods.independent import MeanField, Outputs


class Branches(NamedTuple):
    """What the two branches say of each site."""

    beta: Tensor
    """Local inverse temperature beta_k in (0, 1), (..., C, N)."""
    field: Tensor
    """h_k before it is multiplied, (..., F)."""


class LocalTemperature(nn.Module):
    """A mean-field likelihood whose linear field is the product of two outputs.

    Args:
        inner: the likelihood of the product.
        channels: C, channels of a stored configuration; each site of each has one inverse temperature.
        start: about what beta_k is before training, in (0, 1).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, inner: MeanField, channels: int, start: float = 0.5) -> None:
        super().__init__()
        self.inner = inner
        self.channels = channels
        self.offset = math.log(start / (1 - start))
        self.outputs = Outputs(inner.outputs.site + channels, 0)

    def branches(self, output_K: Tensor) -> Branches:
        """The two branches of the decoder's output."""
        share = output_K.shape[-1] // self.outputs.site
        field, logit = output_K.split([self.inner.outputs.site * share, self.channels * share], dim=-1)
        return Branches(torch.sigmoid(logit + self.offset).unflatten(-1, (self.channels, share)), field)

    def product(self, output_K: Tensor) -> Tensor:
        """beta_k h_k, (..., F): all that the data determine."""
        beta, field = self.branches(output_K)
        return (field.unflatten(-1, (self.channels, -1, beta.shape[-1])) * beta.unsqueeze(-2)).flatten(-3)

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        return self.inner.log_probability(x_F, self.product(output_K))

    def mean(self, output_K: Tensor) -> Tensor:
        return self.inner.mean(self.product(output_K))

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner.sample(self.product(output_K), generator)

    def statistic(self, x_F: Tensor) -> Tensor:
        return self.inner.statistic(x_F)

    def fields(self, output_K: Tensor) -> Tensor:
        return self.inner.fields(self.product(output_K))

    def free_energy(self, output_K: Tensor) -> Tensor:
        return self.inner.free_energy(self.product(output_K))

    def base(self, x_F: Tensor) -> Tensor:
        return self.inner.base(x_F)
