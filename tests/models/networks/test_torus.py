"""Periodic boundaries against torch's own padding, and against each other as adjoints."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.torus import PeriodicConv2d, PeriodicConvTranspose2d, arranged, unwrap, wrap

pytestmark = pytest.mark.usefixtures("double_precision")

SHAPES = [(2, 3, 4, 6), (1, 1, 4, 4), (2, 1, 2, 2), (2, 3, 1, 1), (1, 2, 1, 5)]
"""Samples, channels, rows, columns; on a side of one or two, sites are their own neighbours' neighbours."""


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_wrapping_is_circular_padding(shape: tuple[int, int, int, int], layout: torch.memory_format) -> None:
    x = numbers(*shape).contiguous(memory_format=layout)
    assert torch.equal(wrap(x), F.pad(x, (1, 1, 1, 1), mode="circular"))


@pytest.mark.parametrize("shape", SHAPES)
def test_unwrapping_is_the_adjoint(shape: tuple[int, int, int, int]) -> None:
    """Sums of at most 144 products of order 1: rounding is below 1e-12."""
    x = numbers(*shape)
    y = numbers(*shape[:2], shape[2] + 2, shape[3] + 2)
    assert ((wrap(x) * y).sum() - (x * unwrap(y)).sum()).abs() < 1e-12
    # Negative control: the boundary thrown away instead of added.
    assert ((wrap(x) * y).sum() - (x * y[:, :, 1:-1, 1:-1]).sum()).abs() > 1e-3


@pytest.mark.parametrize("function", [wrap, unwrap])
def test_gradients(function: nn.Module) -> None:
    x = numbers(2, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


def test_the_convolution_is_torch_s_own() -> None:
    """Sums of 48 products of order 1: rounding is below 1e-12."""
    ours = PeriodicConv2d(3, 5, 4, 2)
    torchs = nn.Conv2d(3, 5, 4, 2, padding=1, padding_mode="circular")
    torchs.load_state_dict(ours.state_dict())
    x = numbers(2, 3, 4, 8)
    torch.testing.assert_close(ours(x), torchs(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sides", [(1, 1), (2, 6), (3, 4)])
def test_the_transposed_convolution_is_torch_s_of_a_larger_lattice(sides: tuple[int, int]) -> None:
    """Wrapping before instead of after it gives the same; sums of 192 products of order 1."""
    ours = PeriodicConvTranspose2d(3, 5, 4, 2)
    torchs = nn.ConvTranspose2d(3, 5, 4, 2, padding=3)
    torchs.load_state_dict(ours.state_dict())
    x = numbers(2, 3, *sides)
    torch.testing.assert_close(ours(x), torchs(wrap(x)), rtol=0, atol=1e-12)


def test_a_cpu_gets_channels_last_even_of_a_single_channel() -> None:
    x = numbers(2, 1, 4, 6)
    assert arranged(x).stride() == (24, 1, 6, 1)
    assert torch.equal(arranged(x), x)
