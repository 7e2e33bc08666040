"""The train stage: all models of the study, stacked where they differ in beta and seed alone, under Ray Train."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow import storage
from workflow.blocks import Study
from workflow.certified import require_certified
from workflow.costs import LARGEST_STACK, STACKED, training_cost
from workflow.executors import Executor, RayExecutor, Unavailable
from workflow.folder import StageFailed, forget_failures, require
from workflow.layout import RunDirectory
from workflow.plan import TrainingRun, shard_tasks, training_runs
from workflow.progress import Progress
from workflow.simulate import finished
from workflow.stage_costs import timed

LOOK_SECONDS, LOOK_AT_STORE_SECONDS = 1.0, 10.0
"""Between two looks at how far training is."""


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
    runs = training_runs(study)
    forget_failures(run, [item.train_id for item in runs])
    done = results(run, runs)
    todo = [item for item in runs if item.train_id not in done]
    if not todo:
        _tidy(run, done)
        return done
    wanted = {task_id for item in todo for task_id in item.task_ids}
    needed = [task for task in shard_tasks(study) if task.task_id in wanted]
    whole, _ = finished(run, needed)
    require("train", "simulate", "whole shard", [task for task in needed if task.task_id not in whole])
    require_certified(run, needed, "train", study.allow_uncertified)
    for item in todo:
        # What an earlier training under this id led to is of other weights.
        storage.remove_tree(run.latents(item.train_id))
        (run.analysis / f"{item.train_id}.json").unlink(missing_ok=True)
    if not quiet:
        for text in warnings_of([(item, item.beta.value) for item in todo if _is_multiple(item)]):
            print(text, file=sys.stderr)
    watched = Watched(run, todo)
    before = watched.percent()
    with timed(run, "train") as cost, Progress("train", 100, "% of the work", quiet, before) as progress:
        with _watch(watched, progress):
            runs = _settled(runs, todo, executor, device)
            for workers in sorted({int(item.workers) for item in runs if item.train_id not in done}):
                _fit([item for item in runs if item.workers == workers], run, executor, workers, device)
        progress.reach(watched.percent())
        now = results(run, runs)
        new = [now[item.train_id] for item in todo if item.train_id in now]
        cost["done"] = len(new)
        cost["core_seconds"] = sum(result["seconds"] * result["threads"] * result["workers"] for result in new)
    if not quiet:
        named = {item.train_id: item for item in todo if not _is_multiple(item)}
        ratios = [(named[r["train_id"]], r["beta"] / r["top_eigenvalue"]) for r in new if r["train_id"] in named]
        for text in warnings_of(ratios):
            print(text, file=sys.stderr)
    failed = {str(item): _reason(run, item) for item in todo if item.train_id not in now}
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
    runs: Sequence[TrainingRun], todo: Sequence[TrainingRun], executor: Executor, device: str
) -> tuple[TrainingRun, ...]:
    """``runs`` with a number in place of ``workers = "auto"``, from what there is to train on and left to do."""
    wanting = [item for item in todo if item.workers == "auto"]
    workers = 1
    if wanting and isinstance(executor, RayExecutor):
        from workflow import train_ray

        room = train_ray.find_room(device, executor, 1)
        workers = automatic_workers(room.slots if room.device == "cuda" else 0, len(wanting))
        # No worker can do with less than a sample of every batch.
        workers = min(workers, *(int(item["batch"]) for item in wanting))
    return tuple(replace(item, workers=workers) if item.workers == "auto" else item for item in runs)


def _is_multiple(item: TrainingRun) -> bool:
    """Whether beta / lam is known before there are data."""
    return item.beta.relative and item.beta.eigenvalue == 1


def warnings_of(ratios: Sequence[tuple[TrainingRun, float]], verb: str = "is") -> list[str]:
    """What to say of values of beta / lam that are too large."""
    found: dict[str, None] = {}
    for item, ratio in ratios:
        where = f"{item.name}: beta = {item.beta} at L = {item.size} {verb} {ratio:.3g} lam"
        if ratio >= COLLAPSE_FRACTION:
            found[f"  {where}: the latents are expected to collapse (from {COLLAPSE_FRACTION:g} lam)"] = None
        elif ratio >= WARN_FRACTION:
            found[f"  {where}: the axes align too slowly (from {WARN_FRACTION:g} lam)"] = None
    return list(found)


def expected_warnings(runs: Sequence[TrainingRun]) -> list[str]:
    """What to say of values of beta before there are data: of multiples all, of numbers that lam is at most N for
    spins, as the covariance of N of them has the trace N."""
    numbers = [item for item in runs if not item.beta.relative and item["likelihood"] == "bernoulli"]
    return [
        *warnings_of([(item, item.beta.value) for item in runs if _is_multiple(item)]),
        *warnings_of([(item, item.beta.value / item.size**2) for item in numbers], "is at least"),
    ]


def _reason(run: RunDirectory, item: TrainingRun) -> str:
    path = run.failures / f"{item.train_id}.txt"
    return path.read_text().strip().splitlines()[-1] if path.exists() else "its workers died repeatedly"


def _fit(runs: Sequence[TrainingRun], run: RunDirectory, executor: Executor, workers: int, device: str) -> None:
    """Train ``runs``, each spread over ``workers`` workers, as many side by side as there is room for.

    All runs are dealt out, also the trained ones (a lane leaves them out): a training that is resumed then finds its
    runs in the stacks it was interrupted in.
    """
    from workflow.train_worker import Job, train_lane

    if isinstance(executor, RayExecutor):
        from workflow import train_ray

        room = train_ray.find_room(device, executor, workers)
        side_by_side = max(1, min(room.slots // workers, len(runs)))
        threads = max(1, room.cores // (side_by_side * workers))
        job = Job(root=str(run.root), lanes=lanes(runs, side_by_side), device=room.device, threads=threads)
        train_ray.fit(job, executor, workers)
        return
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise Unavailable("--device cuda: this machine has no GPU that PyTorch can use; take --device cpu or auto")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if workers > 1:
        print(f"  the serial executor trains with one worker instead of {workers}: equal to rounding", file=sys.stderr)
    train_lane(Job(root=str(run.root), lanes=lanes(runs, 1), device=kind, threads=1))


class Watched:
    """How far trainings are, from their metrics files: their workers may be on other machines."""

    def __init__(self, run: RunDirectory, runs: Sequence[TrainingRun]) -> None:
        self._run, self._runs = run, runs
        self._lines: dict[str, tuple[int, int]] = {}

    @property
    def pause(self) -> float:
        """Seconds between two looks: a store is asked less often than a disk."""
        return LOOK_SECONDS if isinstance(self._run.root, Path) else LOOK_AT_STORE_SECONDS

    def percent(self) -> float:
        """Finished epochs by what they cost: an epoch of table-1 takes a hundred times as long as one of shallow."""
        there = storage.listing(self._run.trainings)
        total = sum(training_cost(item) for item in self._runs)
        done = sum(training_cost(item) * self._epochs(item, there) / item["epochs"] for item in self._runs)
        return 100 * done / total

    def _epochs(self, item: TrainingRun, there: storage.Listing) -> int:
        """Lines of the metrics, which are read again only when they have grown; all of them where there is a result."""
        if self._run.training(item.train_id).result in there:
            return int(item["epochs"])
        path = self._run.training(item.train_id).metrics
        size = there.size(path) or 0
        if size != self._lines.get(item.train_id, (0, 0))[0]:
            with contextlib.suppress(FileNotFoundError):
                self._lines[item.train_id] = size, path.read_bytes().count(b"\n")
        return self._lines.get(item.train_id, (0, 0))[1]


@contextlib.contextmanager
def _watch(watched: Watched, progress: Progress) -> Iterator[None]:
    """Follow the trainings, as fit() blocks."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(watched.pause):
            # Progress is no reason to end a training.
            with contextlib.suppress(OSError):
                progress.reach(watched.percent())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
