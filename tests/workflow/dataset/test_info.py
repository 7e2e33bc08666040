"""What training and analysis are told of shards: of every system, and that the stored configurations agree."""

import dataclasses

import numpy as np
import pytest

from simulators import contract
from workflow.dataset import codec
from workflow.dataset.origins import SimulationTask
from workflow.simulate.worker import draw

EXPECTED = {
    "ising": ("spins", 2, 0),
    "potts": ("states", None, 0),
    "clock": ("states", None, 0),
    "blume-capel": ("states", 3, -1),
    "xy": ("angles", 2, 0),
    "phi4": ("values", 2, 0),
    "hubbard": ("spins", 2, 0),
    "anderson": ("spins", 2, 0),
}
"""Variable, q (None: the spec says it), lowest state."""


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
    variable, states, lowest = EXPECTED[name]
    assert info.stored == (variable, task.point.states if states is None else states, lowest)
    assert info.order_parameters == task.names.order_parameters
    x_SCHW = codec.decode(draw(task).configurations, info.encoding, info.shape)
    assert x_SCHW.shape == (64, *info.shape)
    if variable == "states":
        assert set(np.unique(x_SCHW)) <= set(range(lowest, lowest + info.states))
