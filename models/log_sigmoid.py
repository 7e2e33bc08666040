"""ln sigmoid of fields along spins, summed over sites: the hot spot of a shallow network's training on a CPU.

Axes: ... any leading ones, M all of them together, N sites.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 1 << 16
"""Sites that are worked on at a time: few enough that their intermediate results stay in a core's cache."""


def sum_log_sigmoid(x_N: Tensor, field_N: Tensor) -> Tensor:
    """sum_k ln sigmoid(x_k h_k) over the last axis; differentiable once, in the fields.

    Where that pays, on a CPU and for more than fits into its cache, in one pass over the memory.

    Raises:
        ValueError: the spins require a gradient.
    """
    if x_N.requires_grad:
        raise ValueError("spins are data here: detach them, or use torch.nn.functional.logsigmoid")
    # torch.compile makes one pass of it by itself.
    if x_N.device.type != "cpu" or field_N.numel() <= 2 * CHUNK or torch.compiler.is_compiling():
        return F.logsigmoid(x_N * field_N).sum(-1)
    return _SumLogSigmoid.apply(x_N, field_N)


class _SumLogSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_N: Tensor, field_N: Tensor) -> Tensor:
        """Also the gradient, x sigmoid(-x h): its ingredients are in the cache now."""
        *leading, sites = field_N.shape
        x_MN, field_MN = x_N.reshape(-1, sites), field_N.reshape(-1, sites)
        gradient_MN, sum_M = torch.empty_like(field_MN), field_MN.new_empty(len(field_MN))
        rows = max(1, CHUNK // sites)
        product_BN, sigmoid_BN = field_MN.new_empty(2, min(rows, len(field_MN)), sites)
        chunks = zip(*(tensor.split(rows) for tensor in (x_MN, field_MN, gradient_MN, sum_M)), strict=True)
        for x, field, gradient, total in chunks:
            product, sigmoid = product_BN[: len(x)], sigmoid_BN[: len(x)]
            torch.mul(x, field, out=product)
            torch.sigmoid(product, out=sigmoid)
            torch.addcmul(x, x, sigmoid, value=-1, out=gradient)
            # Where the sigmoid underflows, its logarithm is its argument.
            sigmoid.clamp_min_(torch.finfo(sigmoid.dtype).tiny).log_()
            torch.sum(torch.minimum(sigmoid, product, out=sigmoid), -1, out=total)
        ctx.save_for_backward(gradient_MN)
        return sum_M.view(leading)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient_MN,) = ctx.saved_tensors
        outer = gradients[0]
        # In place: a second pass would find the tensor changed, and torch then refuses.
        return None, gradient_MN.mul_(outer.reshape(-1, 1)).view(*outer.shape, -1)
