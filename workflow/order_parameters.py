"""What analysis must know of a task's physics: its order parameters, what a site holds, which parameter is scanned."""

from __future__ import annotations

from typing import NamedTuple

from analysis.encodings import Variable
from analysis.orders import OrderParameter
from simulators import contract
from workflow.plan import SimulationTask

SPIN_ONE = -1
VARIABLES = {"bernoulli": "spins", "multinomial": "states", "von-mises": "angles", "gaussian": "values"}
"""Likelihood that a system names for its states -> variable."""


class Physics(NamedTuple):
    """One task, as analysis reads it."""

    orders: tuple[OrderParameter, ...]
    variable: Variable
    parameter: str
    """Field of the spec that curves run over: temperature, or what stands for it."""


def physics(task: SimulationTask) -> Physics:
    """Order parameters, variable and scanned parameter of a simulated task."""
    system = contract.load(task.system)
    orders = tuple(OrderParameter(*order) for order in system.orders_of(task.point))
    kind = VARIABLES[system.likelihood]
    if kind != "states":
        return Physics(orders, Variable(kind), system.ladder)
    has_states = hasattr(task.point, "states")
    variable = Variable(kind, task.point.states) if has_states else Variable(kind, 3, SPIN_ONE)
    return Physics(orders, variable, system.ladder)
