"""How far a run is, and the tables of text that a user reads. Simulators and networks are not imported for it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow import planned, records, storage
from workflow.layout import RunDirectory
from workflow.planned import Planned, PlannedModel
from workflow.progress import duration
from workflow.stage_costs import StageCost, costs
from workflow.storage import Listing, Place
from workflow.storage_errors import FolderError

if TYPE_CHECKING:
    from workflow.blocks import Study


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


def load_run(root: Place) -> tuple[RunDirectory, Study]:
    """A run folder and the study saved in it.

    Raises:
        FolderError: it is no run folder, or its study is damaged.
    """
    from workflow.study import parse

    run = _run_at(root)
    try:
        return run, parse(tomllib.loads(run.study.read_text()), str(run.study))
    except tomllib.TOMLDecodeError as error:
        raise FolderError(f"{run.study} is damaged: {error}") from None


def _run_at(root: Place) -> RunDirectory:
    run = RunDirectory(root.resolve() if isinstance(root, Path) else root)
    if not run.study.exists():
        raise FolderError(f"{root} is no run folder: it has no study.toml")
    return run


def _plan_of(root: Place) -> tuple[RunDirectory, Planned]:
    """The run folder at ``root`` with its plan, made anew where no driver has noted it."""
    run = _run_at(root)
    if (plan := planned.read(run)) is None:
        from workflow.plan import shard_tasks, training_runs

        run, study = load_run(root)
        tasks = shard_tasks(study)
        plan = planned.of(tasks, training_runs(study, tasks))
    return run, plan


def status_table(root: Place) -> str:
    """How far a run is: done, left and failed per stage, core-hours so far, and the time left.

    Raises:
        FolderError: as in ``load_run``.
    """
    run, plan = _plan_of(root)
    recorded = records.load(run)
    there = storage.listing(run.root)
    failed = {Path(name).stem for name in there.names if name.startswith("failures/")}
    task_ids = [task_id for ids in plan.shards for task_id in ids]
    simulated = {task_id for task_id in task_ids if task_id in recorded}
    trained = {item.train_id for item in plan.models if run.training(item.train_id).result in there}
    used = _used(run, plan.models, trained)
    with_latents = sum(_encoded(run, item, plan, there) for item in used)
    analyzed = sum(run.analysis / f"{item.train_id}.json" in there for item in used)
    failed -= simulated | trained
    counts = {
        "simulate": (len(simulated), len(task_ids), sum(task_id in failed for task_id in task_ids)),
        "train": (len(trained), len(plan.models), sum(item.train_id in failed for item in plan.models)),
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


def _used(run: RunDirectory, models: Sequence[PlannedModel], trained: set[str]) -> list[PlannedModel]:
    """The models that go on to be encoded: one of the restarts of each seed."""
    if len(trained) < len(models) or all(item.train_id == item.first for item in models):
        # Before all are trained it is open which restarts will be kept, but not how many.
        return [item for item in models if item.train_id == item.first]
    from workflow.restarts import kept

    return list(kept(models, run))


def _encoded(run: RunDirectory, item: PlannedModel, plan: Planned, there: Listing) -> bool:
    """Whether all that a model can read has its latents."""
    folder = run.latents(item.train_id).relative_to(run.root).as_posix()
    readable = (task_id for kind in item.kinds for task_id in plan.shards[kind])
    return all(f"{folder}/{task_id}.parquet" in there.names for task_id in readable)


def _left(cost: StageCost | None, left: int) -> str:
    if not left:
        return "done"
    if cost is None or not cost.done:
        return "?"
    return duration(cost.wall_seconds / cost.done * left)
