"""Order parameters as physics: components are columns, and perfect order has the length and direction that they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.orders import KINDS, OrderParameter
from simulators import contract
from simulators.contract.declarations import ORDER_KINDS


@pytest.mark.parametrize("name", contract.names())
def test_components_are_columns_and_kinds_are_known(name: str) -> None:
    system = contract.load(name)
    columns = system.names(system.example).columns
    orders = system.orders_of(system.example)
    assert KINDS == ORDER_KINDS
    assert orders
    for order in orders:
        assert set(order.components) <= set(columns)
        assert order.kind in ORDER_KINDS
        assert len(OrderParameter(*order).phases) == order.directions


@pytest.mark.parametrize(
    ("name", "coupling", "kind", "directions"),
    [("potts", 1.0, "states", 3), ("clock", 1.0, "angles", 3), ("ising", 1.0, "sign", 2), ("ising", -1.0, "sign", 2)],
)
def test_ordered_starts_have_length_one_in_every_direction(
    name: str, coupling: float, kind: str, directions: int
) -> None:
    """Ordered chains before any sweep: perfect order in a random one of the phases."""
    system = contract.load(name)
    spec = replace(system.example, size=4, coupling=coupling, temperature=0.1)
    # A field would choose one of the two directions.
    spec = replace(spec, field=0.0) if name == "ising" else replace(spec, states=3)
    which = 0 if coupling > 0 else 1
    order = OrderParameter(*system.orders_of(spec)[which])
    assert (order.kind, order.directions) == (kind, directions)
    order_SC = _components(system, spec, order)
    np.testing.assert_allclose(order.length(order_SC), 1.0)
    assert set(order.direction(order_SC).tolist()) == set(range(directions))


def _components(system: contract.System, spec: Any, order: OrderParameter) -> np.ndarray:
    rng = np.random.default_rng(1)
    found = system.simulation(spec, np.zeros(64, dtype=bool), system.algorithms[0], rng).measure()
    return np.stack([found[name] for name in order.components], axis=1)


def test_the_length_is_the_column_that_potts_and_xy_measure() -> None:
    for name, column in (("potts", "magnetization"), ("potts", "staggered_magnetization"), ("xy", "magnetization")):
        system = contract.load(name)
        simulation = system.simulation(
            system.example, np.ones(8, dtype=bool), system.algorithms[0], np.random.default_rng(2)
        )
        found = simulation.measure()
        order = next(OrderParameter(*o) for o in system.orders_of(system.example) if o.name == column)
        order_SC = np.stack([found[component] for component in order.components], axis=1)
        np.testing.assert_allclose(order.length(order_SC), found[column], atol=1e-12)


def test_potts_of_two_states_has_the_sign_of_the_ising_model_on_sublattices() -> None:
    system = contract.load("potts")
    uniform, staggered = system.orders_of(replace(system.example, states=2))
    assert (uniform.kind, uniform.directions) == ("states", 2)
    assert (staggered.kind, staggered.components) == ("sign", ("staggered_magnetization_0",))


def test_clock_of_an_odd_number_of_values_has_no_directions_on_sublattices() -> None:
    system = contract.load("clock")
    kinds = [order.kind for order in system.orders_of(replace(system.example, states=5))]
    assert kinds == ["angles", "continuous"]


def test_orders_that_are_no_columns_are_refused() -> None:
    system = contract.load("ising")
    bad = replace(system, orders=lambda spec: (contract.OrderDeclaration("nematic", ("q_xx",)),))
    with pytest.raises(contract.IncompleteSystem, match="q_xx"):
        bad.orders_of(bad.example)
