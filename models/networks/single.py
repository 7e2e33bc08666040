"""What the networks have in common that hold one member: the ends of their encoders and decoders at the latents.

Inputs and outputs carry a leading member dimension of 1, parameters do not.

Axes: R members (1), B samples, Z latents, H hidden units.
"""

from typing import ClassVar

from torch import Tensor, nn

from models.compute.precision import full
from models.networks.shallow import posterior


class SingleEncoder(nn.Module):
    """An encoder that ends in two linear heads on one hidden layer, which its ``__init__`` makes."""

    stacked: ClassVar[bool] = False
    mean_head: nn.Linear
    std_head: nn.Linear

    def heads(self, hidden_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Linear mean and softplus standard deviation, each (1, B, Z), of the diagonal Gaussian q(z|x)."""
        mean, std = posterior(full(self.mean_head, hidden_BH), full(self.std_head, hidden_BH))
        return mean.unsqueeze(0), std.unsqueeze(0)

    def rotate(self, rotation_RZZ: Tensor) -> None:
        """Replace every posterior mean by mean @ rotation, in place."""
        back = rotation_RZZ.squeeze(0).T
        self.mean_head.weight.copy_(back @ self.mean_head.weight)
        self.mean_head.bias.copy_(back @ self.mean_head.bias)


class SingleDecoder(nn.Module):
    """A decoder that begins with one linear layer on the latents, which its ``__init__`` makes."""

    stacked: ClassVar[bool] = False
    first: nn.Linear

    def rotate(self, rotation_RZZ: Tensor) -> None:
        """Make z @ rotation decode to what z decoded to, in place."""
        self.first.weight.copy_(self.first.weight @ rotation_RZZ.squeeze(0))
