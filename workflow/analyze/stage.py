"""The analyze stage: one task per trained model and one per lattice size, on samples that training never saw."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from workflow.analyze.model import ModelJob, analyze_model
from workflow.analyze.sizes import SizeJob, analyze_size
from workflow.dataset.certified import require_certified
from workflow.dataset.inputs import Input, objection, seen
from workflow.dataset.origins import ShardTask
from workflow.encode import encoded, shards_of
from workflow.execution.executors import Executor
from workflow.execution.failures import StageFailed, forget_failures, note_failure, require
from workflow.execution.stage_costs import timed
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.storage import places as storage
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.terminal import Progress
from workflow.train.restarts import kept
from workflow.verdict.summary import lost_signs, write_summary


def analyze(study: Study, run: RunDirectory, executor: Executor, quiet: bool = False) -> None:
    """Analyze every trained model and every size of ``study`` that is missing, then gather the summary.

    Raises:
        FileNotFoundError: shards or latents are missing.
        Uncertified: shards are not certified, and the study does not allow them.
        StageFailed: some analyses failed; the others' results are there and are kept.
    """
    tasks = shard_tasks(study)
    runs = kept(model_plans(study), run)
    # The same for all seeds.
    firsts = {(model.stack, model.beta): model.train_id for model in reversed(runs)} if study.analyze.ideal else {}
    sizes = _size_jobs(study, tasks, runs)
    models = [
        ModelJob(
            model,
            tuple(shards_of(model, tasks)),
            study.analyze,
            study.seed,
            next(
                job.name for job in sizes if job.given_as == model.given_as and set(model.task_ids) <= set(job.trained)
            ),
            model.train_id in firsts.values(),
        )
        for model in runs
    ]
    there = storage.listing(run.root)
    jobs: list[ModelJob | SizeJob] = [job for job in models if run.analysis / f"{job.model.train_id}.json" not in there]
    jobs += [job for job in sizes if run.analysis / f"{job.name}.json" not in there]
    require("analyze", "simulate", "shard", [t for t in tasks if run.shard(t.system, t.size, t.task_id) not in there])
    require("analyze", "encode", "encoded model", [model for model in runs if not encoded(run, model, tasks, there)])
    require_certified(run, tasks, "analyze", study.allow_uncertified)
    forget_failures(
        run, [f"analyze-{name}" for name in (*[model.train_id for model in runs], *[job.name for job in sizes])]
    )
    failures: dict[str, str] = {}
    with timed(run, "analyze") as cost, Progress("analyze", len(jobs), "results", quiet) as progress:
        for outcome in executor.run_all(analyze_one, jobs, str(run.root)):
            if outcome.error is None:
                cost["core_seconds"] += outcome.value
                cost["done"] += 1
                progress.advance(1)
                continue
            job = outcome.item
            name = job.model.train_id if isinstance(job, ModelJob) else job.name
            failures[str(job.model) if isinstance(job, ModelJob) else job.name] = (
                f"{type(outcome.error).__name__}: {outcome.error}"
            )
            note_failure(run, f"analyze-{name}", outcome.traceback)
    if failures:
        raise StageFailed("analyze", failures, run.failures, len(jobs))
    records = write_summary(study, run)
    if not quiet:
        for text in lost_signs(records):
            print(text, file=sys.stderr)


def analyze_one(job: ModelJob | SizeJob, root: str) -> float:
    """One task of the stage."""
    return analyze_model(job, root) if isinstance(job, ModelJob) else analyze_size(job, root)


def _size_jobs(study: Study, tasks: tuple[ShardTask, ...], runs: tuple[ModelPlan, ...]) -> list[SizeJob]:
    """One for all shards of a size, or one for each way in which models see them and each shape that comes of it."""
    jobs = []
    for system, size in dict.fromkeys((task.system, task.size) for task in tasks):
        mine = [model for model in runs if (model.system, model.size) == (system, size)]
        listed = [task for task in tasks if (task.system, task.size) == (system, size)]
        ways: dict[Input, None] = dict.fromkeys(model.given_as for model in mine) or {"raw": None}
        for given_as in ways:
            alike = _alike(listed, given_as)
            for kind, some in alike.items():
                there = {task.task_id for task in some}
                reading = [model for model in mine if model.given_as == given_as and there.issuperset(model.task_ids)]
                trained = tuple(sorted({task_id for model in reading for task_id in model.task_ids}))
                fraction = min((float(model["held_out"]) for model in reading), default=0.25)
                data = system, size, fraction, trained, tuple(some)
                name = kind if len(alike) > 1 else ""
                jobs.append(SizeJob(*data, study.analyze, study.seed, given_as, name))
    return jobs


def _alike(tasks: Iterable[ShardTask], given_as: Input) -> dict[str, list[ShardTask]]:
    """Shards whose configurations have one shape and variable to a model, by these in words."""
    found: dict[str, list[ShardTask]] = {}
    for task in tasks:
        if objection(task.info, given_as) is None:
            given = seen(task.info, given_as)
            shape = "x".join(map(str, given.shape))
            found.setdefault(f"{shape}-{given.variable}-{given.states}", []).append(task)
    return found
