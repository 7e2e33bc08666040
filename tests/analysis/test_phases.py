"""Phase labels come from shards' own order parameters."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.orders import OrderParameter, signs
from analysis.phases import display_names, label, of_labels, phase_names

ORDERS = signs(("magnetization", "staggered_magnetization"))
POTTS = OrderParameter("magnetization", ("m_0", "m_1", "m_2"), "states", 3)
CLOCK = OrderParameter("magnetization", ("m_x", "m_y"), "angles", 4)
VECTOR = OrderParameter("magnetization", ("m_x", "m_y"), "continuous", 1)


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
    assert label(order_SK, signs(["o"]), [0, 0]).label_S.tolist() == [0, 1]
    assert label(order_SK, signs(["o"]), [0, 0], threshold=0.51).label_S.tolist() == [2, 2]


def test_the_largest_order_wins_where_two_reach_the_threshold() -> None:
    assert label(np.array([[0.6, -0.7]]), ORDERS, [0]).label_S.tolist() == [3]


def shares(*rho: float) -> list[float]:
    """Components of the Potts magnetization, (3 rho - 1) / 2."""
    return [(3 * share - 1) / 2 for share in rho]


def test_the_phase_of_states_is_the_most_frequent_one() -> None:
    order_SC = np.array([shares(0.9, 0.1, 0), shares(0.05, 0.05, 0.9), shares(1, 0, 0), shares(0.4, 0.3, 0.3)])
    phases = label(order_SC, [POTTS], [0, 0, 0, 1])
    assert phases.names == ("magnetization 0", "magnetization 1", "magnetization 2", "disordered")
    assert phases.label_S.tolist() == [0, 2, 0, 3]
    assert (phases.of_order(0), phases.disordered) == ((0, 1, 2), 3)
    # Negative control: as columns that change sign, -1/2 of the absent states would count as order.
    assert label(order_SC, signs(POTTS.components), [0, 0, 0, 1]).label_S.tolist() != [0, 2, 0, 3]


def test_the_length_of_states_is_one_for_perfect_order_and_zero_for_none() -> None:
    assert POTTS.length(np.array([shares(0, 1, 0), shares(1 / 3, 1 / 3, 1 / 3)])) == pytest.approx([1, 0])
    broken = OrderParameter("staggered_magnetization", ("d_0", "d_1", "d_2"), "sublattices", 1)
    pair, one_sublattice = [1.0, -1.0, 0.0], [1.0, -0.5, -0.5]
    assert broken.length(np.array([pair, one_sublattice])) == pytest.approx([1, 1])


def test_the_phase_of_angles_is_the_nearest_direction() -> None:
    angle_S = np.deg2rad([0, 100, 170, 260, 40])
    order_SC = np.stack([np.cos(angle_S), np.sin(angle_S)], axis=1)
    phases = label(order_SC, [CLOCK], [0] * 5)
    assert phases.label_S.tolist() == [0, 1, 2, 3, 0]
    assert label(0.4 * order_SC, [CLOCK], [0] * 5).present == (4,)


def test_a_continuous_symmetry_has_one_ordered_phase() -> None:
    order_SC = np.array([[0.0, 0.9], [-0.9, 0.0], [0.1, 0.1], [0.0, -0.1]])
    phases = label(order_SC, [VECTOR], [0, 0, 1, 1])
    assert phases.names == ("magnetization", "disordered")
    assert phases.label_S.tolist() == [0, 0, 1, 1]


def test_orders_of_different_kinds_compete_by_length() -> None:
    orders = [POTTS, OrderParameter("staggered", ("s",))]
    order_SK = np.array([[*shares(0.8, 0.1, 0.1), 0.6], [*shares(0.8, 0.1, 0.1), -0.9]])
    phases = label(order_SK, orders, [0, 1])
    assert [phases.names[phase] for phase in phases.label_S] == ["magnetization 0", "staggered-"]
    assert (phases.orders, phases.order_P) == ((0, 1), (0, 0, 0, 1, 1, -1))


def test_labels_that_came_with_the_data() -> None:
    phases = of_labels([2, 0, 2], ["a", "b", "c"])
    assert (phases.names, phases.present, phases.orders, phases.disordered) == (("a", "b", "c"), (0, 2), (), None)
    assert of_labels([0, 1], ["disordered", "x"]).disordered == 0
    with pytest.raises(ValueError, match="0 to 1"):
        of_labels([0, 2], ["a", "b"])


def test_no_order_parameter_is_no_order() -> None:
    assert label(np.empty((3, 0)), [], [0, 0, 0]).label_S.tolist() == [0, 0, 0]


def test_names_for_people() -> None:
    assert display_names(phase_names([POTTS]), {"magnetization": "FM", "disordered": "PM"}) == (
        "FM 0",
        "FM 1",
        "FM 2",
        "PM",
    )
    assert display_names(phase_names([VECTOR]), {}) == ("magnetization", "disordered")

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
    with pytest.raises(ValueError, match="kind of 'q'"):
        label(np.zeros((3, 1)), [OrderParameter("q", ("q",), "nematic")], [0, 0, 0])
