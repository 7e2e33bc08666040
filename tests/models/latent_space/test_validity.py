"""Restarts are ranked by what latents are used for before their loss is looked at."""

import numpy as np

from models.latent_space.validity import Restart, rank_of_means


def cross(angle: float = 0.0, width: float = 0.05) -> np.ndarray:
    """Five clusters: a centre, and two on each of two perpendicular lines."""
    rng = np.random.default_rng(1)
    centres = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    means = centres[rng.integers(5, size=2000)] + width * rng.standard_normal((2000, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return means @ turn


def test_the_rank_counts_directions_and_not_axes() -> None:
    line = cross() * [1.0, 0.0] + 0.05 * np.random.default_rng(2).standard_normal((2000, 2))
    turned = line @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    assert rank_of_means(cross()) == rank_of_means(cross(0.7)) == 2
    assert rank_of_means(line) == rank_of_means(turned) == 1
    assert rank_of_means(1e-3 * cross()) == 0
    assert rank_of_means(np.hstack([cross(), 1e-3 * cross()])) == 2


def test_a_lower_loss_on_one_line_loses_against_two_directions() -> None:
    two, line, worse, nan = Restart(2, 2, 470.0), Restart(2, 1, 462.1), Restart(2, 2, 478.0), Restart(2, 2, np.nan)
    assert sorted([nan, worse, line, two], key=lambda restart: restart.order)[:3] == [two, worse, nan]
    collapsed = Restart(0, 0, 400.0)
    assert max([two, line, collapsed], key=lambda restart: restart.order) == collapsed
