"""What the last driver of a run folder has planned, noted there: who asks how far it is need not plan anew.

Planning imports every simulator, and takes longer than all the rest of ``status``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow import __version__
from workflow.layout import RunDirectory, write_whole

if TYPE_CHECKING:
    from workflow.blocks import Study
    from workflow.plan import ShardTask, TrainingRun

Kind = tuple[str, int]
"""System (or data) and size."""


class PlannedModel(NamedTuple):
    """One training."""

    train_id: str
    first: str
    """Train id of the first training of the same seed: its own, but for restarts."""
    kind: Kind


class Planned(NamedTuple):
    """Shards and models of a study."""

    shards: dict[Kind, list[str]]
    """Task ids in the plan's order."""
    models: list[PlannedModel]


def of(tasks: Sequence[ShardTask], runs: Sequence[TrainingRun]) -> Planned:
    """What ``tasks`` and ``runs`` amount to."""
    shards: dict[Kind, list[str]] = {}
    for task in tasks:
        shards.setdefault((task.system, task.size), []).append(task.task_id)
    models = [PlannedModel(run.train_id, run.first, (run.system, run.size)) for run in runs]
    return Planned(shards, models)


def note(run: RunDirectory, study: Study) -> None:
    """Note the plan of ``study`` in its run folder, unless it is there."""
    from simulators import contract
    from workflow.plan import shard_tasks, training_runs

    systems = {block.system: contract.load(block.system).version for block in study.simulate}
    found = _content(run)
    if found is not None and found["systems"] == systems:
        return
    tasks = shard_tasks(study)
    plan = of(tasks, training_runs(study, tasks))
    content = {
        "program": __version__,
        "study": _digest(run),
        "systems": systems,
        "shards": list(plan.shards.items()),
        "models": plan.models,
    }
    write_whole(run.plan, json.dumps(content) + "\n")


def read(run: RunDirectory) -> Planned | None:
    """The noted plan; None if there is none, or one of another program or study."""
    content = _content(run)
    if content is None:
        return None
    return Planned(
        {(system, size): ids for (system, size), ids in content["shards"]},
        [PlannedModel(train_id, first, (system, size)) for train_id, first, (system, size) in content["models"]],
    )


def _content(run: RunDirectory) -> dict[str, Any] | None:
    try:
        content = json.loads(run.plan.read_text())
        fits = content["program"] == __version__ and content["study"] == _digest(run)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # None yet, or damaged: it can be made anew.
        return None
    return dict(content) if fits else None


def _digest(run: RunDirectory) -> str:
    return hashlib.sha256(run.study.read_bytes()).hexdigest()
