"""The chunked likelihood of spins against torch's own function and its gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.log_sigmoid import CHUNK, sum_log_sigmoid

SITES = 256
ROWS = 2 * CHUNK // SITES + 7
"""Three chunks, the last of them ragged."""


def example(rows: int, strength: float) -> tuple[Tensor, Tensor]:
    """Spins and fields of both signs, (1, rows, SITES)."""
    generator = torch.Generator().manual_seed(rows)
    x = torch.randint(2, (1, rows, SITES), generator=generator) * 2.0 - 1
    return x, strength * torch.randn(1, rows, SITES, generator=generator)


@pytest.mark.parametrize("rows", [3, ROWS])
@pytest.mark.parametrize("strength", [0.1, 3.0, 100.0])
def test_value_and_gradient_are_those_of_torch(rows: int, strength: float) -> None:
    """Single precision: 1e-7 per term and 256 of them; fields of 100 reach where the sigmoid underflows."""
    x, field = example(rows, strength)
    ours, torchs = field.clone().requires_grad_(), field.clone().requires_grad_()
    value, expected = sum_log_sigmoid(x, ours), F.logsigmoid(x * torchs).sum(-1)
    weight = torch.linspace(-1, 1, rows)
    (value * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=SITES * 1e-7)
    assert ours.grad is not None and torchs.grad is not None
    torch.testing.assert_close(ours.grad, torchs.grad, rtol=0, atol=2e-7)
    # Negative control: the gradient of another weight is not within that.
    assert (ours.grad * 1.001 - torchs.grad).abs().max() > 2e-7


def test_the_value_stays_finite_where_the_sigmoid_underflows() -> None:
    x, field = example(ROWS, 0.0)
    value = sum_log_sigmoid(x, field - 1000 * x)
    torch.testing.assert_close(value, torch.full_like(value, -1000.0 * SITES))


def test_what_it_cannot_differentiate_is_refused() -> None:
    x, field = example(3, 1.0)
    with pytest.raises(ValueError, match="spins are data here"):
        sum_log_sigmoid(x.requires_grad_(), field)
    x, field = example(ROWS, 1.0)
    total = sum_log_sigmoid(x, field.requires_grad_()).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()
