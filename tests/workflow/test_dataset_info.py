"""What training and analysis are told of shards: of every system, and that the stored configurations agree."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from simulators import contract
from workflow import shards
from workflow.dataset_info import simulated
from workflow.plan import SimulationTask
from workflow.simulate import draw

EXPECTED = {
    "ising": ("spins", None, 0, 1),
    "potts": ("states", 3, 0, 3),
    "clock": ("states", 6, 0, 6),
    "blume-capel": ("states", 3, -1, 3),
    "xy": ("angles", None, 0, 2),
    "phi4": ("values", None, 0, 1),
}
"""Variable, q, lowest state, and features per site; q as in the systems' examples."""


def example(name: str) -> SimulationTask:
    system = contract.load(name)
    return SimulationTask(
        system=name,
        version=system.version,
        spec=tuple(dataclasses.asdict(system.example).items()),
        samples=64,
        chains=8,
        algorithm=system.algorithms[0],
        thermalization=20,
        spacing=2,
        block=0,
        seed=1,
    )


def test_every_system_is_known() -> None:
    assert set(contract.names()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_system_and_what_it_stores(name: str) -> None:
    task = example(name)
    info = task.info
    variable, states, lowest, width = EXPECTED[name]
    if states is not None and name != "blume-capel":
        states = width = task.point.states
    assert (info.variable, info.states, info.lowest, info.width) == (variable, states, lowest, width)
    assert info.order_parameters == task.names.order_parameters
    x_SCHW = shards.decode(draw(task).configurations, info.encoding, info.shape)
    assert info.features == x_SCHW[0].size * width
    if variable == "states":
        assert set(np.unique(x_SCHW)) <= set(range(lowest, lowest + info.states))


def test_a_system_that_does_not_say_how_many_states() -> None:
    system = dataclasses.replace(contract.load("potts"), name="new")
    spec = SimpleNamespace(shape=(1, 4, 4))
    with pytest.raises(ValueError, match="system new has states, but its spec has no field that says how many"):
        simulated(system, spec)
