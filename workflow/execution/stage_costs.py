"""What the stages of a run have cost: one line in the run folder for each time that one ran."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from workflow.storage.errors import LITTLE_PATIENCE, PATIENCE, patience
from workflow.storage.places import Lines
from workflow.storage.run_directory import RunDirectory


class StageCost(NamedTuple):
    """What one stage cost, over all the times it ran."""

    stage: str
    wall_seconds: float
    core_seconds: float
    done: int


@contextmanager
def timed(run: RunDirectory, stage: str) -> Iterator[dict[str, float]]:
    """Note what a stage costs, also when it fails; the body fills in ``core_seconds`` and ``done``."""
    note: dict[str, float] = {"core_seconds": 0.0, "done": 0}
    start = time.monotonic()
    try:
        yield note
    finally:
        if note["done"]:
            record = {"stage": stage, "wall_seconds": round(time.monotonic() - start, 3), **note}
            # A full disk or a lost store has its own message already; what the stage cost is worth less.
            seconds = LITTLE_PATIENCE if sys.exc_info()[0] else PATIENCE
            with contextlib.suppress(OSError), patience(seconds), Lines(run.stages) as lines:
                lines.add(json.dumps(record))


def costs_so_far(run: RunDirectory) -> dict[str, StageCost]:
    """What each stage has cost so far, by its name."""
    total: dict[str, StageCost] = {}
    if run.stages.exists():
        for text in run.stages.read_text().splitlines():
            try:
                record = json.loads(text)
            except json.JSONDecodeError:
                continue  # A line that a crash has cut.
            old = total.get(record["stage"], StageCost(record["stage"], 0.0, 0.0, 0))
            total[record["stage"]] = StageCost(
                record["stage"],
                old.wall_seconds + record["wall_seconds"],
                old.core_seconds + record["core_seconds"],
                old.done + int(record["done"]),
            )
    return total
