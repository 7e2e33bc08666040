"""The train stage: all models of the study, stacked where they differ in beta and seed alone, under Ray Train."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from workflow.dataset.certified import require_certified
from workflow.dataset.manifest import finished
from workflow.execution.executors import Executor, Unavailable
from workflow.execution.failures import StageFailed, forget_failures, require
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.stage_costs import timed
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.plan.warnings import _is_multiple, warnings_of
from workflow.storage import places as storage
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.terminal import Progress
from workflow.train.lanes import lanes
from workflow.train.watching import Watched, _watch


def results(run: RunDirectory, models: Sequence[ModelPlan]) -> dict[str, dict[str, Any]]:
    """``result.json`` of every model of ``models`` that is trained, by train id."""
    paths = {model.train_id: run.training(model.train_id).result for model in models}
    there = storage.listing(run.trainings)
    return {train_id: json.loads(path.read_text()) for train_id, path in paths.items() if path in there}


def train(
    study: Study, run: RunDirectory, executor: Executor, device: str = "auto", quiet: bool = False
) -> dict[str, dict[str, Any]]:
    """Train every model of ``study`` that is missing.

    Returns:
        The results by train id.

    Raises:
        FileNotFoundError: shards are missing.
        Uncertified: shards are not certified, and the study does not allow them.
        StageFailed: some models could not be trained; the others are there and are kept.
    """
    models = model_plans(study)
    forget_failures(run, [model.train_id for model in models])
    done = results(run, models)
    todo = [model for model in models if model.train_id not in done]
    if not todo:
        _tidy(run, done)
        return done
    wanted = {task_id for model in todo for task_id in model.task_ids}
    needed = [task for task in shard_tasks(study) if task.task_id in wanted]
    whole, _ = finished(run, needed)
    require("train", "simulate", "whole shard", [task for task in needed if task.task_id not in whole])
    require_certified(run, needed, "train", study.allow_uncertified)
    for model in todo:
        # What an earlier training under this id led to is of other weights.
        storage.remove_tree(run.latents(model.train_id))
        (run.analysis / f"{model.train_id}.json").unlink(missing_ok=True)
    if not quiet:
        for text in warnings_of([(model, model.beta.value) for model in todo if _is_multiple(model)]):
            print(text, file=sys.stderr)
    watched = Watched(run, todo)
    before = watched.percent()
    with timed(run, "train") as cost, Progress("train", 100, "% of the work", quiet, before) as progress:
        with _watch(watched, progress):
            models = _settled(models, todo, executor, device)
            for workers in sorted({int(model.workers) for model in models if model.train_id not in done}):
                _fit([model for model in models if model.workers == workers], run, executor, workers, device)
        progress.reach(watched.percent())
        now = results(run, models)
        new = [now[model.train_id] for model in todo if model.train_id in now]
        cost["done"] = len(new)
        cost["core_seconds"] = sum(result["seconds"] * result["threads"] * result["workers"] for result in new)
    if not quiet:
        named = {model.train_id: model for model in todo if not _is_multiple(model)}
        ratios = [(named[r["train_id"]], r["beta"] / r["top_eigenvalue"]) for r in new if r["train_id"] in named]
        for text in warnings_of(ratios):
            print(text, file=sys.stderr)
    failed = {str(model): _reason(run, model) for model in todo if model.train_id not in now}
    if failed:
        raise StageFailed("train", failed, run.failures, len(todo))
    _tidy(run, now)
    return now


def _tidy(run: RunDirectory, done: Iterable[str]) -> None:
    """Delete what the trainings ``done`` needed on their way: one who is killed at their end leaves it behind."""
    there = storage.listing(run.trainings).names
    for train_id in {name.partition("/")[0] for name in there if "/checkpoint/" in name}.intersection(done):
        storage.remove_tree(run.training(train_id).checkpoint)
    if any(name.startswith(f"{run.ray_state.name}/") for name in there):
        storage.remove_tree(run.ray_state)


def automatic_workers(gpus: int, trainings: int) -> int:
    """Data-parallel workers of one training: GPUs are shared out where they outnumber the trainings, else one."""
    return max(1, gpus // trainings)


def _settled(
    models: Sequence[ModelPlan], todo: Sequence[ModelPlan], executor: Executor, device: str
) -> tuple[ModelPlan, ...]:
    """``models`` with a number in place of ``workers = "auto"``, from what there is to train on and left to do."""
    wanting = [model for model in todo if model.workers == "auto"]
    workers = 1
    if wanting and isinstance(executor, RayExecutor):
        from workflow.train import on_ray as train_ray

        room = train_ray.find_room(device, executor, 1)
        workers = automatic_workers(room.slots if room.device == "cuda" else 0, len(wanting))
        # No worker can do with less than a sample of every batch.
        workers = min(workers, *(int(model["batch"]) for model in wanting))
    return tuple(replace(model, workers=workers) if model.workers == "auto" else model for model in models)


def _reason(run: RunDirectory, model: ModelPlan) -> str:
    path = run.failures / f"{model.train_id}.txt"
    return path.read_text().strip().splitlines()[-1] if path.exists() else "its workers died repeatedly"


def _fit(models: Sequence[ModelPlan], run: RunDirectory, executor: Executor, workers: int, device: str) -> None:
    """Train ``models``, each spread over ``workers`` workers, as many side by side as there is room for.

    All runs are dealt out, also the trained ones (a lane leaves them out): a training that is resumed then finds its
    runs in the stacks it was interrupted in.
    """
    from workflow.train.worker import Job, train_lane

    if isinstance(executor, RayExecutor):
        from workflow.train import on_ray as train_ray

        room = train_ray.find_room(device, executor, workers)
        side_by_side = max(1, min(room.slots // workers, len(models)))
        threads = max(1, room.cores // (side_by_side * workers))
        job = Job(root=str(run.root), lanes=lanes(models, side_by_side), device=room.device, threads=threads)
        train_ray.fit(job, executor, workers)
        return
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise Unavailable("--device cuda: this machine has no GPU that PyTorch can use; take --device cpu or auto")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if workers > 1:
        print(f"  the serial executor trains with one worker instead of {workers}: equal to rounding", file=sys.stderr)
    train_lane(Job(root=str(run.root), lanes=lanes(models, 1), device=kind, threads=1))
