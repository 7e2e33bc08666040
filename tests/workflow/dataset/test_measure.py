"""``measure`` of a ``[[simulate]]`` block: refused, or carried out and stored; nothing changes without it."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulators.fermions import on_request
from simulators.systems import hubbard
from workflow.dataset import shards
from workflow.dataset.origins import SimulationTask
from workflow.plan.table import plan_table
from workflow.plan.tasks import SimulationJob, simulation_tasks
from workflow.simulate.worker import draw, run_sampler, sampler
from workflow.study.loading import StudyError, parse

BLOCK: dict[str, Any] = {
    "system": "hubbard", "size": 2, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25, "samples": 40,
    "chains": 8, "algorithm": "metropolis", "thermalization": 4, "spacing": 1,
}  # fmt: skip
EVERYTHING = ("green", "imaginary-time", "pairs", "structure-factors")


def task(**changes: Any) -> SimulationTask:
    (found,) = simulation_tasks(parse({"name": "a", "simulate": [BLOCK | changes]}))
    return found


def problems(**changes: Any) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse({"name": "a", "simulate": [BLOCK | changes]})
    return [str(problem) for problem in caught.value.problems]


def test_what_cannot_be_measured() -> None:
    (text,) = problems(measure=["paris"])
    assert text.startswith(
        "simulate.0.measure: must be some of structure-factors, pairs, imaginary-time, green, got 'paris' (at size = 2"
    )
    (text,) = problems(measure=["pairs", "pairs"])
    assert text == "simulate.0.measure: must not name anything twice, got ['pairs', 'pairs']"
    (text,) = problems(measure=["pairs"], twist_x=[0.0, 0.2])
    assert "must be some of structure-factors, imaginary-time, green, got 'pairs'" in text and "twist_x = 0.2" in text
    (text,) = problems(measure="pairs")
    assert text.startswith("simulate.0.measure")
    ising = {"system": "ising", "size": 4, "coupling": 1.0, "temperature": 2.0, "samples": 64}
    with pytest.raises(StudyError, match=r"simulate\.0\.measure: ising measures nothing on request, got 'green'"):
        parse({"name": "a", "simulate": [ising | {"measure": ["green"]}]})


def test_ids_without_it_are_those_of_before() -> None:
    assert task(measure=[]) == task()
    assert task().task_id == "387c0ec72d6b3404"
    assert "measure" not in task().content
    assert "measure" not in parse({"name": "a", "simulate": [BLOCK]}).resolved["simulate"][0]
    asked = task(measure=["pairs", "green"])
    assert asked.task_id != task().task_id
    assert asked.task_id == task(measure=["green", "pairs"]).task_id


def test_a_resolved_study_is_the_same_study() -> None:
    study = parse({"name": "a", "simulate": [BLOCK | {"measure": ["pairs", "green"]}]})
    assert study.resolved["simulate"][0]["measure"] == ["green", "pairs"]
    assert parse(study.resolved).simulate == study.simulate


def test_plan_shows_it() -> None:
    study = parse({"name": "a", "simulate": [BLOCK | {"measure": list(EVERYTHING)}]})
    assert (
        "simulate.0 measures on request: green (an input of 1 x 4 x 4), imaginary-time (19 columns), pairs (1 column), "
        "structure-factors (3 columns); about " in plan_table(study, workers=2)
    )


def test_a_shard_holds_it(tmp_path: Path) -> None:
    asked = task(measure=list(EVERYTHING), chemical_potential=-0.5)
    samples, path = draw(asked), tmp_path / "shard.parquet"
    shards.write(asked, samples, path)
    offered = on_request.measurements(asked.point)
    shard = shards.read(path)
    more = [name for key in EVERYTHING for name in offered[key].columns]
    assert set(more) <= set(shard.columns) and "configuration_green" not in shard.columns
    assert set(more) <= set(shard.metadata["certificate"]["observables"])
    assert shard.metadata["task"]["measure"] == list(EVERYTHING)
    field = pq.read_schema(path).field("configuration_green")
    assert str(field.type) == "fixed_size_binary[128]"
    assert field.metadata == {b"encoding": b"float32", b"shape": b"[2, 4, 4]"}
    green = shards.read(path, columns=("configuration_green",)).columns["configuration_green"]
    np.testing.assert_array_equal(shards.read(path, inputs=True).columns["configuration_green"], green)
    assert green.dtype == np.float32 and green.shape == (40, 2, 4, 4)
    # Row by row the Green's function of that row's field.
    simulation = hubbard.Simulation.of_fields(asked.point, shard.configurations())
    again = simulation.measure_on_request(EVERYTHING)
    np.testing.assert_allclose(green, again["green"], atol=1e-6)
    for name in more:
        np.testing.assert_allclose(shard.columns[name], again[name], atol=1e-8, err_msg=name)
    json.dumps(shard.metadata["certificate"], allow_nan=False)


@pytest.mark.parametrize("algorithm", ["metropolis", "tempering"])
def test_a_simulation_that_was_stopped_goes_on(algorithm: str) -> None:
    asked = [replace(task(interaction=u, measure=list(EVERYTHING)), algorithm=algorithm) for u in (3.0, 4.0)]
    if algorithm == "tempering":
        asked = [replace(one, ladder=(3.0, 4.0)) for one in asked]
    job = SimulationJob(tuple(asked if algorithm == "tempering" else asked[:1]))
    whole, first, second = sampler(job), sampler(job), sampler(job)
    expected = run_sampler(whole, None)
    for _ in range(9):
        first.step()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **first.state())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as content:
        second.restore(dict(content))
    for one, other in zip(expected, run_sampler(second, None), strict=True):
        np.testing.assert_array_equal(one.configurations, other.configurations)
        np.testing.assert_array_equal(one.inputs["green"], other.inputs["green"])
        for name, values in one.observables.items():
            np.testing.assert_array_equal(values, other.observables[name], err_msg=name)
        assert one.certificate == other.certificate
