"""The train stage: all models of the study, stacked where they differ in beta and seed alone, under Ray Train."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow.blocks import Study
from workflow.executors import Executor, RayExecutor
from workflow.folder import StageFailed, timed
from workflow.layout import RunDirectory
from workflow.plan import TrainingRun, training_runs
from workflow.progress import Progress

if TYPE_CHECKING:
    from workflow.train_worker import Job

STACKED = frozenset({"shallow"})
"""Networks whose runs train as one stacked model; the others train in turn."""
GROUP_RESTARTS = 5
"""How often a group of training workers is started again after one of them died."""


def stacks(runs: Sequence[TrainingRun]) -> tuple[tuple[TrainingRun, ...], ...]:
    """``runs`` in groups that train together."""
    groups: dict[Any, list[TrainingRun]] = {}
    for run in runs:
        key = run.stack if run.network in STACKED else (run.train_id,)
        groups.setdefault(key, []).append(run)
    return tuple(tuple(group) for group in groups.values())


def results(run: RunDirectory, runs: Sequence[TrainingRun]) -> dict[str, dict[str, Any]]:
    """``result.json`` of every model of ``runs`` that is trained, by train id."""
    paths = {item.train_id: run.training(item.train_id).result for item in runs}
    return {train_id: json.loads(path.read_text()) for train_id, path in paths.items() if path.exists()}


def train(
    study: Study, run: RunDirectory, executor: Executor, device: str = "auto", quiet: bool = False
) -> dict[str, dict[str, Any]]:
    """Train every model of ``study`` that is missing.

    Returns:
        The results by train id.

    Raises:
        StageFailed: some models could not be trained; the others are there and are kept.
    """
    runs = training_runs(study)
    done = results(run, runs)
    todo = [item for item in runs if item.train_id not in done]
    if not todo:
        return done
    for item in todo:
        (run.failures / f"{item.train_id}.txt").unlink(missing_ok=True)
    epochs = sum(item["epochs"] for item in todo)
    with timed(run, "train") as cost, Progress("train", epochs, "epochs", quiet) as progress:
        with _watch(run, todo, progress):
            for workers in sorted({item.workers for item in todo}):
                mine = stacks([item for item in todo if item.workers == workers])
                _fit(mine, run, executor, workers, device)
        progress.reach(_epochs_done(run, todo))
        now = results(run, runs)
        new = [now[item.train_id] for item in todo if item.train_id in now]
        cost["done"] = len(new)
        cost["core_seconds"] = sum(result["seconds"] * result["threads"] * result["workers"] for result in new)
    failed = {str(item): _reason(run, item) for item in todo if item.train_id not in now}
    if failed:
        raise StageFailed("train", failed, run.failures, len(todo))
    return now


def _reason(run: RunDirectory, item: TrainingRun) -> str:
    path = run.failures / f"{item.train_id}.txt"
    return path.read_text().strip().splitlines()[-1] if path.exists() else "its workers died repeatedly"


def _fit(
    groups: tuple[tuple[TrainingRun, ...], ...],
    run: RunDirectory,
    executor: Executor,
    workers: int,
    device: str,
) -> None:
    """Train the stacks of ``groups``, one after the other, each spread over ``workers`` workers."""
    from workflow.train_worker import Job, train_stacks

    if isinstance(executor, RayExecutor):
        executor.start()
        cpus = max(1, executor.workers // workers)
        kind = _device(device, executor)
        job = Job(root=str(run.root.resolve()), stacks=groups, device=kind, threads=cpus)
        _ray_fit(job, executor, workers, cpus)
        return
    import os

    import torch

    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    job = Job(root=str(run.root), stacks=groups, device=kind, threads=os.cpu_count() or 1)
    train_stacks(job)


def _device(wanted: str, executor: RayExecutor) -> str:
    import ray

    available = ray.cluster_resources().get("GPU", 0) >= 1
    if wanted == "cuda" and not available:
        raise ValueError("--device cuda: this Ray cluster has no GPU; use --device cpu or auto")
    return "cuda" if wanted != "cpu" and available else "cpu"


def _ray_fit(job: Job, executor: RayExecutor, workers: int, cpus: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    # Our own checkpoints resume a training; Ray's state is only needed while it runs, under a name never used before
    # (a name used again would silently continue the old run).
    storage = Path(job.root) / "training" / ".ray"
    resources: dict[str, float] = {"CPU": cpus}
    if job.device == "cuda":
        resources["GPU"] = 1
    scaling: dict[str, Any] = {
        "num_workers": workers,
        "use_gpu": job.device == "cuda",
        "resources_per_worker": resources,
    }
    if (labels := executor.placement("training")) is not None:
        scaling["label_selector"] = labels
    trainer = TorchTrainer(
        ray_train_loop,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=GROUP_RESTARTS),
        ),
    )
    try:
        trainer.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def ray_train_loop(config: dict[str, Any]) -> None:
    """What Ray Train runs in each worker of the group (torch.distributed is set up by Ray)."""
    import ray.train

    from models.group import TorchGroup
    from workflow.train_worker import train_stacks

    size = ray.train.get_context().get_world_size()
    train_stacks(config["job"], TorchGroup() if size > 1 else None)


def _epochs_done(run: RunDirectory, runs: Sequence[TrainingRun]) -> int:
    def lines(path: Path) -> int:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes().count(b"\n")
        return 0

    return sum(lines(run.training(item.train_id).metrics) for item in runs)


@contextlib.contextmanager
def _watch(run: RunDirectory, runs: Sequence[TrainingRun], progress: Progress) -> Iterator[None]:
    """Follow the trainings by their metrics files: fit() blocks, and its workers may be on other machines."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(1.0):
            progress.reach(_epochs_done(run, runs))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
