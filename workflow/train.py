"""The train stage: all models of the study, stacked where they differ in beta and seed alone, under Ray Train."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.blocks import Study
from workflow.executors import Executor, RayExecutor
from workflow.folder import StageFailed, note_failure, require, timed
from workflow.layout import RunDirectory
from workflow.plan import TrainingRun, simulation_tasks, training_cost, training_runs
from workflow.progress import Progress

if TYPE_CHECKING:
    from workflow.train_worker import Job

STACKED = frozenset({"shallow"})
"""Networks whose runs train as one stacked model; the others train in turn."""
LARGEST_STACK = 64
"""Runs in one stack: more would gain nothing and fill the caches."""
GROUP_RESTARTS = 5
"""How often a group of training workers is started again after one of them died."""


def lanes(runs: Sequence[TrainingRun], count: int) -> tuple[tuple[tuple[TrainingRun, ...], ...], ...]:
    """Deal ``runs`` out to ``count`` lanes of about equal cost; in each lane, runs that can be stacked are one stack.

    A stack is cut between lanes rather than between the cores of one lane: lanes never wait for each other, while
    threads in one matrix product wait at its end, which is ruinous as soon as anything else wants a core.
    """
    load = [0.0] * count
    dealt: list[dict[Any, list[TrainingRun]]] = [{} for _ in range(count)]
    for run in sorted(runs, key=lambda run: (-run.size, run.network, str(run.stack))):
        lane = load.index(min(load))
        load[lane] += training_cost(run)
        key = run.stack if run.network in STACKED else run.train_id
        dealt[lane].setdefault(key, []).append(run)
    return tuple(
        tuple(
            tuple(group[first : first + LARGEST_STACK])
            for group in lane.values()
            for first in range(0, len(group), LARGEST_STACK)
        )
        for lane in dealt
        if lane
    )


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
        FileNotFoundError: shards are missing.
        StageFailed: some models could not be trained; the others are there and are kept.
    """
    runs = training_runs(study)
    done = results(run, runs)
    todo = [item for item in runs if item.train_id not in done]
    if not todo:
        return done
    wanted = {task_id for item in todo for task_id in item.task_ids}
    needed = [task for task in simulation_tasks(study) if task.task_id in wanted]
    require("train", "simulate", "shard", [t for t in needed if not run.shard(t.system, t.size, t.task_id).exists()])
    for item in todo:
        (run.failures / f"{item.train_id}.txt").unlink(missing_ok=True)
    with timed(run, "train") as cost, Progress("train", 100, "% of the work", quiet) as progress:
        with _watch(run, todo, progress):
            for workers in sorted({item.workers for item in todo}):
                _fit([item for item in todo if item.workers == workers], run, executor, workers, device)
        progress.reach(_percent_done(run, todo))
        now = results(run, runs)
        new = [now[item.train_id] for item in todo if item.train_id in now]
        cost["done"] = len(new)
        cost["core_seconds"] = sum(result["seconds"] * result["threads"] * result["workers"] for result in new)
    if not quiet:
        for text in warnings_of(new):
            print(text, file=sys.stderr)
    failed = {str(item): _reason(run, item) for item in todo if item.train_id not in now}
    if failed:
        raise StageFailed("train", failed, run.failures, len(todo))
    return now


def warnings_of(trained: Sequence[dict[str, Any]]) -> list[str]:
    """What to say of values of beta that are too large for the data."""
    found: dict[str, None] = {}
    for result in trained:
        ratio = result["beta"] / result["top_eigenvalue"]
        where = f"{result['name']}: beta = {result['beta']:.4g} at L = {result['size']} is {ratio:.3g} lam"
        if ratio >= COLLAPSE_FRACTION:
            found[f"  {where}: the latents are expected to collapse (from {COLLAPSE_FRACTION:g} lam)"] = None
        elif ratio >= WARN_FRACTION:
            found[f"  {where}: the axes align too slowly (from {WARN_FRACTION:g} lam)"] = None
    return list(found)


def _reason(run: RunDirectory, item: TrainingRun) -> str:
    path = run.failures / f"{item.train_id}.txt"
    return path.read_text().strip().splitlines()[-1] if path.exists() else "its workers died repeatedly"


def _fit(runs: list[TrainingRun], run: RunDirectory, executor: Executor, workers: int, device: str) -> None:
    """Train ``runs``, each spread over ``workers`` workers, as many side by side as the machine has room for."""
    from workflow.train_worker import Job, train_lane

    if not isinstance(executor, RayExecutor):
        import torch

        kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        train_lane(Job(root=str(run.root), lanes=lanes(runs, 1), device=kind, threads=1))
        return
    executor.start()
    kind, slots = _device(device, executor)
    side_by_side = max(1, min(slots // workers, len(runs)))
    job = Job(
        root=str(run.root),
        lanes=lanes(runs, side_by_side),
        device=kind,
        threads=max(1, executor.workers // (side_by_side * workers)),
    )
    _ray_fit(job, executor, workers)


def _device(wanted: str, executor: RayExecutor) -> tuple[str, int]:
    """The device to train on, and how many workers have one."""
    import ray

    gpus = int(ray.cluster_resources().get("GPU", 0))
    if wanted == "cuda" and not gpus:
        raise ValueError("--device cuda: this Ray cluster has no GPU; use --device cpu or auto")
    return ("cuda", gpus) if wanted != "cpu" and gpus else ("cpu", executor.workers)


def _ray_fit(job: Job, executor: RayExecutor, workers: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchTrainer

    # Our own checkpoints resume a training; Ray's state is only needed while it runs, under a name never used before
    # (a name used again would silently continue the old run).
    storage = Path(job.root) / "training" / ".ray"
    resources: dict[str, float] = {"CPU": job.threads}
    if job.device == "cuda":
        resources["GPU"] = 1
    scaling: dict[str, Any] = {
        "num_workers": len(job.lanes) * workers,
        "use_gpu": job.device == "cuda",
        "resources_per_worker": resources,
    }
    if (labels := executor.placement("training")) is not None:
        scaling["label_selector"] = labels
    trainer = TorchTrainer(
        ray_train_loop,
        train_loop_config={"job": job, "workers": workers},
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=GROUP_RESTARTS),
        ),
    )
    try:
        _in_thread(trainer.fit)
    except TrainingFailedError as error:
        for item in (item for lane in job.lanes for stack in lane for item in stack):
            folder = RunDirectory(Path(job.root))
            if not folder.training(item.train_id).result.exists():
                note_failure(folder, item.train_id, f"{item}\n\n{error}")
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _in_thread(work: Callable[[], object]) -> None:
    """Do ``work`` in another thread: in the main one Ray Train takes Ctrl-C for itself and leaves with its own code."""
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
    if failures:
        raise failures[0]


def ray_train_loop(config: dict[str, Any]) -> None:
    """What Ray Train runs in each worker of the group (torch.distributed is set up by Ray)."""
    import ray.train
    import torch.distributed as dist

    from models.group import TorchGroup
    from workflow.train_worker import train_lane

    job, workers = config["job"], config["workers"]
    rank = ray.train.get_context().get_world_rank()
    group = None
    if workers > 1:
        # Every worker has to take part in making every group.
        ranks = [list(range(lane * workers, (lane + 1) * workers)) for lane in range(len(job.lanes))]
        groups = [dist.new_group(members) for members in ranks]
        group = TorchGroup(groups[rank // workers])
    train_lane(job, rank // workers, group)


def _percent_done(run: RunDirectory, runs: Sequence[TrainingRun]) -> float:
    """Finished epochs by what they cost: an epoch of table-1 takes a hundred times as long as one of shallow."""

    def lines(path: Path) -> int:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes().count(b"\n")
        return 0

    total = sum(training_cost(item) for item in runs)
    done = sum(training_cost(item) * lines(run.training(item.train_id).metrics) / item["epochs"] for item in runs)
    return 100 * done / total


@contextlib.contextmanager
def _watch(run: RunDirectory, runs: Sequence[TrainingRun], progress: Progress) -> Iterator[None]:
    """Follow the trainings by their metrics files: fit() blocks, and its workers may be on other machines."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(1.0):
            progress.reach(_percent_done(run, runs))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
