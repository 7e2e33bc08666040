"""The shallow network: one hidden layer in the encoder, one in the decoder, no batch norm.

All members of a stack go through the same batched matrix products.

Axes: R members, B samples, F features, K outputs of the decoder, Z latents, I inputs and O outputs of a layer.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.compute.precision import full

SMALLEST_STD = 1e-4
"""Floor of the posterior's standard deviation: its logarithm enters the KL divergence."""


class StackedLinear(nn.Module):
    """R independent affine maps; ``models.vae.build`` sets the parameters, which are undefined until then."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs))

    def forward(self, x_RBI: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x_RBI, self.weight)


class _FewOutputs(torch.autograd.Function):
    """bias + x @ weight, where there are few outputs.

    BLAS takes six times as long for a product of 4 columns with 128 x 128 as for the transposed one of 4 rows, so value
    and gradients are made of the latter.
    """

    @staticmethod
    def forward(ctx: Any, bias_R1O: Tensor, x_RBI: Tensor, weight_RIO: Tensor) -> Tensor:
        ctx.save_for_backward(x_RBI, weight_RIO)
        return torch.baddbmm(bias_R1O.mT, weight_RIO.mT, x_RBI.mT).mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x_RBI, weight_RIO = ctx.saved_tensors
        (outer_RBO,) = gradients
        return outer_RBO.sum(1, keepdim=True), outer_RBO @ weight_RIO.mT, (outer_RBO.mT @ x_RBI).mT


def posterior(mean: Tensor, raw_std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (..., Z) from what the two heads give, one of ``raw_std`` for each latent or for all.

    They are to be given in full precision, for the KL divergence's sake.
    """
    return mean, (F.softplus(raw_std) + SMALLEST_STD).expand_as(mean)


class ShallowEncoder(nn.Module):
    """Posterior of each sample: hidden layer with leaky ReLU(.2), linear mean, softplus standard deviation.

    Args:
        members, features, hidden, latent: of the network.
        stds: standard deviations, one for each latent or one for all.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, members: int, features: int, hidden: int, latent: int, stds: int) -> None:
        super().__init__()
        self.hidden = StackedLinear(members, features, hidden)
        self.mean_head = StackedLinear(members, hidden, latent)
        self.std_head = StackedLinear(members, hidden, stds)

    def forward(self, x_RBF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (R, B, Z), of the diagonal Gaussian q(z|x)."""
        hidden = F.leaky_relu_(self.hidden(x_RBF), 0.2)
        heads = self.mean_head, self.std_head
        weight_RHO = torch.cat([head.weight for head in heads], -1)
        bias_R1O = torch.cat([head.bias for head in heads], -1)
        outputs = full(lambda hidden_RBH: _FewOutputs.apply(bias_R1O, hidden_RBH, weight_RHO), hidden)
        return posterior(*outputs.split([head.weight.shape[-1] for head in heads], -1))

    def rotate(self, rotation_RZZ: Tensor) -> None:
        """Replace every posterior mean by mean @ rotation, in place."""
        head = self.mean_head
        head.weight.copy_(head.weight @ rotation_RZZ)
        head.bias.copy_(head.bias @ rotation_RZZ)


class ShallowDecoder(nn.Module):
    """What the likelihood needs of each latent vector: hidden layer with ReLU, linear output."""

    stacked: ClassVar[bool] = True

    def __init__(self, members: int, outputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden = StackedLinear(members, latent, hidden)
        self.fields = StackedLinear(members, hidden, outputs)

    def forward(self, z_RBZ: Tensor) -> Tensor:
        """Outputs (R, B, K)."""
        return self.fields(F.relu_(self.hidden(z_RBZ)))

    def rotate(self, rotation_RZZ: Tensor) -> None:
        """Make z @ rotation decode to what z decoded to, in place."""
        self.hidden.weight.copy_(rotation_RZZ.mT @ self.hidden.weight)
