"""What analysis must know of a task's physics: its order parameters, what a site holds, which parameter is scanned."""

from __future__ import annotations

from typing import NamedTuple

from analysis.encodings import Variable
from analysis.orders import OrderParameter, signs
from simulators import contract
from workflow.dataset.inputs import Input, is_second, network_input
from workflow.dataset.origins import DataTask, ShardTask
from workflow.dataset.variables import SiteValues


class Physics(NamedTuple):
    """One task, as analysis reads it."""

    orders: tuple[OrderParameter, ...]
    variable: Variable
    parameter: str
    """Field of the spec that curves run over: temperature, or what stands for it."""
    on_sites: bool = True
    """Whether what a model sees has a number of its own for every site, which order parameters can be read off."""


def variable_of(stored: SiteValues) -> Variable:
    """The same as analysis names it."""
    return Variable(*stored) if stored.variable == "states" else Variable(stored.variable)


def physics(task: ShardTask, input_name: Input = "raw") -> Physics:
    """Order parameters, variable as a model sees it, scanned parameter; of data, every order parameter has a sign."""
    variable = variable_of(network_input(task.info, input_name).stored)
    if isinstance(task, DataTask):
        return Physics(signs(task.info.order_parameters), variable, "temperature")
    system = contract.load(task.system)
    orders = tuple(OrderParameter(*declaration) for declaration in system.orders_of(task.point))
    return Physics(orders, variable, system.ladder, not is_second(input_name))
