"""Studies of every system: what is refused before any work starts, and in which words."""

from typing import Any

import pytest

from simulators import contract
from workflow.plan.costs import expected_algorithm, simulation_cost
from workflow.plan.tasks import simulation_tasks
from workflow.study.loading import StudyError, parse

POINTS: dict[str, dict[str, Any]] = {
    "ising": {"coupling": 1.0, "temperature": [2.0, 2.5]},
    "potts": {"states": 3, "coupling": 1.0, "temperature": [0.9, 1.1]},
    "clock": {"states": 6, "coupling": 1.0, "temperature": [0.6, 1.0]},
    "xy": {"coupling": 1.0, "temperature": [0.7, 1.0]},
    "blume-capel": {"coupling": 1.0, "crystal_field": 0.5, "temperature": [1.2, 1.7]},
    "phi4": {"hopping": [0.2, 0.3], "quartic": 0.1},
}


def study(system: str, **changes: Any) -> dict[str, Any]:
    return {"name": "s", "simulate": [{"system": system, "size": 8, **POINTS[system], "samples": 64} | changes]}


def problems(raw: dict[str, Any]) -> str:
    with pytest.raises(StudyError) as caught:
        parse(raw)
    return str(caught.value)


@pytest.mark.parametrize("system", POINTS)
def test_every_algorithm_of_every_system_can_be_asked_for(system: str) -> None:
    assert set(contract.names()) >= set(POINTS)
    for algorithm in ("auto", *contract.load(system).algorithms, "tempering"):
        for task in simulation_tasks(parse(study(system, algorithm=algorithm))):
            cost = simulation_cost(task)
            assert cost.core_seconds > 0 and cost.memory_bytes > 0 and cost.disk_bytes > 0
            assert expected_algorithm(task) in (*contract.load(system).algorithms, "tempering")


BAD = [
    ("potts", {"states": 1}, "simulate.0.states: must be"),
    ("potts", {"states": 65}, "simulate.0.states: must be"),
    ("clock", {"states": 1}, "simulate.0.states: must be"),
    ("potts", {"size": 9, "coupling": -1.0}, "simulate.0.size: must be even"),
    ("clock", {"size": 9, "coupling": -1.0}, "simulate.0.size: must be even"),
    ("xy", {"size": 9, "coupling": -1.0}, "simulate.0.size: must be even"),
    ("blume-capel", {"size": 9, "coupling": -1.0}, "simulate.0.size: must be even"),
    ("phi4", {"size": 9, "hopping": -0.2}, "simulate.0.size: must be even"),
    ("potts", {"coupling": -1.0, "algorithm": "wolff"}, "simulate.0.algorithm: Fortuin-Kasteleyn clusters need J > 0"),
    ("ising", {"coupling": -1.0, "field": 4.0, "algorithm": "swendsen-wang"}, "simulate.0.algorithm: "),
    ("phi4", {"quartic": -0.1}, "simulate.0.quartic: must"),
    ("phi4", {"quartic": 0.0, "hopping": [0.2, 0.25]}, "simulate.0.hopping: "),
    ("blume-capel", {"crystal_field": float("inf")}, "simulate.0.crystal_field: must be finite"),
    ("xy", {"temperature": [0.0, 1.0]}, "simulate.0.temperature: must be positive"),
    (
        "xy",
        {"temperature": 1.0, "algorithm": "tempering"},
        "simulate.0.temperature: parallel tempering needs at least two",
    ),
    ("phi4", {"hopping": 0.2, "algorithm": "tempering"}, "simulate.0.hopping: parallel tempering needs at least two"),
    ("xy", {"algorithm": "heat-bath"}, "simulate.0.algorithm: must be one of auto, metropolis, over-relaxation,"),
]


@pytest.mark.parametrize(("system", "changes", "message"), BAD)
def test_what_cannot_be_simulated_is_refused(system: str, changes: dict[str, Any], message: str) -> None:
    assert message in problems(study(system, **changes))
    parse(study(system))


@pytest.mark.parametrize("system", [name for name in POINTS if name != "ising"])
def test_a_likelihood_that_does_not_fit_is_refused(system: str) -> None:
    raw = study(system) | {"train": [{"name": "a", "likelihood": "bernoulli"}]}
    fitting = {
        "potts": '"multinomial" or "thermal" for states',
        "clock": '"multinomial" or "thermal" for states',
        "blume-capel": '"multinomial" or "thermal" for states',
        "xy": '"von-mises" or "gaussian" for angles',
        "phi4": '"gaussian" for values',
    }
    assert f'train.0.likelihood: must be {fitting[system]}, got "bernoulli"' in problems(raw)
    parse(study(system) | {"train": [{"name": "a"}]})


def test_thermal_on_an_odd_lattice_is_refused() -> None:
    raw = study("potts", size=[8, 7]) | {"train": [{"name": "a", "likelihood": "thermal"}]}
    assert "train.0.likelihood: thermal needs even rows and columns to refine, got (7, 7)" in problems(raw)


def test_one_network_for_one_number_of_states() -> None:
    raw = study("potts", states=[3, 4]) | {"train": [{"name": "a"}]}
    assert "train.0.select: must choose one number of states, got 3 and 4" in problems(raw)
    parse(raw | {"train": [{"name": "a", "select": {"states": 3}}]})


def test_auto_is_expected_to_take_clusters_on_large_critical_lattices() -> None:
    def expected(size: int, temperature: float) -> str:
        (task,) = simulation_tasks(parse(study("ising", size=size, temperature=temperature)))
        return expected_algorithm(task)

    assert expected(16, 2.269) == "metropolis"
    assert expected(256, 2.269) == "wolff"
    assert expected(256, 3.4) == "metropolis"
