"""Divergence in closed form and by quadrature; collapse shows here although it does not in correlations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from analysis.latent_space.correlation import correlate
from analysis.latent_space.information import divergence, information

Diamond = Callable[..., Any]


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.3, 0.4), (-0.2, 2.0)])
def test_divergence_is_its_integral(mean: float, std: float) -> None:
    q = norm(mean, std)
    integral, accuracy = quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - norm.logpdf(z)), mean - 12 * std, mean + 12 * std, epsabs=1e-10
    )
    value = divergence(np.array([[mean]]), np.array([[std]]))[0, 0]
    assert value == pytest.approx(integral, abs=max(1e-9, accuracy))


def test_units_above_a_tenth_of_a_nat_are_active(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    mean_SZ = np.hstack([held.mean_SZ, np.zeros((len(held.mean_SZ), 1))])
    std_SZ = np.ones_like(mean_SZ) * [0.5, 0.5, 1.0]
    result = information(mean_SZ, std_SZ, held.chains, np.random.default_rng(1))
    assert result.active == (0, 1)
    assert result.divergence[2].value == 0.0
    assert result.divergence[0].value == pytest.approx(divergence(mean_SZ, std_SZ)[:, 0].mean())
    assert result.psi4 is None


def test_a_collapsed_network_correlates_but_carries_nothing(make_diamond: Diamond) -> None:
    """Negative control: correlations alone would call it a success."""
    held = make_diamond(np.random.default_rng(0), width=0.0)
    mean_SZ = 1e-4 * held.mean_SZ
    rng = np.random.default_rng(1)
    result = information(mean_SZ, np.ones_like(mean_SZ), held.chains, rng)
    assert correlate(mean_SZ, held.order_SK, held.chains, rng).worst.value > 0.97
    assert result.active == ()
    # mean^2 / 2 with |mean| <= 1.2e-4
    assert max(unit.value for unit in result.divergence) < 1e-8


@pytest.mark.parametrize("angle", [0.0, 33.0])
def test_psi4_is_one_on_two_perpendicular_lines_however_turned(make_diamond: Diamond, angle: float) -> None:
    held = make_diamond(np.random.default_rng(2), angle=angle, width=0.0)
    cross = np.where(np.abs(held.order_SK) == np.abs(held.order_SK).max(1, keepdims=True), held.order_SK, 0.0)
    turn = np.deg2rad(angle)
    mean_SZ = cross @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    psi4 = information(mean_SZ, np.ones_like(mean_SZ), held.chains, np.random.default_rng(0)).psi4
    assert psi4 is not None
    assert psi4.value == pytest.approx(1.0)


def test_psi4_is_zero_on_a_circle_and_for_constant_zero(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(2))
    phase_S = 2 * np.pi * np.arange(len(held.mean_SZ)) / len(held.mean_SZ)
    circle_SZ = np.stack([np.cos(phase_S), np.sin(phase_S)], axis=1)
    for mean_SZ in (circle_SZ, np.zeros_like(circle_SZ)):
        psi4 = information(mean_SZ, np.ones_like(mean_SZ), held.chains, np.random.default_rng(0)).psi4
        assert psi4 is not None
        assert psi4.value == pytest.approx(0.0, abs=1e-12)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        divergence(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="latents"):
        divergence(np.zeros((2, 2)), np.ones((2, 1)))
