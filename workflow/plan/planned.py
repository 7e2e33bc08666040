"""The plan of a run folder, as its last driver has noted it there: ``status`` reads it instead of planning anew.

Planning imports every simulator, and takes longer than all the rest of ``status``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow import __version__
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole

if TYPE_CHECKING:
    from workflow.dataset.origins import ShardTask
    from workflow.plan.tasks import ModelPlan
    from workflow.study.blocks import Study

FORMAT = 2
"""Of the noted plan."""


class PlannedModel(NamedTuple):
    """One training."""

    train_id: str
    first: str
    """Train id of the first training of the same seed: its own, but for restarts."""
    kinds: list[int]
    """Of shards that it can read, as places in ``PlannedStudy.shards``."""


class PlannedStudy(NamedTuple):
    """Shards and models of a study."""

    shards: list[list[str]]
    """Task ids in the plan's order, by kind: of one system (or data) and size, with equal configurations."""
    models: list[PlannedModel]


def of(tasks: Sequence[ShardTask], models: Sequence[ModelPlan]) -> PlannedStudy:
    """The plan of these tasks and models."""
    from workflow.plan.tasks import kinds

    if not models:
        # Without models nothing depends on kinds, which take longer to compute than ids.
        return PlannedStudy([[task.task_id for task in tasks]], [])
    by_kind = kinds(tasks)
    planned = [
        PlannedModel(model.train_id, model.first, [place for place, kind in enumerate(by_kind) if model.reads(kind)])
        for model in models
    ]
    return PlannedStudy([[task.task_id for task in members] for members in by_kind.values()], planned)


def note(run: RunDirectory, study: Study) -> None:
    """Write the plan of ``study`` into its run folder, unless it is there already."""
    from simulators import contract
    from workflow.plan.tasks import model_plans, shard_tasks

    systems = {block.system: contract.load(block.system).version for block in study.simulate}
    noted = _content(run)
    if noted is not None and noted["systems"] == systems:
        return
    tasks = shard_tasks(study)
    plan = of(tasks, model_plans(study, tasks))
    content = {
        "program": __version__,
        "format": FORMAT,
        "study": _digest(run),
        "systems": systems,
        "shards": plan.shards,
        "models": plan.models,
    }
    write_whole(run.plan, json.dumps(content) + "\n")


def read(run: RunDirectory) -> PlannedStudy | None:
    """The noted plan; None if there is none, or one of another program or study."""
    content = _content(run)
    if content is None:
        return None
    return PlannedStudy(content["shards"], [PlannedModel(*model) for model in content["models"]])


def _content(run: RunDirectory) -> dict[str, Any] | None:
    try:
        content = json.loads(run.plan.read_text())
        program = content["program"], content["format"], content["study"]
        fits = program == (__version__, FORMAT, _digest(run))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # There is none yet, or it is damaged: it can be made anew.
        return None
    return dict(content) if fits else None


def _digest(run: RunDirectory) -> str:
    return hashlib.sha256(run.study.read_bytes()).hexdigest()
