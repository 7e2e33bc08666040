"""The simulate stage: one shard per task, simulated and certified, or made of other data.

Finished shards are kept, damaged ones made again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from workflow.dataset import manifest
from workflow.dataset.certified import objections
from workflow.dataset.manifest import finished
from workflow.dataset.origins import SimulationTask, SourceError
from workflow.dataset.records import ShardRecord
from workflow.execution.executors import Executor
from workflow.execution.failures import StageFailed, forget_failures, note_failure
from workflow.execution.stage_costs import timed
from workflow.plan.cautions import cautions
from workflow.plan.costs import simulation_cost
from workflow.plan.tasks import shard_tasks, simulation_jobs
from workflow.simulate.worker import run_job
from workflow.sources import making as data_sources
from workflow.storage import places as storage
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.terminal import Progress


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
