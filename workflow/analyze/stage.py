"""The analyze stage: one task per trained model and one per lattice size, on samples that training never saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workflow.analyze.context import ModelJob
from workflow.analyze.results import analyze_model, is_current
from workflow.analyze.sizes import SizeJob, analyze_size
from workflow.analyze.summary import lost_signs, write_summary
from workflow.dataset.certified import require_certified
from workflow.dataset.inputs import Input, network_input, objection
from workflow.dataset.origins import ShardTask
from workflow.encode import shards_of, without_latents
from workflow.execution.failures import forget_failures, require
from workflow.execution.stage import Execution, Failure, stage_work
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.train.restarts import best_restarts

Job = ModelJob | SizeJob


def analyze(study: Study, run: RunDirectory, execution: Execution) -> None:
    """Analyze every trained model and every size of ``study`` that is missing, then gather the summary.

    Raises:
        FileNotFoundError: shards or latents are missing.
        Uncertified: shards are not certified, and the study does not allow them.
        StageFailed: some analyses failed; the others' results are there and are kept.
    """
    tasks = shard_tasks(study)
    models = best_restarts(model_plans(study), run)
    sizes = _size_jobs(study, tasks, models)
    jobs: list[Job] = [*_model_jobs(study, tasks, models, sizes), *sizes]
    listing = places.listing(run.root)
    require("analyze", "simulate", "shard", [task for task in tasks if run.shard(task) not in listing])
    unencoded = [model for model in models if without_latents(run, model, tasks, listing)]
    require("analyze", "encode", "encoded model", unencoded)
    require_certified(run, tasks, "analyze", study.allow_uncertified)
    forget_failures(run, [_failure(job).file for job in jobs])
    done = _done(run, jobs, listing)
    todo = [job for job in jobs if _name(job) not in done]
    with stage_work("analyze", run, execution, len(todo), "results") as work:
        for seconds in work.carry_out(analyze_one, todo, _failure):
            work.advance(seconds)
    for text in lost_signs(write_summary(study, run)):
        execution.say(text)


def analyze_one(job: Job, root: str) -> float:
    """One task of the stage."""
    return analyze_model(job, root) if isinstance(job, ModelJob) else analyze_size(job, root)


def _done(run: RunDirectory, jobs: Sequence[Job], listing: places.Listing) -> set[str]:
    """Names of the jobs whose result is there, of models with those of all parts."""
    finished = [job for job in jobs if run.analysis_file(_name(job)) in listing]
    models = [job.model.train_id for job in finished if isinstance(job, ModelJob)]
    current = places.each(is_current, map(run.analysis_file, models))
    outdated = {train_id for train_id, is_new in zip(models, current, strict=True) if not is_new}
    return {_name(job) for job in finished} - outdated


def _name(job: Job) -> str:
    """Of the job's result, without the ending."""
    return job.model.train_id if isinstance(job, ModelJob) else job.name


def _failure(job: Job) -> Failure:
    return Failure(f"analyze-{_name(job)}", str(job.model) if isinstance(job, ModelJob) else job.name)


def _model_jobs(
    study: Study, tasks: Sequence[ShardTask], models: Sequence[ModelPlan], sizes: Sequence[SizeJob]
) -> list[ModelJob]:
    """One for each model, with the name of the size that it was trained on."""
    # The same for all seeds.
    firsts = {(model.stack, model.beta): model.train_id for model in reversed(models)} if study.analyze.ideal else {}
    return [
        ModelJob(
            model,
            tuple(shards_of(model, tasks)),
            study.analyze,
            study.seed,
            next(
                job.name
                for job in sizes
                if job.input_name == model.input_name and set(model.task_ids) <= set(job.trained)
            ),
            model.train_id in firsts.values(),
        )
        for model in models
    ]


def _size_jobs(study: Study, tasks: Sequence[ShardTask], models: Sequence[ModelPlan]) -> list[SizeJob]:
    """Jobs in input space.

    One for each system, size and ``input`` of models (``raw`` where there is no model); more where the network inputs
    of the size's shards differ in shape, variable or number of states.
    """
    jobs = []
    for system, size in dict.fromkeys((task.system, task.size) for task in tasks):
        models_here = [model for model in models if (model.system, model.size) == (system, size)]
        tasks_here = [task for task in tasks if (task.system, task.size) == (system, size)]
        inputs: dict[Input, None] = dict.fromkeys(model.input_name for model in models_here) or {"raw": None}
        for input_name in inputs:
            alike = _alike(tasks_here, input_name)
            for kind, readable in alike.items():
                task_ids = {task.task_id for task in readable}
                readers = [m for m in models_here if m.input_name == input_name and task_ids.issuperset(m.task_ids)]
                trained = tuple(sorted({task_id for model in readers for task_id in model.task_ids}))
                fraction = min((float(model["held_out"]) for model in readers), default=0.25)
                data = system, size, fraction, trained, tuple(readable)
                name = kind if len(alike) > 1 else ""
                jobs.append(SizeJob(*data, study.analyze, study.seed, input_name, name))
    return jobs


def _alike(tasks: Iterable[ShardTask], input_name: Input) -> dict[str, list[ShardTask]]:
    """Shards whose configurations have one shape and variable to a model, by these in words."""
    groups: dict[str, list[ShardTask]] = {}
    for task in tasks:
        if objection(task.info, input_name) is None:
            info = network_input(task.info, input_name)
            shape = "x".join(map(str, info.shape))
            groups.setdefault(f"{shape}-{info.variable}-{info.states}", []).append(task)
    return groups
