"""The convolutional network on a torus: widths of Table I, symmetry under translations."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.config import ModelConfig
from models.networks.table1 import Table1Decoder, Table1Encoder
from models.networks.torus import PeriodicConvTranspose2d
from models.vae import build

pytestmark = pytest.mark.usefixtures("double_precision")


def convolutions(padding: Literal["periodic", "same"], shape: tuple[int, int, int]) -> tuple[nn.Module, nn.Module]:
    vae = build(ModelConfig(shape=shape, network="table-1", padding=padding), [0]).eval()
    assert isinstance(vae.encoder, Table1Encoder) and isinstance(vae.decoder, Table1Decoder)
    return vae.encoder.convolutions, vae.decoder.convolutions


def translation_errors(padding: Literal["periodic", "same"], shape: tuple[int, int, int]) -> list[float]:
    """Largest violation of: a shift by 4 sites on the lattice is a shift by 1 on the coarse grid."""
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = convolutions(padding, shape)
    fine = torch.randn(2, *shape, generator=generator)
    coarse = torch.randn(2, 128, shape[1] // 4, shape[2] // 4, generator=generator)
    errors = []
    for steps in ((1, 0), (0, 1), (1, 2)):
        sites = (4 * steps[0], 4 * steps[1])
        up = encoder(fine.roll(sites, (2, 3))) - encoder(fine).roll(steps, (2, 3))
        down = decoder(coarse.roll(steps, (2, 3))) - decoder(coarse).roll(sites, (2, 3))
        errors += [up.abs().max().item(), down.abs().max().item()]
    return errors


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 8, 12), (1, 4, 4)])
def test_periodic_convolutions_commute_with_translations(shape: tuple[int, int, int]) -> None:
    """Sums of at most 16 x 128 terms of order 1: rounding is below 1e-12."""
    assert max(translation_errors("periodic", shape)) < 1e-12


def test_zero_padding_does_not() -> None:
    """Negative control for the test above."""
    assert min(translation_errors("same", (1, 16, 16))) > 1e-3


@pytest.mark.parametrize("size", [2, 6])
def test_the_transposed_convolution_is_the_adjoint(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    transposed = PeriodicConvTranspose2d(5, 3, 4, 2, bias=False)
    fine = torch.randn(1, 3, 2 * size, 2 * size, generator=generator)
    coarse = torch.randn(1, 5, size, size, generator=generator)
    down = F.conv2d(F.pad(fine, (1, 1, 1, 1), mode="circular"), transposed.weight, stride=2)
    torch.testing.assert_close((down * coarse).sum(), (fine * transposed(coarse)).sum())


def test_widths_are_those_of_table_1() -> None:
    vae = build(ModelConfig(shape=(1, 32, 32), network="table-1"), [0])
    shapes = {name: tuple(p.shape) for name, p in vae.named_parameters() if p.ndim > 1}
    assert list(shapes.values()) == [
        (64, 1, 4, 4),
        (128, 64, 4, 4),
        (1024, 8 * 1024),
        (2, 1024),
        (2, 1024),
        (1024, 2),
        (8 * 1024, 1024),
        (128, 64, 4, 4),
        (64, 1, 4, 4),
    ]
