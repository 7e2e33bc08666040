"""From a study to its work: one task per shard, one plan per model, and which tasks a worker simulates together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from simulators import contract
from workflow.dataset import inputs
from workflow.dataset.identity import stream
from workflow.dataset.info import DatasetInfo
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.dataset.points import Point
from workflow.plan.model_plan import ModelPlan, ShardKind
from workflow.study.blocks import SimulateBlock, Study, TrainBlock, listed
from workflow.study.selection import selected
from workflow.study.symmetries import symmetries_of
from workflow.study.train_settings import SETTINGS

SITES_PER_TASK = 2**28
"""About how many lattice sites one task keeps (32 MiB as bits): more samples make more tasks, with own chains."""


def kinds(tasks: Iterable[ShardTask]) -> dict[ShardKind, list[ShardTask]]:
    """``tasks`` by kind."""
    by_kind: dict[ShardKind, list[ShardTask]] = {}
    for task in tasks:
        by_kind.setdefault(ShardKind(task.system, task.size, task.info), []).append(task)
    return by_kind


class SimulationJob(NamedTuple):
    """What one worker simulates at a time: a task, or the tasks of a ladder in its order."""

    tasks: tuple[SimulationTask, ...]

    @property
    def job_id(self) -> str:
        return self.tasks[0].job_digest[:16]

    def generator(self) -> np.random.Generator:
        """The job's random stream: from its content alone, so that adding a point changes no other job's shards."""
        return stream(self.tasks[0].seed, self.tasks[0].job_digest)

    def __str__(self) -> str:
        more = f" and {len(self.tasks) - 1} more" if len(self.tasks) > 1 else ""
        return f"{self.tasks[0]}{more}"


def simulation_jobs(tasks: Iterable[SimulationTask]) -> tuple[SimulationJob, ...]:
    """``tasks`` by what runs together, in their order."""
    jobs: dict[str, list[SimulationTask]] = {}
    for task in tasks:
        jobs.setdefault(task.job_digest, []).append(task)
    return tuple(SimulationJob(tuple(sorted(job, key=_rung))) for job in jobs.values())


def _rung(task: SimulationTask) -> int:
    if task.ladder is None:
        return 0
    return task.ladder.index(dict(task.spec)[contract.load(task.system).ladder])


def simulation_tasks(study: Study) -> tuple[SimulationTask, ...]:
    """One task per parameter point (or block of its chains), in the study's order."""
    return tuple(task for task in stream_tasks(study) if isinstance(task, SimulationTask))


def shard_tasks(study: Study) -> tuple[ShardTask, ...]:
    """One task per shard: what is simulated first, then what the ``[[data]]`` blocks bring."""
    return tuple(stream_tasks(study))


def stream_tasks(study: Study) -> Iterator[ShardTask]:
    """The tasks of ``shard_tasks`` one after the other: a study may have more than fit in memory."""
    for block in study.simulate:
        for point in block.points:
            yield from _tasks(block, point, study.seed)
    for source in study.data:
        yield from source.tasks


def _tasks(block: SimulateBlock, point: Point, seed: int) -> Iterable[SimulationTask]:
    system = contract.load(block.system)
    sites = prod(system.spec(**dict(point.values)).shape)
    most = max(block.chains, SITES_PER_TASK // sites)
    # Rounded down: no task gets fewer samples than it has chains.
    count = max(1, block.samples // most)
    # Points that differ in this field alone take all its values: no system rounds the field of its ladder.
    ladder = tuple(sorted(block.points.axes[system.ladder])) if block.algorithm == contract.TEMPERING else None
    for index in range(count):
        yield SimulationTask(
            system=block.system,
            version=system.version,
            spec=point.values,
            samples=block.samples // count + (index < block.samples % count),
            chains=block.chains,
            algorithm=block.algorithm,
            thermalization=block.thermalization,
            spacing=block.spacing,
            block=index,
            seed=seed,
            ladder=ladder,
            measure=block.measure,
        )


def model_plans(study: Study, tasks: Sequence[ShardTask] | None = None) -> tuple[ModelPlan, ...]:
    """Every model that the study trains: block by block, size by size; equal ones (same train_id) once.

    Args:
        study: whose blocks they are.
        tasks: ``shard_tasks(study)`` where the caller has them; None: they are made here, if anything is trained.
    """
    if tasks is None:
        tasks = shard_tasks(study) if study.train else ()
    models: dict[str, ModelPlan] = {}
    for block in study.train:
        for model in _block_models(block, study, tasks):
            models.setdefault(model.train_id, model)
    return tuple(models.values())


def _block_models(block: TrainBlock, study: Study, tasks: Sequence[ShardTask]) -> Iterable[ModelPlan]:
    points = selected(block, (*study.simulate, *study.data))
    chosen = {(source.system, point.values) for source, point in points}
    selection = [task for task in tasks if (task.system, task.spec) in chosen]
    sizes = sorted({task.size for task in selection}) if block.size is None else listed(block.size)
    for size, input_name in product(sizes, block.inputs):
        shards = [task for task in selection if task.size == size]
        network_input = inputs.network_input(shards[0].info, input_name)
        settings = _settings(block, input_name, network_input, shards)
        task_ids = tuple(sorted(task.task_id for task in shards))
        for network, beta, seed, restart in product(block.networks, block.betas, block.seeds, range(block.restarts)):
            yield ModelPlan(
                name=block.name,
                system=shards[0].system,
                size=size,
                network=network,
                beta=beta,
                seed=seed,
                settings=settings,
                task_ids=task_ids,
                workers=block.workers,
                memory=block.memory,
                compile=block.compile,
                network_input=network_input,
                restart=restart,
            )


def _settings(
    block: TrainBlock, input_name: inputs.Input, network_input: DatasetInfo, shards: Sequence[ShardTask]
) -> tuple[tuple[str, Any], ...]:
    """The settings of the models of a block that have one input, in the order of ``SETTINGS``."""
    particular: dict[str, object] = {
        "likelihood": network_input.stored.likelihood if block.likelihood == "auto" else block.likelihood,
        "input": input_name,
        # The symmetries by which samples are turned decide the weights, too.
        "augment": symmetries_of(shards, input_name) if block.augment else (),
    }
    return tuple((name, particular.get(name, getattr(block, name))) for name in SETTINGS)
