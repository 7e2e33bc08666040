"""The convolutional network of arXiv:2110.08082, Table I, for any lattice whose sides are multiples of 4.

Axes: R members (1), B samples, F features, K outputs of the decoder, Z latents.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from models.likelihoods.independent import Outputs
from models.networks.batch_norm import BatchNorm1d, BatchNorm2d
from models.networks.single import SingleDecoder, SingleEncoder
from models.networks.torus import PeriodicConv2d, PeriodicConvTranspose2d, arranged

Padding = Literal["periodic", "same"]
KERNEL, STRIDE = 4, 2
CHANNELS = (64, 128)
FULLY_CONNECTED = 1024


def _halve(inputs: int, outputs: int, padding: Padding) -> nn.Module:
    # Batch norm follows, which would cancel a bias; so everywhere below where bias is False.
    if padding == "periodic":
        return skip_init(PeriodicConv2d, inputs, outputs, KERNEL, STRIDE, bias=False)
    return skip_init(nn.Conv2d, inputs, outputs, KERNEL, STRIDE, padding=1, bias=False)


def _double(inputs: int, outputs: int, padding: Padding, bias: bool) -> nn.Module:
    if padding == "periodic":
        return skip_init(PeriodicConvTranspose2d, inputs, outputs, KERNEL, STRIDE, bias=bias)
    return skip_init(nn.ConvTranspose2d, inputs, outputs, KERNEL, STRIDE, padding=1, bias=bias)


class Table1Encoder(SingleEncoder):
    """Two convolutions and a fully connected layer, each with batch norm and leaky ReLU(.2); then two heads."""

    def __init__(self, shape: tuple[int, int, int], latent: int, stds: int, padding: Padding) -> None:
        super().__init__()
        self.shape = shape
        channels, rows, columns = shape
        few, many = CHANNELS
        self.convolutions = nn.Sequential(
            _halve(channels, few, padding),
            BatchNorm2d(few),
            nn.LeakyReLU(0.2, inplace=True),
            _halve(few, many, padding),
            BatchNorm2d(many),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.hidden = nn.Sequential(
            skip_init(nn.Linear, many * (rows // 4) * (columns // 4), FULLY_CONNECTED, bias=False),
            BatchNorm1d(FULLY_CONNECTED),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.mean_head = skip_init(nn.Linear, FULLY_CONNECTED, latent)
        self.std_head = skip_init(nn.Linear, FULLY_CONNECTED, stds)

    def forward(self, x_RBF: Tensor) -> tuple[Tensor, Tensor]:
        """Linear mean and softplus standard deviation, each (1, B, Z), of the diagonal Gaussian q(z|x)."""
        features = self.convolutions(arranged(x_RBF.squeeze(0).unflatten(-1, self.shape)))
        return self.heads(self.hidden(features.flatten(1)))


class Table1Decoder(SingleDecoder):
    """Two fully connected layers and two transposed convolutions; batch norm and ReLU before each but the first.

    Several outputs per site are channels of the last convolution, as the two branches of Table II; shared outputs
    are read off the first layer.
    """

    def __init__(self, outputs: Outputs, sides: tuple[int, int], latent: int, padding: Padding) -> None:
        super().__init__()
        rows, columns = sides
        few, many = CHANNELS
        self.coarse = (many, rows // 4, columns // 4)
        units = many * (rows // 4) * (columns // 4)
        self.first = skip_init(nn.Linear, latent, FULLY_CONNECTED, bias=False)
        self.hidden = nn.Sequential(
            BatchNorm1d(FULLY_CONNECTED),
            nn.ReLU(inplace=True),
            skip_init(nn.Linear, FULLY_CONNECTED, units, bias=False),
            BatchNorm1d(units),
            nn.ReLU(inplace=True),
        )
        self.convolutions = nn.Sequential(
            _double(many, few, padding, bias=False),
            BatchNorm2d(few),
            nn.ReLU(inplace=True),
            _double(few, outputs.site, padding, bias=True),
        )
        self.shared = skip_init(nn.Linear, FULLY_CONNECTED, outputs.shared) if outputs.shared else None

    def forward(self, z_RBZ: Tensor) -> Tensor:
        """Outputs (1, B, K)."""
        norm, relu, *rest = self.hidden
        first = relu(norm(self.first(z_RBZ.squeeze(0))))
        features = first
        for layer in rest:
            features = layer(features)
        output_BK = self.convolutions(arranged(features.unflatten(-1, self.coarse))).flatten(1)
        if self.shared is not None:
            output_BK = torch.cat([output_BK, self.shared(first)], dim=1)
        return output_BK.unsqueeze(0)
