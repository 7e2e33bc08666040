"""The status command: how far a run is. It imports neither simulators nor networks, so that it answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflow.dataset.records import load_records
from workflow.execution.stage_costs import StageCost, costs_so_far
from workflow.plan import planned
from workflow.plan.planned import PlannedModel, PlannedStudy
from workflow.storage import places
from workflow.storage.places import Listing, Place
from workflow.storage.run_directory import RunDirectory
from workflow.terminal import duration, table


def plan_of(root: Place) -> tuple[RunDirectory, PlannedStudy]:
    """The run folder at ``root`` with its plan; the plan is made anew where no driver has noted it."""
    run = RunDirectory.existing(root)
    if (plan := planned.read(run)) is None:
        from workflow.execution.run_folder import load_run
        from workflow.plan.tasks import model_plans, shard_tasks

        run, study = load_run(root)
        tasks = shard_tasks(study)
        plan = planned.of(tasks, model_plans(study, tasks))
    return run, plan


def status_table(root: Place) -> str:
    """A table with the work done, left and failed of each stage, its core-hours so far, and the time left.

    An analysis counts as done where its file is there. ``analyze`` opens the file, too, and makes it again where a part
    has been added or has another version since.

    Raises:
        FolderError: as in ``load_run``.
    """
    run, plan = plan_of(root)
    recorded = load_records(run)
    listing = places.listing(run.root)
    failed = {Path(name).stem for name in listing.names if name.startswith("failures/")}
    task_ids = [task_id for ids in plan.shards for task_id in ids]
    simulated = {task_id for task_id in task_ids if task_id in recorded}
    trained = {model.train_id for model in plan.models if run.training(model.train_id).result in listing}
    used = _used(run, plan.models, trained)
    with_latents = sum(_encoded(run, model, plan, listing) for model in used)
    analyzed = sum(run.analysis_file(model.train_id) in listing for model in used)
    failed -= simulated | trained
    counts = {
        "simulate": (len(simulated), len(task_ids), sum(task_id in failed for task_id in task_ids)),
        "train": (len(trained), len(plan.models), sum(model.train_id in failed for model in plan.models)),
        "encode": (with_latents, len(used), sum(f"encode-{model.train_id}" in failed for model in used)),
        "analyze": (analyzed, len(used), sum(f"analyze-{model.train_id}" in failed for model in used)),
        "report": (int(run.page in listing), 1, 0),
    }
    spent = costs_so_far(run)
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
    """The models that are encoded: of each seed, the best of its restarts."""
    if len(trained) < len(models) or all(model.train_id == model.first for model in models):
        # The best restarts are known once all are trained; how many there will be is known before.
        return [model for model in models if model.train_id == model.first]
    from workflow.train.restarts import best_restarts

    return list(best_restarts(models, run))


def _encoded(run: RunDirectory, model: PlannedModel, plan: PlannedStudy, listing: Listing) -> bool:
    """Whether there are latents of all shards that the model can read."""
    folder = run.latents(model.train_id).relative_to(run.root).as_posix()
    readable = (task_id for kind in model.kinds for task_id in plan.shards[kind])
    return all(f"{folder}/{task_id}.parquet" in listing.names for task_id in readable)


def _left(cost: StageCost | None, left: int) -> str:
    if not left:
        return "done"
    if cost is None or not cost.done:
        return "?"
    return duration(cost.wall_seconds / cost.done * left)
