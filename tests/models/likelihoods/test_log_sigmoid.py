"""The likelihood of spins in one pass against double precision, within bounds that hold on every processor.

Bounds: u is the unit roundoff of single precision. What a compiler makes of a sum (its vectors, its order) changes the
result by at most (n - 1) u of the sum of magnitudes, of n terms (Higham, Accuracy and Stability of Numerical
Algorithms, section 4.2); what it makes of a polynomial is bounded by running error analysis (section 5.1).

Axes: R rows, N sites.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.likelihoods import log_sigmoid
from models.likelihoods.log_sigmoid import BLOCK, LOWEST, sum_log_sigmoid

ROWS = 7
U = 2.0**-24
Array = NDArray[np.float64]


def example(sites: int, strength: float) -> tuple[Tensor, Tensor]:
    """Spins and fields of both signs, (1, ROWS, sites)."""
    generator = torch.Generator().manual_seed(sites)
    x = torch.randint(2, (1, ROWS, sites), generator=generator) * 2.0 - 1
    return x, strength * torch.randn(1, ROWS, sites, generator=generator)


def plain(x: Tensor, field: Tensor) -> Tensor:
    return F.logsigmoid(x * field).sum(-1)


def horner(coefficients: list[np.float32], t: Array, error: Array) -> tuple[Array, Array]:
    """A polynomial of t, and how far single precision may be from it where t is known up to ``error``.

    Each product and each sum is rounded once; a processor that fuses the two rounds less.
    """
    value, slope = np.full_like(t, coefficients[-1]), np.zeros_like(t)
    bound = np.zeros_like(t)
    for coefficient in reversed(coefficients[:-1]):
        slope = slope * t + value
        product = t * value
        value = product + float(coefficient)
        bound = np.abs(t) * bound + U * (np.abs(product) + np.abs(value))
    return value, bound + np.abs(slope) * error


def bounds(y: Array) -> tuple[Array, Array]:
    """Largest errors of ln sigmoid(y) and of sigmoid(-y), as ``log_sigmoid`` takes them in single precision."""
    exponent = np.maximum(-np.abs(y) / np.log(2), float(LOWEST))
    whole = np.trunc(exponent - 0.5)
    # The constant 1 / ln 2 and its product with |y| are rounded, and so is the difference to the integer.
    f, f_error = exponent - whole, U * (2 * np.abs(exponent) + 0.5)
    power, power_error = horner([getattr(log_sigmoid, f"P{k}") for k in range(7)], f, f_error)
    e = np.exp(-np.abs(y))
    # What interpolation and the smallest exponent leave out adds to rounding.
    e_error = power_error * 2.0**whole + np.abs(power * 2.0**whole - e)
    log1p, log1p_error = horner([getattr(log_sigmoid, f"Q{k}") for k in range(11)], e, e_error)
    value_error = log1p_error + np.abs(log1p - np.log1p(e)) + U * np.abs(np.logaddexp(0, -y))
    # Of (e or 1) / (1 + e): both depend on e with a slope of at most 1; a sum, a reciprocal and a product are rounded.
    return value_error, e_error + 3 * U * np.exp(-np.logaddexp(0, y))


def sum_bound(terms: Array, errors: Array) -> Array:
    """Largest error of sums over the last axis, at most a block long, in any order; the result is rounded again."""
    n = terms.shape[-1]
    assert n <= BLOCK
    gamma = n * U / (1 - n * U)
    return np.asarray(errors.sum(-1) * (1 + gamma) + gamma * np.abs(terms).sum(-1))


# One site, rows shorter than a vector, and rows that are no multiple of one.
@pytest.mark.parametrize("sites", [1, 9, 64, 256, 1023])
@pytest.mark.parametrize("strength", [0.0, 0.1, 3.0, 100.0])
def test_value_and_gradient_are_those_of_double_precision(sites: int, strength: float) -> None:
    """Fields of 100 reach where the sigmoid underflows."""
    x, field = example(sites, strength)
    single, double = field.clone().requires_grad_(), field.double().requires_grad_()
    value, expected = sum_log_sigmoid(x, single), plain(x.double(), double)
    # Whole powers of two: scaling a gradient with them rounds nothing.
    weight = 2.0 ** torch.arange(ROWS)
    (value * weight).sum().backward()
    (expected * weight).sum().backward()
    assert single.grad is not None and double.grad is not None
    y = (x * field).double().numpy()
    value_error, gradient_error = bounds(y)
    difference = np.abs(value.detach().double().numpy() - expected.detach().numpy())
    allowed = sum_bound(np.logaddexp(0, -y), value_error)
    assert (difference <= allowed).all()
    scale = weight.numpy()[:, None]
    assert (np.abs(single.grad.double().numpy() - double.grad.numpy()) <= gradient_error * scale).all()
    # Negative control: another gradient is not within that, nor a site too few.
    assert (np.abs(1.001 * single.grad.double().numpy() - double.grad.numpy()) > gradient_error * scale).any()
    assert (np.abs(np.logaddexp(0, -y).sum(-1) - np.logaddexp(0, -y)[..., 1:].sum(-1)) > allowed).any()


def test_each_term_over_all_fields() -> None:
    """One site a row, between fields where the sigmoid is 1 and where it underflows."""
    field = torch.cat([torch.linspace(-130, 130, 20_001), torch.tensor([-1e30, -88.1, 0.0, 88.1, 1e30])]).unsqueeze(-1)
    x = torch.ones_like(field)
    value = sum_log_sigmoid(x, field.requires_grad_())
    value.sum().backward()
    assert field.grad is not None
    y = field.detach().double().squeeze(-1).numpy()
    value_error, gradient_error = bounds(y)
    # The bounds are of use: a few roundings where terms are below 1.
    assert value_error[np.abs(y) < 1].max() < 12 * U and gradient_error.max() < 8 * U
    assert (np.abs(value.detach().double().numpy() + np.logaddexp(0, -y)) <= value_error).all()
    gradient = field.grad.squeeze(-1).double().numpy()
    assert (np.abs(gradient - np.exp(-np.logaddexp(0, y))) <= gradient_error).all()


def test_large_lattices_lose_no_digits() -> None:
    """L = 512, at fields where every site adds the same, so that rounding errors do not average out.

    Blocks are summed up in single precision, their sums in double.
    """
    sites = 1 << 18
    zeros = torch.zeros(2, sites)
    value = sum_log_sigmoid(torch.ones(2, sites), zeros).double().numpy()
    expected = -sites * np.log(2)
    (term_error,), _ = bounds(np.zeros(1))
    block = np.full(BLOCK, np.log(2))
    allowed = sites / BLOCK * sum_bound(block, np.full(BLOCK, term_error)) + U * abs(expected)
    assert (np.abs(value - expected) <= allowed).all()
    # Negative control: one sum in single precision, site after site, is not within that.
    sequential = np.cumsum(np.full(sites, np.log(0.5), dtype=np.float32))[-1]
    assert abs(float(sequential) - expected) > allowed


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
