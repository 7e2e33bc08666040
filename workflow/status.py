"""Tables that a user reads: what a study would take, and how far a run is."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow import manifest, storage
from workflow.blocks import Study
from workflow.costs import SAMPLES_PER_SECOND
from workflow.data_plan import data_lines
from workflow.encode import encoded
from workflow.estimate import Expected, expected
from workflow.folder import FolderError, StageCost, costs
from workflow.layout import RunDirectory
from workflow.plan import shard_tasks, training_runs
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
    found = expected(study)
    shards, models = found.shards, found.models
    body = [
        [
            "simulate",
            f"{shards.count} shards",
            f"{shards.core_seconds / 3600:.4f}",
            duration(shards.core_seconds / cpus),
            size(shards.disk_bytes),
            size(shards.memory_bytes),
        ],
        [
            "train",
            f"{len(models.runs)} models",
            f"{models.core_seconds / 3600:.4f}",
            duration(models.core_seconds / cpus),
            "",
            size(models.memory_bytes) if models.runs else "",
        ],
        ["encode", f"{models.files} files", "", "", size(models.latent_bytes), ""],
    ]
    header = ["stage", "work", "core-hours", f"on {cpus} cores", "disk", "memory/worker"]
    lines = [f"{study.name}: {shards.samples:,} samples at {shards.count} points", table(header, body)]
    lines += _short_of_memory(found, cpus)
    lines += data_lines(study)
    lines += _algorithms(shards.algorithms)
    kinds = sorted({(item.network, item.system, item.size, item.features) for item in models.runs})
    assumed = ", ".join(f"{SAMPLES_PER_SECOND[n] / f:,.0f} ({n}, {system}, L = {s})" for n, system, s, f in kinds)
    if assumed:
        lines.append(f"training assumes these samples/s per core, over the runs of a stack: {assumed}")
    lines += expected_warnings(models.runs)
    lines.append("starting Ray takes about 10 s more, its training workers about 20 s; estimates, not limits")
    return "\n".join(lines)


def _short_of_memory(found: Expected, cpus: int) -> list[str]:
    """A warning for each stage whose workers, side by side, would take more memory than this machine has."""
    workers = {
        "simulate": (found.shards.memory_bytes, min(cpus, found.shards.count)),
        "train": (found.models.memory_bytes, min(cpus, len(found.models.runs))),
    }
    there = machine_memory()
    return [
        f"  {stage}: {count} worker{'s' if count > 1 else ''} of {size(each)} may take {size(count * each)}, but this "
        f"machine has {size(there)}: {_advice(stage, each, there)}"
        for stage, (each, count) in workers.items()
        if count * each > there
    ]


def _advice(stage: str, each: int, there: int) -> str:
    if (room := there // each) >= 1:
        return f"take --workers {room}"
    return "take fewer chains or samples per point" if stage == "simulate" else "take a smaller batch"


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _algorithms(expected: Mapping[tuple[str, int], Counter[str]]) -> list[str]:
    """What ``auto`` is expected to choose, from rough autocorrelation times and the table of costs."""
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
    tasks = shard_tasks(study)
    runs = training_runs(study, tasks)
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
