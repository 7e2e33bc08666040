"""Canonical correlations of known covariance and known turns of vectors, exactly; and what must not pass for them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.errors import Chains, index_chains
from analysis.latent_space.canonical import AlignedCorrelation, Canonical, align, canonical

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed
ROWS, CHAINS = 2000, 40


def chains(rows: int = ROWS) -> Chains:
    return index_chains(np.arange(rows) % CHAINS, np.zeros(rows))


def exact_normals(rng: np.random.Generator, columns: int, rows: int = ROWS) -> NDArray[np.float64]:
    """Columns whose sample mean is 0 and whose sample covariance is 1, to rounding."""
    x = rng.normal(size=(rows, columns))
    q, _ = np.linalg.qr(x - x.mean(axis=0))
    return q * np.sqrt(rows)


def canonical_of(mean_SZ: NDArray[np.float64], order_SC: NDArray[np.float64]) -> Canonical:
    return canonical(mean_SZ, order_SC, chains(len(mean_SZ)), np.random.default_rng(0), 50)


def align_of(mean_SZ: NDArray[np.float64], order_SC: NDArray[np.float64]) -> AlignedCorrelation:
    return align(mean_SZ, order_SC, chains(len(mean_SZ)), np.random.default_rng(0), 50)


def values(result: Canonical) -> list[float]:
    return [estimate.value for estimate in result.squared]


def test_known_canonical_correlations_in_any_basis() -> None:
    """Pairs of unit normals with correlations .9 and .5, seen through any invertible map of either side."""
    rng = np.random.default_rng(1)
    u = exact_normals(rng, 4)
    rho = np.array([0.9, 0.5])
    z, o = u[:, :2], rho * u[:, :2] + np.sqrt(1 - rho**2) * u[:, 2:]
    expected = pytest.approx(rho**2, rel=1e-9)
    assert values(canonical_of(z, o)) == expected
    assert values(canonical_of(z @ [[2, 1], [0, 0.1]] + 3, o @ [[1, 5], [-1, 2]])) == expected


def test_components_that_sum_to_a_constant_count_by_their_rank() -> None:
    """Potts: three shares have two independent components."""
    rng = np.random.default_rng(2)
    share_SC = rng.dirichlet(np.ones(3), size=ROWS)
    plane = share_SC @ [[1, 0], [-0.5, np.sqrt(3) / 2], [-0.5, -np.sqrt(3) / 2]]
    result = canonical_of(plane, share_SC)
    assert values(result) == pytest.approx([1, 1], abs=1e-9)
    # A third latent of noise, or a dead one, adds no component.
    assert len(values(canonical_of(np.hstack([plane, np.zeros((ROWS, 1))]), share_SC))) == 2


def test_a_missing_latent_leaves_a_zero() -> None:
    """Negative control: half of a two-component order parameter must not pass for the whole."""
    share_SC = np.random.default_rng(3).dirichlet(np.ones(3), size=ROWS)
    result = canonical_of(share_SC[:, :1], share_SC)
    assert values(result) == pytest.approx([1, 0], abs=1e-9)
    assert result.smallest.value == 0
    dead = np.hstack([share_SC[:, :1], np.full((ROWS, 1), 7.0)])
    assert values(canonical_of(dead, share_SC)) == pytest.approx([1, 0], abs=1e-9)


def test_constant_latents_or_order_parameters_correlate_to_zero() -> None:
    rng = np.random.default_rng(4)
    o = rng.normal(size=(ROWS, 2))
    assert values(canonical_of(np.ones((ROWS, 2)), o)) == [0, 0]
    assert values(canonical_of(o, np.ones((ROWS, 2)))) == [0]


def test_independent_latents_correlate_as_noise_does() -> None:
    """The sum of squares is chi-square with 4 degrees of freedom over the number of rows."""
    rng = np.random.default_rng(5)
    found = values(canonical_of(rng.normal(size=(ROWS, 2)), rng.normal(size=(ROWS, 2))))
    assert sum(found) < 35 / ROWS  # chi-square(4) exceeds 35 with 5e-7


def test_the_error_is_the_scatter() -> None:
    trials = 100
    rng = np.random.default_rng(6)
    found = []
    for _ in range(trials):
        z = rng.normal(size=(200, 2))
        o = z @ [[1, 0.5], [0, 1]] + rng.normal(size=(200, 2))
        found.append(canonical(z, o, index_chains(np.arange(200), np.zeros(200)), rng, 60).squared[0])
    ratio = np.mean([e.error**2 for e in found]) / np.var([e.value for e in found], ddof=1)
    # A variance of 100 Gaussian values is known to sqrt(2 / 99); the error bars add as much at most.
    assert abs(ratio - 1) < norm.isf(FALSE_ALARM / 2) * np.sqrt(4 / (trials - 1))


def turn(degrees: float, reflect: bool = False) -> NDArray[np.float64]:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.array([[cos, -sin], [sin, cos]])
    return matrix @ np.diag([1, -1]) if reflect else matrix


@pytest.mark.parametrize("degrees", [0.0, 33.0, 45.0, 170.0])
@pytest.mark.parametrize("reflect", [False, True])
def test_a_turned_vector_is_turned_back(degrees: float, reflect: bool) -> None:
    o = np.random.default_rng(7).normal(size=(ROWS, 2))
    result = align_of(1.3 * o @ turn(degrees, reflect).T + 5, o)
    assert [e.value for e in result.own] == pytest.approx([1, 1], abs=1e-12)
    assert result.is_reflected == reflect
    np.testing.assert_allclose(result.map_ZC, turn(degrees, reflect), atol=1e-12)


def test_a_sheared_vector_is_not_mended() -> None:
    """Negative control: canonical correlations are 1, an orthogonal map must not reach that."""
    o = exact_normals(np.random.default_rng(8), 2)
    sheared = o @ [[1, 0], [1.5, 1]]
    assert values(canonical_of(sheared, o)) == pytest.approx([1, 1], abs=1e-9)
    assert align_of(sheared, o).worst.value < 0.95


def test_a_vector_among_more_latents_is_found_and_half_a_vector_is_not() -> None:
    rng = np.random.default_rng(9)
    o = exact_normals(rng, 2)
    basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    four = np.hstack([o, np.zeros((ROWS, 2))]) @ basis
    assert align_of(four, o).worst.value == pytest.approx(1, abs=1e-12)
    half = align_of(np.stack([o[:, 0], np.zeros(ROWS)], axis=1), o)
    assert half.worst.value == pytest.approx(0, abs=1e-9)
    assert max(e.value for e in half.own) == pytest.approx(1, abs=1e-12)
    assert align_of(np.zeros((ROWS, 2)), o).worst.value == 0


def test_bad_arguments_are_refused() -> None:
    o = np.zeros((4, 2))
    for function in (canonical, align):
        with pytest.raises(ValueError, match="need"):
            function(np.zeros((4, 0)), o, chains(4), np.random.default_rng(0))
        with pytest.raises(ValueError, match="rows of latents"):
            function(np.zeros((3, 2)), o, chains(4), np.random.default_rng(0))
