"""Convolutions on a torus, without copies and products that a periodic boundary does not need.

Wrapping puts one more site around a lattice, taken from the opposite edge; unwrapping, its adjoint, adds what lies on
that ring to the opposite edge and cuts the ring off. A periodic convolution is one of a wrapped lattice, a periodic
transposed convolution unwraps what an ordinary one gives.

Axes: B samples, C channels, H rows and W columns, one site of boundary on each side included where it says so.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def arranged(x_BCHW: Tensor) -> Tensor:
    """The same numbers in the memory layout that convolutions are fastest with: on a CPU, channels last."""
    if x_BCHW.device.type != "cpu":
        return x_BCHW
    # A copy even where one channel makes the layouts equal, since convolutions go by the strides.
    return _empty(x_BCHW, 0).copy_(x_BCHW)


def wrap(x_BCHW: Tensor) -> Tensor:
    """With one more site on each side, (B, C, H + 2, W + 2); ``arranged``."""
    return _Wrap.apply(x_BCHW)


def unwrap(x_BCHW: Tensor) -> Tensor:
    """The adjoint of ``wrap``: from a lattice with boundary, H x W, to one without, (B, C, H - 2, W - 2)."""
    return _Unwrap.apply(x_BCHW)


class _Wrap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = _empty(x, 2)
        out[:, :, 1:-1, 1:-1] = x
        out[:, :, 0, 1:-1] = x[:, :, -1]
        out[:, :, -1, 1:-1] = x[:, :, 0]
        # The columns of the ring are whole, corners included.
        out[..., 0] = out[..., -2]
        out[..., -1] = out[..., 1]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return unwrap(gradients[0])


class _Unwrap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = _empty(x, -2).copy_(x[:, :, 1:-1, 1:-1])
        out[:, :, 0] += x[:, :, -1, 1:-1]
        out[:, :, -1] += x[:, :, 0, 1:-1]
        for inside, outside in ((0, -1), (-1, 0)):
            out[..., inside] += x[:, :, 1:-1, outside]
            out[:, :, 0, inside] += x[:, :, -1, outside]
            out[:, :, -1, inside] += x[:, :, 0, outside]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return wrap(gradients[0])


def _empty(x_BCHW: Tensor, more: int) -> Tensor:
    """Memory for ``more`` rows and columns than x has."""
    *start, rows, columns = x_BCHW.shape
    layout = torch.channels_last if x_BCHW.device.type == "cpu" else torch.contiguous_format
    shape = (*start, rows + more, columns + more)
    return torch.empty(shape, dtype=x_BCHW.dtype, device=x_BCHW.device, memory_format=layout)


class PeriodicConv2d(nn.Conv2d):
    """``nn.Conv2d`` of a lattice wrapped by one site, (H + 2 - kernel) / stride + 1 rows."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.conv2d(wrap(x_BCHW), self.weight, self.bias, self.stride)


class PeriodicConvTranspose2d(nn.ConvTranspose2d):
    """The adjoint of ``PeriodicConv2d``, (H - 1) stride + kernel - 2 rows."""

    def forward(self, x_BCHW: Tensor, output_size: list[int] | None = None) -> Tensor:
        whole = F.conv_transpose2d(x_BCHW, self.weight, None, self.stride)
        return unwrap(whole) if self.bias is None else unwrap(whole) + self.bias.view(-1, 1, 1)
