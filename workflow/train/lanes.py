"""Which worker trains what: stacks of models, dealt out so that no worker waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow.plan.costs import LARGEST_STACK, STACKED, training_cost
from workflow.plan.tasks import ModelPlan


def lanes(models: Sequence[ModelPlan], count: int) -> tuple[tuple[tuple[ModelPlan, ...], ...], ...]:
    """Deal ``models`` out to ``count`` lanes of about equal cost; what can be stacked in a lane is one stack.

    A stack is cut between lanes rather than between the cores of one lane: lanes never wait for each other, while
    threads in one matrix product wait at its end, which is ruinous as soon as anything else wants a core.

    Returns:
        Stacks by lane; fewer lanes than ``count`` where there are fewer models.
    """
    load = [0.0] * count
    stacks: list[dict[Any, list[ModelPlan]]] = [{} for _ in range(count)]
    for model in sorted(models, key=lambda model: (-model.size, model.network, str(model.stack))):
        lane = load.index(min(load))
        load[lane] += training_cost(model)
        key = model.stack if model.network in STACKED else model.train_id
        stacks[lane].setdefault(key, []).append(model)
    return tuple(
        tuple(
            tuple(stack[first : first + LARGEST_STACK])
            for stack in lane_stacks.values()
            for first in range(0, len(stack), LARGEST_STACK)
        )
        for lane_stacks in stacks
        if lane_stacks
    )
