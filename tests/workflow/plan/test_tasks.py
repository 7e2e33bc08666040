"""Tasks and trainings: ids and random streams from content alone, points cut into blocks, lanes of equal load."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from studies import TINY, changed

from simulators import contract
from workflow.dataset.info import DatasetInfo
from workflow.dataset.origins import SimulationTask
from workflow.execution.executors import SerialExecutor
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.stage import Execution
from workflow.plan import costs
from workflow.plan import tasks as plan
from workflow.plan.costs import LARGEST_STACK
from workflow.plan.tasks import ModelPlan, SimulationJob, model_plans, simulation_tasks
from workflow.study.blocks import Beta
from workflow.study.loading import parse
from workflow.train import on_ray as train_ray
from workflow.train.lanes import lanes
from workflow.train.stage import automatic_workers, settle_workers


def by_id(raw: dict[str, Any]) -> dict[str, SimulationTask]:
    return {task.task_id: task for task in simulation_tasks(parse(raw))}


def test_one_task_per_point() -> None:
    tasks = simulation_tasks(parse(TINY))
    assert len(tasks) == 8
    assert len({task.task_id for task in tasks}) == 8
    assert all(len(task.task_id) == 16 and int(task.task_id, 16) >= 0 for task in tasks)
    assert all(task.digest.startswith(task.task_id) for task in tasks)


def test_more_temperatures_change_no_other_task() -> None:
    before = by_id(TINY)
    after = by_id(changed("simulate", 0, "temperature", to=[0.9, 1.2, 2.0, 4.5]))
    assert len(after) == 16
    assert {task_id: after[task_id] for task_id in before} == before
    for task_id, task in before.items():
        streams = [SimulationJob((one,)).generator() for one in (task, after[task_id])]
        np.testing.assert_array_equal(*(stream.integers(2**63, size=4) for stream in streams))


def test_the_order_of_the_grid_does_not_matter() -> None:
    assert by_id(changed("simulate", 0, "temperature", to=[4.5, 1.2])) == by_id(TINY)
    split = changed("simulate", 0, "coupling", to=[-1.0])
    split["simulate"].append({**split["simulate"][0], "coupling": [1.0]})
    assert by_id(split) == by_id(TINY)


def test_a_range_and_a_list_are_the_same_points() -> None:
    grid = changed("simulate", 0, "temperature", to={"start": 1.2, "stop": 4.5, "count": 2})
    assert by_id(grid) == by_id(TINY)


@pytest.mark.parametrize("entry", [{"samples": 257}, {"chains": 32}, {"algorithm": "metropolis"}, {"spacing": 3}])
def test_every_setting_is_part_of_the_id(entry: dict[str, Any]) -> None:
    study = changed("seed", to=3)
    study["simulate"][0] |= entry
    assert not set(by_id(study)) & set(by_id(TINY))


def test_the_seed_and_the_version_are_part_of_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(by_id(TINY))
    assert not set(by_id(changed("seed", to=4))) & before
    newer = dataclasses.replace(contract.load("ising"), version=10**6)
    monkeypatch.setattr(contract, "load", lambda name: newer)
    assert not set(by_id(TINY)) & before


def test_streams_of_all_tasks_differ() -> None:
    draws = [tuple(SimulationJob((task,)).generator().integers(2**63, size=2)) for task in by_id(TINY).values()]
    # Of 8 pairs of 63-bit numbers, two are equal by chance less than once in 10^36.
    assert len(set(draws)) == len(draws)


def test_many_samples_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with chains, a stream and a shard of its own; the samples add up."""
    monkeypatch.setattr(plan, "SITES_PER_TASK", 100 * 64)
    tasks = [task for task in simulation_tasks(parse(TINY)) if task.size == 8 and task.spec[3][1] == 1.2]
    counts = Counter(task.spec for task in tasks)
    assert set(counts.values()) == {2}
    for spec in counts:
        blocks = [task for task in tasks if task.spec == spec]
        assert [task.samples for task in blocks] == [128, 128]
        assert [task.block for task in blocks] == [0, 1]
        assert len({task.task_id for task in blocks}) == 2


def test_a_training_reads_all_blocks_of_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SITES_PER_TASK", 100 * 64)
    runs = model_plans(parse(TINY))
    assert {run.size: len(run.task_ids) for run in runs} == {4: 4, 8: 8}


def test_one_model_per_size_beta_and_seed() -> None:
    runs = model_plans(parse(TINY))
    assert Counter((run.size, str(run.beta), run.seed) for run in runs) == {
        (size, beta, seed): 1 for size in (4, 8) for beta in ("0.2 lam", "1.1 lam") for seed in (0, 1)
    }
    assert len({run.train_id for run in runs}) == 8
    assert len({run.stack for run in runs}) == 2


def test_the_name_of_a_block_does_not_matter() -> None:
    names = {run.train_id for run in model_plans(parse(changed("train", 0, "name", to="renamed")))}
    assert names == {run.train_id for run in model_plans(parse(TINY))}
    study = changed("seed", to=3)
    study["train"].append({**study["train"][0], "name": "again", "seed": [1, 2]})
    assert len(model_plans(parse(study))) == 12, "the runs of seed 1 are the same models"


@pytest.mark.parametrize(
    "entry", [{"epochs": 5}, {"held_out": 0.5}, {"learning_rate": 1e-4}, {"axes": "none"}, {"precision": "bfloat16"}]
)
def test_what_decides_the_weights_is_part_of_the_train_id(entry: dict[str, Any]) -> None:
    study = changed("seed", to=3)
    study["train"][0] |= entry
    before = {run.train_id for run in model_plans(parse(TINY))}
    assert not before & {run.train_id for run in model_plans(parse(study))}


@pytest.mark.parametrize("entry", [{"workers": 2}, {"workers": "auto"}, {"compile": True}, {"precision": "float32"}])
def test_how_it_is_carried_out_is_not(entry: dict[str, Any]) -> None:
    study = changed("seed", to=3)
    study["train"][0] |= entry
    runs = model_plans(parse(study))
    assert [run.train_id for run in runs] == [run.train_id for run in model_plans(parse(TINY))]
    # What is carried out differently trains in different stacks.
    (key, value) = next(iter(entry.items()))
    other = {run.stack for run in runs} - {run.stack for run in model_plans(parse(TINY))}
    assert bool(other) == (key != "precision"), value


def test_train_ids_of_older_programs_stay_as_they_were() -> None:
    """A run folder made before there were ``precision`` and ``compile`` keeps its models."""
    run = ModelPlan(
        name="phases",
        system="ising",
        size=4,
        network="table-1",
        beta=Beta(0.2, relative=True),
        seed=1,
        settings=(("epochs", 4), ("hidden", 128), ("precision", "float32")),
        task_ids=("0" * 16,),
        workers=1,
        network_input=DatasetInfo(shape=(1, 4, 4), encoding="bits", variable="spins"),
        version=1,
    )
    assert run.train_id == "22609778796c1839"


@pytest.mark.parametrize(
    ("gpus", "trainings", "workers"), [(0, 1, 1), (1, 1, 1), (8, 1, 8), (8, 3, 2), (8, 8, 1), (8, 64, 1)]
)
def test_gpus_are_shared_out_where_they_outnumber_the_trainings(gpus: int, trainings: int, workers: int) -> None:
    assert automatic_workers(gpus, trainings) == workers


def test_other_data_are_another_model() -> None:
    before = {run.train_id for run in model_plans(parse(TINY))}
    more = model_plans(parse(changed("simulate", 0, "temperature", to=[1.2, 4.0, 4.5])))
    assert not before & {run.train_id for run in more}


def sweep(seeds: int) -> tuple[ModelPlan, ...]:
    return model_plans(parse(changed("train", 0, "seed", to=list(range(seeds)))))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_lanes_deal_every_run_once(count: int) -> None:
    runs = sweep(3)
    dealt = lanes(runs, count)
    assert len(dealt) == count
    flat = [run.train_id for lane in dealt for stack in lane for run in stack]
    assert sorted(flat) == sorted(run.train_id for run in runs)
    for lane in dealt:
        for stack in lane:
            assert len({run.stack for run in stack}) == 1
    loads = [sum(costs.training_cost(run) for stack in lane for run in stack) for lane in dealt]
    # Dealt to the least loaded lane each time: two lanes differ by the dearest run at most.
    assert max(loads) - min(loads) <= max(costs.training_cost(run) for run in runs) * (1 + 1e-12)


def test_more_lanes_than_runs_leave_none_empty() -> None:
    assert len(lanes(sweep(1)[:2], 5)) == 2


def test_stacks_have_a_largest_size() -> None:
    (lane,) = lanes(sweep(LARGEST_STACK // 2 + 3), 1)
    assert sorted(len(stack) for stack in lane) == [6, 6, LARGEST_STACK, LARGEST_STACK]


def test_networks_that_cannot_be_stacked_train_in_turn() -> None:
    runs = model_plans(parse(changed("train", 0, "network", to="table-1")))
    (lane,) = lanes(runs, 1)
    assert [len(stack) for stack in lane] == [1] * 8


def test_costs_grow_with_the_work() -> None:
    tasks = simulation_tasks(parse(TINY))
    small, large = (next(task for task in tasks if task.size == size) for size in (4, 8))
    more = dataclasses.replace(small, samples=100 * small.samples)
    assert costs.simulation_cost(more).core_seconds > costs.simulation_cost(small).core_seconds
    assert costs.simulation_cost(more).disk_bytes > costs.simulation_cost(small).disk_bytes
    assert costs.simulation_cost(large).core_seconds > costs.simulation_cost(small).core_seconds


def test_auto_workers_are_settled_by_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a study with two models to do, on eight GPUs: four workers each, and the same ids."""
    raw = changed("train", 0, "beta", to="auto")
    raw["train"][0] |= {"workers": "auto", "size": 4}
    runs = model_plans(parse(raw))
    assert len(runs) == 2
    assert {run.workers for run in settle_workers(runs, runs, Execution(SerialExecutor()))} == {1}
    monkeypatch.setattr(train_ray, "find_room", lambda *_: train_ray.Room("cuda", 8, 0))
    ray = Execution(RayExecutor(workers=1))
    settled = settle_workers(runs, runs, ray)
    assert [run.workers for run in settled] == [4, 4]
    assert [run.train_id for run in settled] == [run.train_id for run in runs]
    assert {run.workers for run in settle_workers(runs, runs[:1], ray)} == {8}
    # Eight CPUs are no reason: their cores serve one worker's threads as well.
    monkeypatch.setattr(train_ray, "find_room", lambda *_: train_ray.Room("cpu", 8, 8))
    assert {run.workers for run in settle_workers(runs, runs, ray)} == {1}
    assert {run.workers for run in settle_workers(model_plans(parse(TINY)), runs, ray)} == {1}
