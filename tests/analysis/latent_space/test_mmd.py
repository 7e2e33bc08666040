"""Distances of Eq. 9: closed form for shifted Gaussians, unbiased for correlated rows and shared chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.errors import Chains, index_chains
from analysis.latent_space.mmd import Distance, distances, folded, group_sums, isometry, join, neighbouring

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed
TRIALS = 200
CHAINS, ROWS, FEATURES = 12, 5, 6
Diamond = Callable[..., Any]


def shifted(rng: np.random.Generator, shift: float, is_shared: bool) -> Distance:
    """Distance of two groups of chains, each chain with an offset of its own, so that its rows are correlated.

    With ``is_shared``, every chain visits both groups; otherwise half of the chains are in each.
    """
    chain_S = np.repeat(np.arange(CHAINS), ROWS)
    group_S = np.tile(np.arange(ROWS) % 2, CHAINS) if is_shared else (chain_S % 4) // 2
    offset_CF = rng.normal(size=(CHAINS, FEATURES))
    x_SF = offset_CF[chain_S] + 0.5 * rng.normal(size=(CHAINS * ROWS, FEATURES))
    x_SF[:, 0] += shift * group_S
    chains = index_chains(chain_S, chain_S % 2)
    return distances(group_sums(x_SF, group_S, chains), [(0, 1)], rng, 60)[0]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_corrected_square_is_right_on_average_and_the_plain_one_is_not(shift: float, is_shared: bool) -> None:
    rng = np.random.default_rng(1)
    results = [shifted(rng, shift, is_shared) for _ in range(TRIALS)]
    limit = norm.isf(FALSE_ALARM / 2) / np.sqrt(TRIALS)
    corrected = np.array([result.squared.value for result in results])
    plain = np.array([result.plain for result in results])
    assert abs(corrected.mean() - shift**2) < limit * corrected.std()
    if shift == 0:  # Negative control, where the bias does not drown in the scatter of the cross term.
        assert plain.mean() > limit * plain.std()


def test_the_error_of_a_distance_is_its_scatter() -> None:
    rng = np.random.default_rng(2)
    results = [shifted(rng, 3.0, False).distance for _ in range(TRIALS)]
    ratio = np.mean([d.error**2 for d in results]) / np.var([d.value for d in results], ddof=1)
    # Variance of 200 Gaussian values: sqrt(2 / 199); the error bars add as much at most.
    assert abs(ratio - 1) < norm.isf(FALSE_ALARM / 2) * np.sqrt(4 / (TRIALS - 1))


def test_input_distance_of_the_two_magnetized_phases_is_twice_the_magnetization() -> None:
    """Perfect order: |E_+ - E_-| = 2 m sqrt(N), with no error."""
    chain_S = np.repeat(np.arange(8), 2)
    sign_S = np.where(chain_S < 4, 1.0, -1.0)
    sums = group_sums(
        np.outer(sign_S, np.ones(16)).astype(np.int8), (sign_S < 0).astype(int), index_chains(chain_S, 0 * chain_S)
    )
    distance = distances(sums, [(0, 1)], np.random.default_rng(0))[0].distance
    assert distance[:2] == (8.0, 0.0)


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_a_diamond_is_isometric_however_turned(make_diamond: Diamond, angle: float) -> None:
    held = make_diamond(np.random.default_rng(3), angle=angle, num_chains=40)
    sums = group_sums(held.mean_SZ, held.phases.label_S, held.chains)
    ratio = isometry(sums, 0, 1, 4, np.random.default_rng(0))
    assert abs(ratio.value - 2) < norm.isf(FALSE_ALARM / 2) * ratio.error < 0.1


def test_a_line_with_the_disordered_phase_at_its_end_is_not(make_diamond: Diamond) -> None:
    """Negative control: a latent that keeps only |m| puts P+ on P-."""
    held = make_diamond(np.random.default_rng(3))
    sums = group_sums(np.abs(held.mean_SZ), held.phases.label_S, held.chains)
    ratio = isometry(sums, 0, 1, 4, np.random.default_rng(0))
    assert ratio.value < 0.1


def test_a_collapsed_network_has_no_ratio(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(3))
    sums = group_sums(np.zeros_like(held.mean_SZ), held.phases.label_S, held.chains)
    assert np.isnan(isometry(sums, 0, 1, 4, np.random.default_rng(0)).value)
    assert distances(sums, [(0, 1)], np.random.default_rng(0))[0].distance[:2] == (0.0, 0.0)


def take(chains: Chains, strata_S: NDArray[np.intp], rows: NDArray[np.intp]) -> Chains:
    return index_chains(chains.chain_S[rows], strata_S[rows])


def test_shards_can_be_added_up_one_by_one(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(4))
    whole = group_sums(held.mean_SZ, held.phases.label_S, held.chains)
    parts = []
    for stratum in np.unique(held.stratum_S):
        rows = np.flatnonzero(held.stratum_S == stratum)
        parts.append(group_sums(held.mean_SZ[rows], held.phases.label_S[rows], take(held.chains, held.stratum_S, rows)))
    joined = join(parts)
    pairs = [(0, 1), (2, 4)]
    first = distances(whole, pairs, np.random.default_rng(5))
    second = distances(joined, pairs, np.random.default_rng(5))
    for one, other in zip(first, second, strict=True):
        assert other.squared[:3] == pytest.approx(one.squared[:3], rel=1e-12)


def test_samples_below_group_zero_are_left_out() -> None:
    chains = index_chains([0, 0, 1, 1], [0, 0, 0, 0])
    sums = group_sums(np.array([[1.0], [100.0], [1.0], [4.0]]), np.array([0, -1, 0, 1]), chains)
    assert distances(sums, [(0, 1)], np.random.default_rng(0))[0].plain == 9.0


def test_degenerate_phases_cancel_unless_folded(make_diamond: Diamond) -> None:
    """At neighbouring temperatures |m| is .98, .95, .9, 0: folded distances are 1.2 times the differences."""
    held = make_diamond(np.random.default_rng(6), rows=40, num_chains=40)
    rows = np.flatnonzero(held.stratum_S < 6)
    chains = take(held.chains, held.stratum_S, rows)
    m_S = held.order_SK[rows, 0]
    x_SF = folded(held.mean_SZ[rows], m_S)
    rng = np.random.default_rng(7)
    result = neighbouring(group_sums(x_SF, held.stratum_S[rows], chains), [1.0, 1.5, 2.0, 2.5, 3.0, 3.5], rng)
    mean_T = np.array([np.abs(m_S[held.stratum_S[rows] == t]).mean() for t in range(6)])
    for estimate, step in zip(result.distance, 1.2 * np.abs(np.diff(mean_T)), strict=True):
        assert abs(estimate.value - step) < norm.isf(FALSE_ALARM / 2) * estimate.error
    assert result.temperature == (1.25, 1.75, 2.25, 2.75, 3.25)
    assert np.argmax([e.value for e in result.distance]) == 2


def test_bad_arguments_are_refused() -> None:
    chains = index_chains([0, 1], [0, 0])
    sums = group_sums(np.zeros((2, 1)), np.array([0, 0]), chains)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no samples"):
        distances(sums, [(0, 1)], rng)
    with pytest.raises(ValueError, match="increasing"):
        neighbouring(sums, [1.0, 1.0], rng)
    with pytest.raises(ValueError, match="equal length"):
        group_sums(np.zeros((3, 1)), np.array([0, 0]), chains)
