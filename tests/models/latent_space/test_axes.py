"""The quartimax rotation: known angles, several latents, and clouds that have no axes."""

import inspect

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ortho_group

from models.latent_space.axes import natural_axes, psi4, quartimax


def cross(latents: int, arms: int, n: int = 600) -> NDArray[np.float64]:
    """Points on the first ``arms`` axes, both signs, and some at the centre."""
    rng = np.random.default_rng(0)
    means = np.zeros((n, latents))
    rows = np.arange(n - n // 3)
    means[rows, rng.integers(0, arms, len(rows))] = rng.choice([-1.2, 1.2], len(rows))
    return means


def turn(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s], [-s, c]])


@pytest.mark.parametrize("degrees", [-44.0, -17.0, 0.0, 5.0, 30.0, 44.9])
def test_a_known_angle_is_undone(degrees: float) -> None:
    rotation = quartimax(cross(2, 2) @ turn(degrees))
    np.testing.assert_allclose(rotation, turn(-degrees), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("arms", [2, 3, 4])
def test_jacobi_sweeps_align_four_latents(arms: int, seed: int) -> None:
    """Aligned means have one entry per row: the sum of fourth powers is at its bound, that of squared lengths."""
    means = cross(4, arms) @ ortho_group.rvs(4, random_state=seed)
    rotation = quartimax(means)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-12)
    bound = ((means**2).sum(1) ** 2).sum()
    assert ((means @ rotation) ** 4).sum() == pytest.approx(bound, rel=1e-6)
    # Negative control: as drawn they are not aligned.
    assert (means**4).sum() < 0.9 * bound
    assert psi4(means @ rotation) == pytest.approx(1, abs=1e-6)


def test_psi4_is_one_on_a_cross_at_any_angle() -> None:
    for degrees in (0.0, 20.0, 45.0):
        assert psi4(cross(2, 2) @ turn(degrees)) == pytest.approx(1)


def test_psi4_of_a_round_cloud_is_about_zero() -> None:
    """For n Gaussian points |sum w^4| / sum |w|^4 has mean square 6 / n; exp(-r^2 n / 6) = 1e-6 false alarms."""
    n = 4096
    cloud = np.random.default_rng(5).standard_normal((n, 2))
    assert psi4(cloud) < np.sqrt(6 * np.log(1e6) / n)


def test_collapsed_latents_are_harmless() -> None:
    nothing = np.zeros((50, 3))
    np.testing.assert_array_equal(quartimax(nothing), np.eye(3))
    assert np.isnan(psi4(nothing))
    one_axis = np.zeros((50, 3))
    one_axis[:, 1] = np.linspace(-1, 1, 50)
    assert np.isfinite(quartimax(one_axis)).all()
    assert np.isnan(psi4(one_axis))
    assert np.isnan(psi4(np.linspace(-1, 1, 50)[:, None]))


def test_unused_latents_do_not_dilute_psi4() -> None:
    rng = np.random.default_rng(0)
    means = np.hstack([cross(2, 2), 1e-3 * rng.standard_normal((600, 2))])
    assert psi4(means) == pytest.approx(1)


def test_a_stack_is_aligned_run_by_run() -> None:
    means = np.stack([cross(2, 2) @ turn(10), np.zeros((600, 2)), cross(2, 2) @ turn(-30)])
    axes = natural_axes(means)
    np.testing.assert_allclose(axes.rotation_RZZ[2], quartimax(means[2]))
    np.testing.assert_allclose(axes.psi4_R, [1, np.nan, 1])


def test_means_are_all_that_enters() -> None:
    for function in (quartimax, psi4):
        assert list(inspect.signature(function).parameters) == ["means_MZ"]
    assert list(inspect.signature(natural_axes).parameters) == ["means_RMZ"]
