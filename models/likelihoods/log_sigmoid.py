"""ln sigmoid of fields along spins, summed over sites, and its gradient: the hot spot of a shallow network on a CPU.

Axes: ... any leading ones, M all of them together, N sites, K of them.
"""

from math import log, prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

# Polynomials that hold to single precision: 2^f for -1/2 <= f <= 1/2 and ln(1 + e) for 0 <= e <= 1.
P0, P1, P2, P3, P4, P5, P6 = (
    Chebyshev.interpolate(np.exp2, 6, domain=[-0.5, 0.5]).convert(kind=Polynomial).coef.astype(np.float32)
)
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9, Q10 = (
    Chebyshev.interpolate(np.log1p, 10, domain=[0, 1]).convert(kind=Polynomial).coef.astype(np.float32)
)
LOG2_E = np.float32(1 / log(2))
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
LOWEST = np.float32(-126)
"""The exponent of the smallest normal number."""
BLOCK = 1024
"""Sites that are summed up in single precision; over a large lattice that would lose digits."""
BIAS, MANTISSA = np.int32(127), np.int32(23)
"""How single precision stores an exponent: plus BIAS, above so many bits of the mantissa."""


def sum_log_sigmoid(x_N: Tensor, field_N: Tensor) -> Tensor:
    """sum_k ln sigmoid(x_k h_k) over the last axis; differentiable once, in the fields.

    In single precision on a CPU in one pass over the memory, value and gradient together. No finite number then comes
    of a row with a field that is NaN or infinite, so that a diverged network shows; its gradient may be finite.

    Raises:
        ValueError: the spins require a gradient.
    """
    if x_N.requires_grad:
        raise ValueError("spins are data here: detach them, or use torch.nn.functional.logsigmoid")
    single = x_N.dtype == field_N.dtype == torch.float32 and x_N.device.type == "cpu"
    # torch.compile makes one pass of it by itself.
    if not single or torch.compiler.is_compiling():
        return F.logsigmoid(x_N * field_N).sum(-1)
    if x_N.shape != field_N.shape:
        x_N, field_N = torch.broadcast_tensors(x_N, field_N)
    total: Tensor = _SumLogSigmoid.apply(x_N, field_N)
    return total


class _SumLogSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_N: Tensor, field_N: Tensor) -> Tensor:
        """Also the gradient, x sigmoid(-x h): its ingredients are in registers now."""
        *leading, sites = field_N.shape
        rows = prod(leading), sites
        x_MN, field_MN = x_N.reshape(rows).contiguous(), field_N.reshape(rows).contiguous()
        gradient_N, sum_M = torch.empty_like(field_N, memory_format=torch.contiguous_format), field_N.new_empty(leading)
        _value_and_gradient(
            x_MN.numpy(), field_MN.detach().numpy(), gradient_N.view(rows).numpy(), sum_M.view(rows[0]).numpy()
        )
        ctx.save_for_backward(gradient_N)
        return sum_M

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient_N,) = ctx.saved_tensors
        # In place: a second pass would find the tensor changed, and torch then refuses.
        return None, gradient_N.mul_(gradients[0].unsqueeze(-1))


# Fast because the compiler makes vectors of the loop, which it cannot where a library's exponential or logarithm is
# called; they are polynomials of e = exp(-|x h|) here. Sums may be reordered, which vectors need; that there are no
# NaN and infinities may not be assumed.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})
def _value_and_gradient(
    x_MN: NDArray[np.float32],
    field_MN: NDArray[np.float32],
    gradient_MN: NDArray[np.float32],
    sum_M: NDArray[np.float32],
) -> None:
    for row in range(len(x_MN)):
        total = 0.0
        for first in range(0, x_MN.shape[1], BLOCK):
            part = slice(first, first + BLOCK)
            x_K, field_K, gradient_K = x_MN[row, part], field_MN[row, part], gradient_MN[row, part]
            block = ZERO
            for k in range(len(x_K)):
                y = x_K[k] * field_K[k]
                exponent = -abs(y) * LOG2_E
                exponent = exponent if exponent > LOWEST else LOWEST
                # The nearest integer: the exponent is not positive, and conversion drops what is behind the point.
                whole = np.int32(exponent - HALF)
                f = exponent - np.float32(whole)
                power = P0 + f * (P1 + f * (P2 + f * (P3 + f * (P4 + f * (P5 + f * P6)))))
                e = power * np.int32((whole + BIAS) << MANTISSA).view(np.float32)
                log1p = Q6 + e * (Q7 + e * (Q8 + e * (Q9 + e * Q10)))
                log1p = Q0 + e * (Q1 + e * (Q2 + e * (Q3 + e * (Q4 + e * (Q5 + e * log1p)))))
                # min(y, 0) without a branch; a field of infinity gives NaN.
                block += HALF * (y - abs(y)) - log1p
                gradient_K[k] = x_K[k] * ((e if y > ZERO else ONE) / (ONE + e))
            total += float(block)
        sum_M[row] = total
