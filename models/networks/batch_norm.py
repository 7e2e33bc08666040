"""Batch norm over the whole batch, however many workers share it.

One worker alone uses torch's own layers. Several exchange mean and variance of their shares, so that they train what
one does; torch.nn.SyncBatchNorm does the same, but on GPUs only.

Axes: B samples of this worker's share, C channels, ... sites of a channel or nothing, W workers.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.compute.group import Alone, Group


class Moments(NamedTuple):
    """Of each channel, over all workers."""

    mean_C: Tensor
    variance_C: Tensor
    """Biased: divided by the count."""
    total: Tensor
    """How many numbers of one channel, a scalar."""


class _Shared(_BatchNorm):
    """A batch norm that can be told of other workers."""

    group: Group = Alone()

    def forward(self, x_BC: Tensor) -> Tensor:
        if not self.training or self.group.size == 1:
            return super().forward(x_BC)
        with torch.no_grad():
            moments = moments_of(x_BC, self.weight.dtype, self.group)
            self._follow(moments)
        return _Normalize.apply(x_BC, self.weight, self.bias, moments, self.eps, self.group)

    def _follow(self, moments: Moments) -> None:
        """Update the running statistics, which all workers then have alike."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        unbiased_C = moments.variance_C * (moments.total / (moments.total - 1))
        self.running_mean.lerp_(moments.mean_C, self.momentum)
        self.running_var.lerp_(unbiased_C, self.momentum)
        self.num_batches_tracked.add_(1)


class BatchNorm1d(_Shared, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` of features (B, C)."""


class BatchNorm2d(_Shared, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` of lattices (B, C, H, W)."""


def synchronize(network: nn.Module, group: Group) -> None:
    """Let the batch norm of ``network`` take its statistics from the shares of all workers."""
    for layer in network.modules():
        if isinstance(layer, _Shared):
            layer.group = group


def moments_of(x_BC: Tensor, dtype: torch.dtype, group: Group) -> Moments:
    """Mean and variance over the shares of all workers, from those of each; every worker must call it.

    Source: Chan, Golub and LeVeque, The American Statistician 37 (1983) 242, Eq. 2.1: nothing large cancels.
    """
    variance_C, mean_C = torch.var_mean(x_BC.to(dtype), _others(x_BC), correction=0)
    count = mean_C.new_full((1,), x_BC.numel() // x_BC.shape[1])
    channels = len(mean_C)
    of_workers = group.gather(torch.cat([mean_C, variance_C, count]))
    mean_WC, variance_WC, count_W1 = of_workers.split([channels, channels, 1], dim=1)
    share_W1 = count_W1 / count_W1.sum()
    mean_C = (share_W1 * mean_WC).sum(0)
    variance_C = (share_W1 * (variance_WC + (mean_WC - mean_C).square())).sum(0)
    return Moments(mean_C, variance_C, count_W1.sum())


def _others(x_BC: Tensor) -> list[int]:
    """All axes but that of the channels."""
    return [axis for axis in range(x_BC.ndim) if axis != 1]


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the moments' dependence on all of x in the gradient."""

    @staticmethod
    def forward(
        ctx: Any, x_BC: Tensor, weight_C: Tensor, bias_C: Tensor, moments: Moments, eps: float, group: Group
    ) -> Tensor:
        ctx.save_for_backward(x_BC, weight_C, *moments)
        ctx.eps, ctx.group = eps, group
        return F.batch_norm(x_BC, moments.mean_C, moments.variance_C, weight_C, bias_C, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_BC, weight_C, mean_C, variance_C, total = ctx.saved_tensors
        inverse_C = torch.rsqrt(variance_C + ctx.eps)
        # With the moments held fixed; on the way it sums what else is needed.
        gradient_BC, of_weight_C, of_bias_C = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x_BC, weight_C, mean_C, variance_C, mean_C, inverse_C, False, ctx.eps, [True, True, True]
        )
        sums_2C = ctx.group.mean(torch.stack([of_weight_C, of_bias_C])) * ctx.group.size
        along_C, constant_C = (weight_C * inverse_C) * sums_2C / total
        shape = (-1, *[1] * (x_BC.ndim - 2))
        through_moments_BC = (x_BC - mean_C.view(shape)).mul_((inverse_C * along_C).view(shape))
        gradient_BC -= through_moments_BC.add_(constant_C.view(shape))
        # Those of the parameters are of this worker's share, as those of all other layers are.
        return gradient_BC, of_weight_C, of_bias_C, None, None, None
