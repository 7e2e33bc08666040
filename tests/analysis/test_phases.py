"""Phase labels come from shards' own order parameters."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.phases import display_names, label, phase_names

ORDERS = ("magnetization", "staggered_magnetization")


def test_phase_is_of_the_shard_and_sign_of_the_sample() -> None:
    order_SK = np.array([[0.9, 0.0], [-0.8, 0.1], [0.1, 0.6], [0.0, -0.7], [0.1, 0.1], [0.0, 0.7]])
    phases = label(order_SK, ORDERS, ["a", "a", "b", "b", "c", "c"])
    names = [phases.names[phase] for phase in phases.label_S]
    assert names == [
        "magnetization+",
        "magnetization-",
        "staggered_magnetization+",
        "staggered_magnetization-",
        "disordered",
        "disordered",  # |o| = .7 in a shard with mean .4: a fluctuation, not a phase
    ]
    assert phases.present == (0, 1, 2, 3, 4)
    assert phases.orders == (0, 1)


def test_only_orders_that_occur_are_listed() -> None:
    order_SK = np.array([[0.9, 0.0], [0.8, 0.0], [0.1, 0.0], [0.0, 0.1]])
    phases = label(order_SK, ORDERS, [0, 0, 1, 1])
    assert phases.orders == (0,)
    assert phases.present == (0, 4)


def test_the_threshold_is_of_the_mean_and_included() -> None:
    order_SK = np.array([[0.5], [-0.5]])
    assert label(order_SK, ["o"], [0, 0]).label_S.tolist() == [0, 1]
    assert label(order_SK, ["o"], [0, 0], threshold=0.51).label_S.tolist() == [2, 2]


def test_the_largest_order_wins_where_two_reach_the_threshold() -> None:
    assert label(np.array([[0.6, -0.7]]), ORDERS, [0]).label_S.tolist() == [3]


def test_names_for_people() -> None:
    names = phase_names(ORDERS)
    assert display_names(names, {"magnetization": "FM", "disordered": "PM"}) == (
        "FM+",
        "FM−",
        "staggered magnetization +",
        "staggered magnetization −",
        "PM",
    )


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(samples, 2\)"):
        label(np.zeros((3, 1)), ORDERS, [0, 0, 0])
    with pytest.raises(ValueError, match="threshold"):
        label(np.zeros((3, 2)), ORDERS, [0, 0, 0], threshold=0.0)
