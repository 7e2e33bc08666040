"""A network with as many parameters for a large lattice as for a small one: convolutions, pooled over the lattice.

The encoder is equivariant under translations by its unit cell and pools over the cells, so its posterior does not
change when a configuration is moved by one. The unit cell is 2 x 2 sites where both sides are even, so that sublattices
are told apart (a staggered magnetization changes sign under a translation by one site), and one site where a side is
odd, on which nothing of period two fits.

Axes: R members (1), B samples, F features, K outputs of the decoder, Z latents.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from models.likelihoods.independent import Outputs
from models.networks.single import SingleDecoder, SingleEncoder
from models.networks.torus import PeriodicConv2d, arranged

CHANNELS = 32


def unit_cell(sides: tuple[int, int]) -> int:
    """Side of the unit cell, in sites."""
    return 2 if not any(side % 2 for side in sides) else 1


class ConvolutionalEncoder(SingleEncoder):
    """A convolution over unit cells and their surroundings, one over neighbouring cells, the mean over all cells, a
    hidden layer, two heads; leaky ReLU(.2) in between."""

    def __init__(self, features: tuple[int, int, int], latent: int, stds: int, hidden: int) -> None:
        super().__init__()
        self.features = features
        channels, *sides = features
        cell = unit_cell((sides[0], sides[1]))
        self.cells = skip_init(PeriodicConv2d, channels, CHANNELS, cell + 2, cell)
        self.neighbours = skip_init(PeriodicConv2d, CHANNELS, CHANNELS, 3)
        self.hidden = skip_init(nn.Linear, CHANNELS, hidden)
        self.mean_head = skip_init(nn.Linear, hidden, latent)
        self.std_head = skip_init(nn.Linear, hidden, stds)

    def forward(self, x_RBF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (1, B, Z), of the diagonal Gaussian q(z|x)."""
        cells = F.leaky_relu_(self.cells(arranged(x_RBF.squeeze(0).unflatten(-1, self.features))), 0.2)
        pooled = F.leaky_relu_(self.neighbours(cells), 0.2).mean((-1, -2))
        return self.heads(F.leaky_relu_(self.hidden(pooled), 0.2))


class ConvolutionalDecoder(SingleDecoder):
    """Transposed convolutions of a latent vector that is the same everywhere give the same in every unit cell: so two
    hidden layers make one unit cell, which is repeated over the lattice."""

    def __init__(self, outputs: Outputs, sides: tuple[int, int], latent: int, hidden: int) -> None:
        super().__init__()
        self.outputs, self.cell = outputs, unit_cell(sides)
        self.repeats = (sides[0] // self.cell, sides[1] // self.cell)
        self.first = skip_init(nn.Linear, latent, hidden)
        self.second = skip_init(nn.Linear, hidden, hidden)
        self.last = skip_init(nn.Linear, hidden, outputs.site * self.cell**2 + outputs.shared)

    def forward(self, z_RBZ: Tensor) -> Tensor:
        """Outputs (1, B, K)."""
        hidden = F.relu_(self.second(F.relu_(self.first(z_RBZ.squeeze(0)))))
        cell_BK, shared_BK = self.last(hidden).split([self.outputs.site * self.cell**2, self.outputs.shared], dim=1)
        cell_BK = cell_BK.unflatten(1, (self.outputs.site, self.cell, self.cell)).repeat(1, 1, *self.repeats).flatten(1)
        return torch.cat([cell_BK, shared_BK], dim=1).unsqueeze(0)
