"""The train stage: all models of the study, stacked where they differ in beta and seed alone, under Ray Train."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workflow.dataset.certified import require_certified
from workflow.dataset.manifest import finished
from workflow.execution.executors import Unavailable
from workflow.execution.failures import StageFailed, forget_failures, require
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.stage import Execution, StageWork, stage_work
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.plan.warnings import is_multiple, warnings_of
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.train.lanes import lanes
from workflow.train.result import TrainingResult, read_result
from workflow.train.watching import TrainingProgress, watch

Results = dict[str, TrainingResult]
"""Of trained models, by train id."""


def results(run: RunDirectory, models: Sequence[ModelPlan]) -> Results:
    """The results of those of ``models`` that are trained."""
    paths = {model.train_id: run.training(model.train_id).result for model in models}
    listing = places.listing(run.trainings)
    return {train_id: read_result(path) for train_id, path in paths.items() if path in listing}


def train(study: Study, run: RunDirectory, execution: Execution) -> Results:
    """Train every model of ``study`` that is missing.

    Returns:
        The results by train id.

    Raises:
        FileNotFoundError: shards are missing.
        Uncertified: shards are not certified, and the study does not allow them.
        Unavailable: there is no such device, or less room than one training needs.
        StageFailed: some models could not be trained; the others are there and are kept.
    """
    models = model_plans(study)
    forget_failures(run, [model.train_id for model in models])
    done = results(run, models)
    todo = [model for model in models if model.train_id not in done]
    if todo:
        _require_shards(study, run, todo)
        _remove_results(run, todo)
        for text in warnings_of([(model, model.beta.value) for model in todo if is_multiple(model)]):
            execution.say(text)
        done = _train(models, todo, run, execution)
        for text in warnings_of(_ratios(todo, done)):
            execution.say(text)
        failures = {str(model): _reason(run, model) for model in todo if model.train_id not in done}
        if failures:
            raise StageFailed("train", failures, run.failures, len(todo))
    _tidy(run, done)
    return done


def _train(models: Sequence[ModelPlan], todo: Sequence[ModelPlan], run: RunDirectory, execution: Execution) -> Results:
    """Train ``todo``, some of ``models``; the results of all.  The workers note what fails."""
    trainings = TrainingProgress(run, todo)
    with stage_work("train", run, execution, 100, "% of the work", trainings.percent()) as work:
        with watch(trainings, work.progress):
            for group in _by_workers(settle_workers(models, todo, execution), todo):
                _fit(group, work, execution.device)
        work.progress.reach(trainings.percent())
        done = results(run, models)
        new = [done[model.train_id] for model in todo if model.train_id in done]
        work.count(sum(result.seconds * result.threads * result.workers for result in new), len(new))
    return done


def _require_shards(study: Study, run: RunDirectory, todo: Sequence[ModelPlan]) -> None:
    """Refuse to train on shards that are not there, not whole or not certified."""
    task_ids = {task_id for model in todo for task_id in model.task_ids}
    tasks = [task for task in shard_tasks(study) if task.task_id in task_ids]
    whole, _ = finished(run, tasks)
    require("train", "simulate", "whole shard", [task for task in tasks if task.task_id not in whole])
    require_certified(run, tasks, "train", study.allow_uncertified)


def _remove_results(run: RunDirectory, todo: Sequence[ModelPlan]) -> None:
    """Delete what an earlier training under these ids led to: it is of other weights."""
    for model in todo:
        places.remove_tree(run.latents(model.train_id))
        run.analysis_file(model.train_id).unlink(missing_ok=True)


def _ratios(todo: Sequence[ModelPlan], done: Results) -> list[tuple[ModelPlan, float]]:
    """beta / lam of the models that were trained, where only the data could tell."""
    trained = [(model, done[model.train_id]) for model in todo if model.train_id in done and not is_multiple(model)]
    return [(model, result.beta_over_lam) for model, result in trained]


def _tidy(run: RunDirectory, train_ids: Iterable[str]) -> None:
    """Delete what finished trainings needed on their way: one who is killed at their end leaves it behind."""
    names = places.listing(run.trainings).names
    for train_id in {name.partition("/")[0] for name in names if "/checkpoint/" in name}.intersection(train_ids):
        places.remove_tree(run.training(train_id).checkpoint)
    if any(name.startswith(f"{run.ray_state.name}/") for name in names):
        places.remove_tree(run.ray_state)


def automatic_workers(gpus: int, trainings: int) -> int:
    """Data-parallel workers of one training: GPUs are shared out where they outnumber the trainings, else one."""
    return max(1, gpus // trainings)


def settle_workers(
    models: Sequence[ModelPlan], todo: Sequence[ModelPlan], execution: Execution
) -> tuple[ModelPlan, ...]:
    """``models`` with a number in place of ``workers = "auto"``, from what there is to train on and left to do."""
    automatic = [model for model in todo if model.workers == "auto"]
    workers = 1
    if automatic and isinstance(execution.executor, RayExecutor):
        from workflow.train.on_ray import find_room

        room = find_room(execution.device, execution.executor, 1)
        workers = automatic_workers(room.slots if room.device == "cuda" else 0, len(automatic))
        # No worker can do with less than a sample of every batch.
        workers = min(workers, *(int(model["batch"]) for model in automatic))
    return tuple(replace(model, workers=workers) if model.workers == "auto" else model for model in models)


def _by_workers(models: Sequence[ModelPlan], todo: Sequence[ModelPlan]) -> Iterable[list[ModelPlan]]:
    """``models`` by their number of workers, as far as that of any of ``todo``."""
    train_ids = {model.train_id for model in todo}
    for workers in sorted({int(model.workers) for model in models if model.train_id in train_ids}):
        yield [model for model in models if model.workers == workers]


def _reason(run: RunDirectory, model: ModelPlan) -> str:
    path = run.failures / f"{model.train_id}.txt"
    return path.read_text().strip().splitlines()[-1] if path.exists() else "its workers died repeatedly"


def _fit(models: Sequence[ModelPlan], work: StageWork, device: str) -> None:
    """Train ``models``, each spread over the same number of workers, as many side by side as there is room for.

    All models are dealt out, also the trained ones (a lane leaves them out): a training that is resumed then finds its
    models in the stacks it was interrupted in.
    """
    if isinstance(work.executor, RayExecutor):
        _fit_on_ray(models, work.run, work.executor, device)
    else:
        _fit_here(models, work, device)


def _fit_on_ray(models: Sequence[ModelPlan], run: RunDirectory, executor: RayExecutor, device: str) -> None:
    from workflow.train.on_ray import find_room, fit
    from workflow.train.worker import Job

    workers = int(models[0].workers)
    room = find_room(device, executor, workers)
    side_by_side = max(1, min(room.slots // workers, len(models)))
    threads = max(1, room.cores // (side_by_side * workers))
    job = Job(root=str(run.root), lanes=lanes(models, side_by_side), device=room.device, threads=threads)
    fit(job, executor, workers)


def _fit_here(models: Sequence[ModelPlan], work: StageWork, device: str) -> None:
    """Train in this process, with one worker."""
    import torch

    from workflow.train.worker import Job, train_lane

    if device == "cuda" and not torch.cuda.is_available():
        raise Unavailable("--device cuda: this machine has no GPU that PyTorch can use; take --device cpu or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    workers = int(models[0].workers)
    if workers > 1:
        work.progress.say(f"  the serial executor trains with one worker instead of {workers}: equal to rounding")
    train_lane(Job(root=str(work.run.root), lanes=lanes(models, 1), device=device, threads=1))
