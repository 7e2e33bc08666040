"""Tables that a user reads: what a study would take, and how far a run is."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow import manifest, storage
from workflow.blocks import Study
from workflow.cautions import cautions
from workflow.data_plan import data_lines, sample_bytes, shard_cost, training_samples
from workflow.encode import encoded, shards_of
from workflow.folder import FolderError, StageCost, costs
from workflow.layout import RunDirectory
from workflow.plan import (
    SAMPLES_PER_SECOND,
    SimulationTask,
    expected_algorithm,
    shard_tasks,
    simulation_tasks,
    training_cost,
    training_runs,
)
from workflow.progress import duration
from workflow.restarts import kept
from workflow.storage import Place
from workflow.study import parse
from workflow.train import expected_warnings


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned first column, right-aligned others."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def size(count: float) -> str:
    """Bytes with a binary prefix."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def plan_table(study: Study, workers: int | None = None) -> str:
    """What carrying out ``study`` would take, stage by stage."""
    cpus = workers or os.cpu_count() or 1
    tasks = shard_tasks(study)
    runs = training_runs(study)
    estimate = [shard_cost(task) for task in tasks]
    simulate = sum(cost.core_seconds for cost in estimate)
    by_id = {task.task_id: task for task in tasks}
    rows = {
        item.train_id: training_samples([by_id[t] for t in item.task_ids], float(item["held_out"])) for item in runs
    }
    train = sum(training_cost(item, rows[item.train_id]) for item in runs)
    used = [item for item in runs if not item.restart]
    latents = sum(t.samples * (8 * int(item["latent"]) + 16) for item in used for t in shards_of(item, tasks))
    encoded = sum(len(shards_of(item, tasks)) for item in used)
    held = max((rows[item.train_id] * sample_bytes(by_id[item.task_ids[0]].info) for item in runs), default=0)
    body = [
        [
            "simulate",
            f"{len(tasks)} shards",
            f"{simulate / 3600:.4f}",
            duration(simulate / cpus),
            size(sum(cost.disk_bytes for cost in estimate)),
            size(max(cost.memory_bytes for cost in estimate)),
        ],
        ["train", f"{len(runs)} models", f"{train / 3600:.4f}", duration(train / cpus), "", size(held + 1.2e9)],
        ["encode", f"{encoded} files", "", "", size(latents), ""],
    ]
    header = ["stage", "work", "core-hours", f"on {cpus} cores", "disk", "memory/worker"]
    lines = [
        f"{study.name}: {sum(task.samples for task in tasks):,} samples at {len(tasks)} points",
        table(header, body),
    ]
    lines += data_lines(study)
    lines += _algorithms(simulation_tasks(study))
    lines += cautions(study)
    kinds = sorted({(item.network, item.system, item.size, item.features) for item in runs})
    assumed = ", ".join(f"{SAMPLES_PER_SECOND[n] / f:,.0f} ({n}, {system}, L = {s})" for n, system, s, f in kinds)
    if assumed:
        lines.append(f"training assumes these samples/s per core, over the runs of a stack: {assumed}")
    lines += expected_warnings(runs)
    lines.append("starting Ray takes about 10 s more, its training workers about 20 s; estimates, not limits")
    return "\n".join(lines)


def core_hours(study: Study) -> tuple[float, float]:
    """Estimated core-hours of the simulations, and of the trainings on CPUs."""
    tasks = shard_tasks(study)
    by_id = {task.task_id: task for task in tasks}
    simulate = sum(shard_cost(task).core_seconds for task in tasks)
    train = sum(
        training_cost(item, training_samples([by_id[t] for t in item.task_ids], float(item["held_out"])))
        for item in training_runs(study)
    )
    return simulate / 3600, train / 3600


def _algorithms(tasks: Sequence[SimulationTask]) -> list[str]:
    """What ``auto`` is expected to choose, from rough autocorrelation times and the table of costs."""
    expected: dict[tuple[str, int], Counter[str]] = {}
    for task in tasks:
        if task.algorithm == "auto":
            expected.setdefault((task.system, task.size), Counter())[expected_algorithm(task)] += 1
    return [
        f"algorithm = auto, {system}, L = {size}: expected "
        + ", ".join(f"{name} at {count} points" for name, count in chosen.most_common())
        + "; a seeded pilot of each task decides, and its certificate says why"
        for (system, size), chosen in expected.items()
    ]


def load_run(root: Place) -> tuple[RunDirectory, Study]:
    """A run folder and the study saved in it.

    Raises:
        FolderError: it is no run folder, or its study is damaged.
    """
    run = RunDirectory(root.resolve() if isinstance(root, Path) else root)
    if not run.study.exists():
        raise FolderError(f"{root} is no run folder: it has no study.toml")
    try:
        return run, parse(tomllib.loads(run.study.read_text()), str(run.study))
    except tomllib.TOMLDecodeError as error:
        raise FolderError(f"{run.study} is damaged: {error}") from None


def status_table(root: Place) -> str:
    """How far a run is: done, left and failed per stage, core-hours so far, and the time left.

    Raises:
        FolderError: as in ``load_run``.
    """
    run, study = load_run(root)
    tasks, runs = shard_tasks(study), training_runs(study)
    recorded = manifest.load(run)
    there = storage.listing(run.root)
    failed = {Path(name).stem for name in there.names if name.startswith("failures/")}
    simulated = sum(task.task_id in recorded for task in tasks)
    trained = sum(run.training(item.train_id).result in there for item in runs)
    # Before all are trained it is open which restarts will be kept, but not how many.
    used = kept(runs, run) if trained == len(runs) else tuple(item for item in runs if not item.restart)
    with_latents = sum(encoded(run, item, tasks, there) for item in used)
    analyzed = sum(run.analysis / f"{item.train_id}.json" in there for item in used)
    done_ids = {task.task_id for task in tasks if task.task_id in recorded}
    done_ids |= {item.train_id for item in runs if run.training(item.train_id).result in there}
    failed -= done_ids
    counts = {
        "simulate": (simulated, len(tasks), sum(task.task_id in failed for task in tasks)),
        "train": (trained, len(runs), sum(item.train_id in failed for item in runs)),
        "encode": (with_latents, len(used), sum(f"encode-{item.train_id}" in failed for item in used)),
        "analyze": (analyzed, len(used), sum(f"analyze-{item.train_id}" in failed for item in used)),
        "report": (int(run.page in there), 1, 0),
    }
    spent = costs(run)
    rows = []
    for stage, (done, total, bad) in counts.items():
        cost = spent.get(stage)
        rows.append(
            [
                stage,
                str(done),
                str(total - done),
                str(bad),
                f"{cost.core_seconds / 3600:.4f}" if cost else "",
                _left(cost, total - done),
            ]
        )
    return table(["stage", "done", "left", "failed", "core-hours", "time left"], rows)


def _left(cost: StageCost | None, left: int) -> str:
    if not left:
        return "done"
    if cost is None or not cost.done:
        return "?"
    return duration(cost.wall_seconds / cost.done * left)
