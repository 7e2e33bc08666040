"""The idealized objective where its value is known, and which arrangement it prefers."""

import math

import numpy as np
import pytest

from models.latent_space.ideal import arrangements

SITES = 1024
FOUR = np.array([[1 / 3, 1 / 3, 1 / 3], [0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])[:, None]


def entropy(p: np.ndarray) -> float:
    return float(-(p * np.log(p)).sum())


def test_above_the_collapse_the_mean_of_all_classes_is_decoded() -> None:
    best = arrangements(FOUR, [0.25] * 4, [SITES], 1000.0, 2, seed=1, restarts=4)[0]
    assert best.rank == 0
    # The centres are left with some 1e-2 of their first spread.
    assert best.loss == pytest.approx(SITES * entropy(FOUR.mean(axis=(0, 1))), rel=1e-3)


def test_far_below_it_every_class_is_told_apart() -> None:
    best = arrangements(FOUR, [0.25] * 4, [SITES], 0.1, 2, seed=1, restarts=4)[0]
    within = SITES * np.mean([entropy(p[0]) for p in FOUR])
    # Four classes cost at most about ln 4 nats of information each, in units of beta.
    assert within < best.loss < within + 0.1 * 5 * math.log(4)


def test_two_classes_lie_on_a_line_and_groups_of_sites_count() -> None:
    up, down = [0.1, 0.9], [0.9, 0.1]
    staggered = np.array([[up, down], [down, up]])
    uniform = np.array([[up, up], [down, down]])
    one, other = (arrangements(m, [0.5, 0.5], [32, 32], 5.0, 2, seed=2, restarts=4)[0] for m in (staggered, uniform))
    assert one.rank == other.rank == 1
    assert one.loss == pytest.approx(other.loss, rel=5e-3)


def test_three_ordered_classes_and_a_disordered_one_prefer_a_plane() -> None:
    """The disordered class is the middle of the others, so a third dimension buys nothing."""
    found = arrangements(FOUR, [0.25] * 4, [SITES], 70.0, 3, seed=0, restarts=12)
    best = {rank: min(one.loss for one in found if one.rank == rank) for rank in (2, 3)}
    assert found[0].rank == 2
    # The tetrahedron is a local optimum 13 nats above; the Monte Carlo error of either is below 1.
    assert 5 < best[3] - best[2] < 25


def test_only_an_isotropic_posterior_prefers_a_triangle() -> None:
    """Half of the data disordered, a sixth in each of three phases: widths along axes make a T of them."""
    uneven = {}
    for posterior in ("diagonal", "isotropic"):
        best = arrangements(
            FOUR, [1 / 2, 1 / 6, 1 / 6, 1 / 6], [256], 60.0, 2, seed=0, restarts=8, posterior=posterior
        )[0]
        sides = [float(np.linalg.norm(best.centres[a] - best.centres[b])) for a, b in ((1, 2), (1, 3), (2, 3))]
        assert best.rank == 2
        uneven[posterior] = max(sides) / min(sides)
    assert uneven["isotropic"] < 1.1 and uneven["diagonal"] > 1.3


@pytest.mark.parametrize(
    ("mean", "weights", "sites", "message"),
    [
        (FOUR, [0.5, 0.5], [8], "need means"),
        (FOUR, [0.3] * 4, [8], "must add up to 1"),
        (2 * FOUR, [0.25] * 4, [8], "must add up to 1"),
    ],
)
def test_what_is_no_mixture_is_refused(mean: np.ndarray, weights: list, sites: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arrangements(mean, weights, sites, 1.0, 2, seed=0)
