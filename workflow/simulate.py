"""The simulate stage: one shard per task, each certified; finished shards are kept, damaged ones made again."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from simulators import contract, sampling
from workflow import manifest, shards
from workflow.blocks import Study
from workflow.executors import Executor
from workflow.folder import StageFailed, note_failure, timed
from workflow.layout import RunDirectory
from workflow.plan import SimulationTask, simulation_cost, simulation_tasks
from workflow.progress import Progress
from workflow.shards import ShardError, ShardRecord


def draw(task: SimulationTask) -> sampling.Samples:
    """The samples of one task, their configurations encoded for its shard, with their certificate."""
    system = contract.load(task.system)
    return sampling.sample(
        system,
        system.spec(**dict(task.spec)),
        chains=task.chains,
        samples=task.samples,
        algorithm=task.algorithm,
        thermalization=task.thermalization,
        spacing=task.spacing,
        rng=task.generator(),
        keep=partial(shards.encode, encoding=system.encoding),
    )


def run_task(task: SimulationTask, root: str) -> ShardRecord:
    """Simulate one task and write its shard below the run folder ``root``; only the record returns."""
    start = time.monotonic()
    run = RunDirectory(Path(root))
    samples = draw(task)
    path = run.shard(task.system, task.size, task.task_id)
    rows, size, sha256 = shards.write(task, samples, path)
    return ShardRecord(
        task_id=task.task_id,
        path=path.relative_to(run.root).as_posix(),
        rows=rows,
        bytes=size,
        sha256=sha256,
        seconds=round(time.monotonic() - start, 4),
        node=platform.node(),
    )


def finished(run: RunDirectory, tasks: Iterable[SimulationTask]) -> tuple[dict[str, ShardRecord], dict[str, str]]:
    """Records of the tasks whose shards are there and whole, and complaints about those that are not.

    A shard that was written but not recorded (the driver was killed in between) counts as there.
    """
    wanted = {task.task_id: task for task in tasks}
    records = {task_id: record for task_id, record in manifest.load(run).items() if task_id in wanted}
    complaints = manifest.damaged(run, records.values())
    for task_id in complaints:
        del records[task_id]
    for task_id, task in wanted.items():
        path = run.shard(task.system, task.size, task_id)
        if task_id not in records and task_id not in complaints and path.exists():
            try:
                records[task_id] = manifest.describe(run, path)
            except ShardError as error:
                complaints[task_id] = str(error)
    return records, complaints


def simulate(study: Study, run: RunDirectory, executor: Executor, quiet: bool = False) -> dict[str, ShardRecord]:
    """Make every shard of ``study`` that is missing.

    Returns:
        The manifest, by task id.

    Raises:
        StageFailed: some tasks failed; the others' shards are there and are kept.
    """
    tasks = simulation_tasks(study)
    records, complaints = finished(run, tasks)
    todo = [task for task in tasks if task.task_id not in records]
    # Longest first, so that the end of the stage is made of short tasks that fill every worker.
    todo.sort(key=lambda task: -simulation_cost(task).core_seconds)
    failures: dict[str, str] = {}
    with timed(run, "simulate") as cost, Progress("simulate", len(todo), "shards", quiet) as progress:
        for text in complaints.values():
            progress.say(f"  {text}; simulating it again")
        for outcome in executor.run_all(run_task, todo, str(run.root)):
            task = outcome.item
            if outcome.error is None:
                records[task.task_id] = outcome.value
                manifest.append(run, outcome.value)
                cost["core_seconds"] += outcome.value.seconds
                cost["done"] += 1
                progress.advance(1)
                continue
            failures[f"{task.task_id} ({task})"] = f"{type(outcome.error).__name__}: {outcome.error}"
            if isinstance(outcome.error, OSError):
                # A full or lost disk fails every further task too.
                break
            note_failure(run, task.task_id, f"{task}\n\n{outcome.traceback}")
    if failures:
        raise StageFailed("simulate", failures, run.failures, len(todo))
    manifest.store(run, records, [task.task_id for task in tasks])
    return records
