"""Which worker trains what: stacks of models, dealt out so that no worker waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow.plan.costs import LARGEST_STACK, STACKED, training_cost
from workflow.plan.tasks import ModelPlan


def lanes(models: Sequence[ModelPlan], count: int) -> tuple[tuple[tuple[ModelPlan, ...], ...], ...]:
    """Deal ``models`` out to ``count`` lanes of about equal cost; in each lane, runs that can be stacked are one stack.

    A stack is cut between lanes rather than between the cores of one lane: lanes never wait for each other, while
    threads in one matrix product wait at its end, which is ruinous as soon as anything else wants a core.
    """
    load = [0.0] * count
    dealt: list[dict[Any, list[ModelPlan]]] = [{} for _ in range(count)]
    for run in sorted(models, key=lambda run: (-run.size, run.network, str(run.stack))):
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
