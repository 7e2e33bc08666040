"""The likelihood of spins in one pass against torch's own function and its gradient."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.likelihoods.log_sigmoid import sum_log_sigmoid

ROWS = 7


def example(sites: int, strength: float) -> tuple[Tensor, Tensor]:
    """Spins and fields of both signs, (1, ROWS, sites)."""
    generator = torch.Generator().manual_seed(sites)
    x = torch.randint(2, (1, ROWS, sites), generator=generator) * 2.0 - 1
    return x, strength * torch.randn(1, ROWS, sites, generator=generator)


def plain(x: Tensor, field: Tensor) -> Tensor:
    return F.logsigmoid(x * field).sum(-1)


# One site, rows shorter than a vector, and rows that are no multiple of one.
@pytest.mark.parametrize("sites", [1, 9, 64, 256, 1023])
@pytest.mark.parametrize("strength", [0.0, 0.1, 3.0, 100.0])
def test_value_and_gradient_are_those_of_torch(sites: int, strength: float) -> None:
    """Single precision: 1e-7 per term; fields of 100 reach where the sigmoid underflows."""
    x, field = example(sites, strength)
    ours, torchs = field.clone().requires_grad_(), field.clone().requires_grad_()
    value, expected = sum_log_sigmoid(x, ours), plain(x, torchs)
    weight = torch.linspace(-1, 1, ROWS)
    (value * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=sites * 1e-7)
    assert ours.grad is not None and torchs.grad is not None
    torch.testing.assert_close(ours.grad, torchs.grad, rtol=0, atol=2e-7)
    # Negative control: another gradient is not within that.
    assert (ours.grad * 1.001 - torchs.grad).abs().max() > 2e-7


def test_each_term_over_all_fields() -> None:
    """Against double precision, one site a row, between fields where the sigmoid is 1 and where it underflows."""
    field = torch.cat([torch.linspace(-130, 130, 20_001), torch.tensor([-1e30, -88.1, 0.0, 88.1, 1e30])]).unsqueeze(-1)
    x = torch.ones_like(field)
    value = sum_log_sigmoid(x, field.requires_grad_())
    value.sum().backward()
    y = field.detach().double().squeeze(-1).numpy()
    expected = -np.logaddexp(0, -y)
    assert field.grad is not None
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1.2e-7, atol=1e-7)
    np.testing.assert_allclose(field.grad.squeeze(-1).numpy(), np.exp(-np.logaddexp(0, y)), rtol=0, atol=1e-7)


def test_large_lattices_lose_no_digits() -> None:
    """L = 512, at fields where every site adds the same."""
    x, field = torch.ones(2, 1 << 18), torch.zeros(2, 1 << 18)
    torch.testing.assert_close(sum_log_sigmoid(x, field), plain(x.double(), field.double()).float(), rtol=3e-7, atol=0)


def test_other_layouts_and_types() -> None:
    x, field = example(64, 2.0)
    across = field.mT.contiguous().mT.requires_grad_()
    assert not across.is_contiguous()
    torch.testing.assert_close(sum_log_sigmoid(x, across), sum_log_sigmoid(x, field), rtol=0, atol=0)
    sum_log_sigmoid(x, across).sum().backward()
    torch.testing.assert_close(across.grad, x * torch.sigmoid(-x * field))
    for a, b in ((x.double(), field.double()), (x.double(), field), (x.bfloat16(), field)):
        torch.testing.assert_close(sum_log_sigmoid(a, b), plain(a, b))


@pytest.mark.parametrize(
    ("of_x", "of_field"), [((4,), (3, 4)), ((3, 4), (4,)), ((1, 3, 4), (2, 3, 4)), ((2, 0), (2, 0))]
)
def test_shapes_are_broadcast(of_x: tuple[int, ...], of_field: tuple[int, ...]) -> None:
    x, field = torch.ones(of_x), torch.randn(of_field, generator=torch.Generator().manual_seed(1)).requires_grad_()
    torch.testing.assert_close(sum_log_sigmoid(x, field), plain(x, field))
    (mine,) = torch.autograd.grad(sum_log_sigmoid(x, field).sum(), field)
    (other,) = torch.autograd.grad(plain(x, field).sum(), field)
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_field_that_is_no_number_shows(bad: float) -> None:
    x, field = example(64, 1.0)
    field[0, 2, 5], x[0, 2, 5] = bad, 1
    value = sum_log_sigmoid(x, field)
    assert not value[0, 2].isfinite()
    assert value[0, [0, 1, 3]].isfinite().all()


def test_what_it_cannot_differentiate_is_refused() -> None:
    x, field = example(256, 1.0)
    with pytest.raises(ValueError, match="spins are data here"):
        sum_log_sigmoid(x.clone().requires_grad_(), field)
    total = sum_log_sigmoid(x, field.requires_grad_()).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()
