"""Own-axis numbers see rotations, rotated ones do not; labels do not matter; nothing is ever nan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from analysis.latent_space.correlation import Correlation, correlate

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed
Diamond = Callable[..., Any]


def correlation_of(held: Any, seed: int = 0) -> Correlation:
    return correlate(held.mean_SZ, held.order_SK, held.chains, np.random.default_rng(seed))


@pytest.mark.parametrize("angle", [0.0, 10.0, -30.0])
def test_a_known_rotation_gives_its_angle(make_diamond: Diamond, angle: float) -> None:
    """Without noise exactly: to the scan's step after rotation, to rounding before."""
    result = correlation_of(make_diamond(np.random.default_rng(1), angle=angle, width=0.0))
    # arccos turns rounding of 1 - 1e-16 into 1e-8 rad.
    assert result.angle.value == pytest.approx(abs(angle), abs=1e-5)
    assert result.rotated is not None
    assert result.rotated.angle.value == pytest.approx(abs(angle), abs=0.05)
    np.testing.assert_allclose([e.value for e in result.rotated.own], 1.0, atol=np.deg2rad(0.05) ** 2)
    assert result.cosine.value == pytest.approx(0.0, abs=1e-12)


def test_own_axis_numbers_change_under_rotation_and_rotated_ones_do_not(make_diamond: Diamond) -> None:
    straight = correlation_of(make_diamond(np.random.default_rng(1), angle=0.0))
    turned = correlation_of(make_diamond(np.random.default_rng(1), angle=20.0))
    assert straight.rotated is not None
    assert turned.rotated is not None
    np.testing.assert_allclose(
        [e.value for e in turned.rotated.own], [e.value for e in straight.rotated.own], atol=2e-3
    )
    assert turned.worst.value < straight.worst.value - 10 * straight.worst.error
    assert turned.cross.value > straight.cross.value + 10 * straight.cross.error


def test_the_same_latents_turned_have_the_same_best_rotation(make_diamond: Diamond) -> None:
    """A turn by a multiple of the scan's step leaves the set of rotations tried as it was."""
    held = make_diamond(np.random.default_rng(1))
    cos, sin = np.cos(np.deg2rad(15)), np.sin(np.deg2rad(15))
    turned = held._replace(mean_SZ=held.mean_SZ @ np.array([[cos, sin], [-sin, cos]]))
    first, second = correlation_of(held).rotated, correlation_of(turned).rotated
    assert first is not None
    assert second is not None
    np.testing.assert_allclose([e.value for e in first.own], [e.value for e in second.own], rtol=1e-12)


def test_names_and_signs_of_latents_do_not_matter(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(2), angle=5.0)
    swapped = held._replace(mean_SZ=held.mean_SZ[:, ::-1] * [1.0, -1.0])
    first, second = correlation_of(held), correlation_of(swapped)
    for one, other in zip(first.pairs, second.pairs, strict=True):
        assert other.order == one.order
        assert other.latent == 1 - one.latent
        assert other.own.value == pytest.approx(one.own.value)
        assert other.own.error == pytest.approx(one.own.error)
    assert second.pairs[0].sign == -1
    assert second.angle.value == pytest.approx(first.angle.value)
    assert second.cross.value == pytest.approx(first.cross.value)


def test_constant_latents_correlate_to_zero(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(3))
    result = correlation_of(held._replace(mean_SZ=np.full_like(held.mean_SZ, 0.1)))
    assert (result.matrix_ZK == 0).all()
    assert [pair.own.value for pair in result.pairs] == [0.0, 0.0]
    assert (result.worst.value, result.cross.value) == (0.0, 0.0)
    assert (result.angle.value, result.cosine.value) == (90.0, 1.0)
    assert result.rotated is not None
    assert result.rotated.angle.value == 0.0


def test_one_dead_latent_passes_no_gate(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(3))
    result = correlation_of(held._replace(mean_SZ=held.mean_SZ * [1.0, 0.0]))
    assert result.worst.value == 0.0
    assert result.angle.value == 90.0


def test_two_orders_on_one_line_are_noticed(make_diamond: Diamond) -> None:
    """The five clusters on one axis: the lowest loss, and not what the latents are said to be."""
    held = make_diamond(np.random.default_rng(4), width=0.0)
    line = held.order_SK @ np.array([[1.0], [0.5]])
    noise = np.random.default_rng(5).normal(0, 0.01, line.shape)
    result = correlation_of(held._replace(mean_SZ=np.hstack([line, noise])))
    assert result.cosine.value > 0.99
    assert result.angle.value > 80
    assert result.worst.value < 0.15


def test_any_number_of_latents_and_orders(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(6))
    noise = np.random.default_rng(7).normal(size=held.mean_SZ.shape)
    four = correlation_of(held._replace(mean_SZ=np.hstack([noise, held.mean_SZ])))
    assert [pair.latent for pair in four.pairs] == [2, 3]
    assert four.matrix_ZK.shape == (4, 2)
    assert four.rotated is None
    one = correlation_of(held._replace(mean_SZ=held.mean_SZ[:, 1:]))
    assert [(pair.latent, pair.order) for pair in one.pairs] == [(0, 1)]
    assert one.cosine.value == 0.0
    third = np.random.default_rng(8).normal(0, 0.01, (len(noise), 1))
    three_orders = correlation_of(held._replace(order_SK=np.hstack([third, held.order_SK])))
    assert [(pair.latent, pair.order) for pair in three_orders.pairs] == [(0, 1), (1, 2)]
    one_order = correlation_of(held._replace(order_SK=held.order_SK[:, :1]))
    assert [(pair.latent, pair.order) for pair in one_order.pairs] == [(0, 0)]


def test_the_error_of_the_angle_is_its_scatter(make_diamond: Diamond) -> None:
    """Over independent data sets, signs of all chains redrawn: mean squared error bar against the variance."""
    trials = 100
    rng = np.random.default_rng(9)
    results = [
        correlate(held.mean_SZ, held.order_SK, held.chains, rng, 60).angle
        for held in (make_diamond(rng, rows=5, num_chains=4, angle=20.0, width=0.3) for _ in range(trials))
    ]
    values = np.array([angle.value for angle in results])
    ratio = np.mean([angle.error**2 for angle in results]) / values.var(ddof=1)
    # A variance of 100 Gaussian values is known to sqrt(2 / 99); the error bars add as much at most.
    assert abs(ratio - 1) < norm.isf(FALSE_ALARM / 2) * np.sqrt(4 / (trials - 1))
    # The larger of two angles is biased upwards by less than the error of one.
    assert abs(values.mean() - 20) < values.std()


def test_bad_arguments_are_refused(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="need"):
        correlate(held.mean_SZ[:, :0], held.order_SK, held.chains, rng)
    with pytest.raises(ValueError, match="rows of latents"):
        correlate(held.mean_SZ[1:], held.order_SK, held.chains, rng)
