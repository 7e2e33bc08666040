"""The simulate stage: one shard per task, simulated and certified, or made of other data.

Finished shards are kept, damaged ones made again.
"""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from simulators import contract
from simulators.order import Order
from simulators.sampling import Sampler, Samples
from workflow import data_sources, manifest, shards, storage
from workflow.blocks import Study
from workflow.cautions import cautions
from workflow.certified import objections
from workflow.costs import simulation_cost
from workflow.data_tasks import SourceError
from workflow.executors import Executor
from workflow.folder import StageFailed, forget_failures, note_failure
from workflow.interruption import held
from workflow.layout import RunDirectory, write_whole
from workflow.plan import (
    ShardTask,
    SimulationJob,
    SimulationTask,
    shard_tasks,
    simulation_jobs,
)
from workflow.progress import Progress
from workflow.records import ShardRecord
from workflow.shards import ShardError
from workflow.stage_costs import timed
from workflow.storage import Place, StorageError

SAVE_SECONDS = 60.0
"""How much of a simulation is lost at most when its worker dies, beside its start."""


def sampler(job: SimulationJob) -> Sampler:
    """What simulates ``job``; its configurations come encoded for the shards."""
    first = job.tasks[0]
    system = contract.load(first.system)
    order = Order(
        chains=first.chains,
        samples=first.samples,
        algorithm=first.algorithm,
        thermalization=first.thermalization,
        spacing=first.spacing,
        measure=first.measure,
    )
    keep = partial(shards.encode, encoding=system.encoding)
    return Sampler(system, [task.point for task in job.tasks], order, job.generator(), keep)


def draw(task: SimulationTask) -> Samples:
    """The samples of a task that runs alone."""
    return run_sampler(sampler(SimulationJob((task,))), None)[0]


def run_sampler(work: Sampler, saved: Place | None, save_seconds: float = SAVE_SECONDS) -> list[Samples]:
    """Run ``work`` to its end, from ``saved`` if that is there, and save it there every minute and when interrupted.

    The clock decides when to save and nothing else, so the samples do not depend on it.
    """
    if saved is not None:
        _resume(work, saved)
    last = time.monotonic()
    with held() as signals:
        while not work.done and not signals:
            work.step()
            if saved is not None and (signals or time.monotonic() - last > save_seconds):
                _save(work, saved)
                last = time.monotonic()
    return work.result()


def _resume(work: Sampler, saved: Place) -> None:
    try:
        with np.load(io.BytesIO(saved.read_bytes()), allow_pickle=False) as content:
            state = dict(content)
    except FileNotFoundError:
        return
    except StorageError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # It would have saved time only.
        print(f"  {saved} is damaged ({error}); the simulation begins again", file=sys.stderr)
        return
    work.restore(state)


def _save(work: Sampler, saved: Place) -> None:
    state = work.state()
    if state:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **state)
        write_whole(saved, buffer.getvalue())


def run_job(job: SimulationJob, root: str) -> list[ShardRecord]:
    """Simulate one job and write its shards below the run folder ``root``; only the records return."""
    start = time.monotonic()
    run = RunDirectory.at(root)
    unfinished = run.unfinished(job.job_id)
    written = []
    for task, samples in zip(job.tasks, run_sampler(sampler(job), unfinished), strict=True):
        path = run.shard(task.system, task.size, task.task_id)
        written.append((task, path, *shards.write(task, samples, path)))
    unfinished.unlink(missing_ok=True)
    seconds = round((time.monotonic() - start) / len(job.tasks), 4)
    return [
        ShardRecord(
            task_id=task.task_id,
            path=path.relative_to(run.root).as_posix(),
            rows=rows,
            bytes=size,
            sha256=sha256,
            seconds=seconds,
            node=shards.node_name(),
        )
        for task, path, rows, size, sha256 in written
    ]


def finished(run: RunDirectory, tasks: Iterable[ShardTask]) -> tuple[dict[str, ShardRecord], dict[str, str]]:
    """Records of the tasks whose shards are there and whole, and complaints about those that are not.

    A shard that was written but not recorded (the driver was killed in between) counts as there.
    """
    wanted = {task.task_id: task for task in tasks}
    records = {task_id: record for task_id, record in manifest.load(run).items() if task_id in wanted}
    there = storage.listing(run.root)
    # A store keeps checksums of its own; to read all shards again would take longer than many a stage.
    complaints = manifest.damaged(run, records.values(), there, contents=isinstance(run.root, Path))
    for task_id in complaints:
        del records[task_id]
    for task_id, task in wanted.items():
        if task_id in records or task_id in complaints:
            continue
        path = run.shard(task.system, task.size, task_id)
        if path in there:
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
    tasks = shard_tasks(study)
    forget_failures(run, [task.task_id for task in tasks])
    records, complaints = finished(run, tasks)
    of_data = {task.task_id for source in study.data for task in source.tasks}
    # A ladder of which one shard is missing is simulated whole: the others come out as they are.
    jobs = simulation_jobs(task for task in tasks if isinstance(task, SimulationTask))
    todo = [job for job in jobs if any(task.task_id not in records for task in job.tasks)]
    # Longest first, so that the end of the stage is made of short tasks that fill every worker.
    seconds = {job.job_id: sum(simulation_cost(task).core_seconds for task in job.tasks) for job in todo}
    todo.sort(key=lambda job: -seconds[job.job_id])
    total = len(of_data - set(records)) + sum(len(job.tasks) for job in todo)
    failures: dict[str, str] = {}
    with (
        timed(run, "simulate") as cost,
        manifest.appending(run) as lines,
        Progress("simulate", total, "shards", quiet) as progress,
    ):
        for text in cautions(study) if todo else []:
            progress.say(f"  {text}")
        for task_id, text in complaints.items():
            progress.say(f"  {text}; {'making' if task_id in of_data else 'simulating'} it again")
        for record in _make_data(study, run, records, failures, progress):
            records[record.task_id] = record
            lines.add(manifest.line(record))
            cost["core_seconds"] += record.seconds or 0.0
            cost["done"] += 1
            progress.advance(1)
        for outcome in executor.run_all(run_job, todo, str(run.root), seconds=lambda job: seconds[job.job_id]):
            job = outcome.item
            if outcome.error is None:
                for record in outcome.value:
                    records[record.task_id] = record
                    lines.add(manifest.line(record))
                    cost["core_seconds"] += record.seconds
                cost["done"] += len(job.tasks)
                progress.advance(len(job.tasks))
                continue
            failures[f"{job.job_id} ({job})"] = f"{type(outcome.error).__name__}: {outcome.error}"
            if isinstance(outcome.error, OSError):
                # A full or lost disk fails every further task too.
                break
            note_failure(run, job.tasks[0].task_id, f"{job}\n\n{outcome.traceback}")
    if failures:
        raise StageFailed("simulate", failures, run.failures, total)
    manifest.store(run, records, [task.task_id for task in tasks])
    # A worker that was killed after its last shard has left its state.
    storage.remove_tree(run.unfinished_jobs)
    bad = sum(1 for _ in objections(run, tasks)) if todo and not quiet else 0
    if bad:
        print(f"  {bad} of {len(tasks)} shards are not certified; `latentphase verify` says why", file=sys.stderr)
    return records


def _make_data(
    study: Study, run: RunDirectory, records: Mapping[str, ShardRecord], failures: dict[str, str], progress: Progress
) -> Iterator[ShardRecord]:
    """Make the shards of the ``[[data]]`` blocks that are missing from ``records``; notes the first failure of each."""
    for source in study.data:
        missing = [task for task in source.tasks if task.task_id not in records]
        if missing and (text := data_sources.announcement(source)):
            progress.say(f"  {text}")
        for task in missing:
            try:
                yield data_sources.make(task, source, run)
            except SourceError as error:
                failures[f"{task.task_id} ({task})"] = str(error)
                break
