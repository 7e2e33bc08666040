"""The simulate stage: one shard per task, simulated and certified, or made of other data.

Finished shards are kept, damaged ones made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from workflow.dataset import manifest
from workflow.dataset.certified import objections
from workflow.dataset.manifest import finished
from workflow.dataset.origins import SimulationTask, SourceError
from workflow.dataset.records import ShardRecord, record_line
from workflow.execution.failures import forget_failures
from workflow.execution.stage import Execution, Failure, StageWork, stage_work
from workflow.plan.cautions import cautions
from workflow.plan.costs import simulation_cost
from workflow.plan.tasks import SimulationJob, shard_tasks, simulation_jobs
from workflow.simulate.worker import run_job
from workflow.sources import making
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study


def simulate(study: Study, run: RunDirectory, execution: Execution) -> dict[str, ShardRecord]:
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
    total = len(of_data - set(records)) + sum(len(job.tasks) for job in todo)
    with stage_work("simulate", run, execution, total, "shards") as work, manifest.appending(run) as lines:
        for text in cautions(study) if todo else []:
            work.progress.say(f"  {text}")
        for task_id, text in complaints.items():
            work.progress.say(f"  {text}; {'making' if task_id in of_data else 'simulating'} it again")
        for record in chain(_make_data(study, records, work), _run_jobs(todo, work)):
            records[record.task_id] = record
            lines.add(record_line(record))
            work.advance(record.seconds or 0.0)
    manifest.store(run, records, [task.task_id for task in tasks])
    # A worker that was killed after its last shard has left its state.
    places.remove_tree(run.unfinished_jobs)
    if todo and not execution.quiet and (count := sum(1 for _ in objections(run, tasks))):
        execution.say(f"  {count} of {len(tasks)} shards are not certified; `latentphase verify` says why")
    return records


def _run_jobs(jobs: Sequence[SimulationJob], work: StageWork) -> Iterator[ShardRecord]:
    """Simulate ``jobs``, the longest first: the stage then ends with short ones, which fill every worker."""
    seconds = {job.job_id: sum(simulation_cost(task).core_seconds for task in job.tasks) for job in jobs}
    longest_first = sorted(jobs, key=lambda job: -seconds[job.job_id])
    # A full or lost disk fails every further task too.
    return chain.from_iterable(
        work.carry_out(run_job, longest_first, _failure, lambda job: seconds[job.job_id], fatal=OSError)
    )


def _failure(job: SimulationJob) -> Failure:
    return Failure(job.tasks[0].task_id, f"{job.job_id} ({job})")


def _make_data(study: Study, records: Mapping[str, ShardRecord], work: StageWork) -> Iterator[ShardRecord]:
    """Make the shards of the ``[[data]]`` blocks that are missing from ``records``; notes the first failure of each."""
    for source in study.data:
        missing = [task for task in source.tasks if task.task_id not in records]
        if missing and (text := making.announcement(source)):
            work.progress.say(f"  {text}")
        for task in missing:
            try:
                yield making.make(task, source, work.run)
            except SourceError as error:
                work.failures[f"{task.task_id} ({task})"] = str(error)
                break
