"""The symmetries by which a training may turn its samples: those that all of its parameter points have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from models.config import STAGGERED_TRANSLATIONS, SYMMETRIES
from simulators import contract
from workflow.dataset.inputs import Input, is_averaged, is_second, is_staggered
from workflow.dataset.origins import DataTask

if TYPE_CHECKING:
    from workflow.dataset.origins import ShardTask


def symmetries_of(tasks: Iterable[ShardTask], input_name: Input) -> tuple[str, ...]:
    """Symmetries that the weights of all these shards have, as they act on the network's input.

    Empty where some of the data were not simulated here: nothing is known of their weights.
    """
    points = []
    for task in tasks:
        if isinstance(task, DataTask):
            return ()
        points.append((task.system, task.point))
    return common(points, input_name)


def common(points: Iterable[tuple[str, Any]], input_name: Input) -> tuple[str, ...]:
    """The same for simulated points, each with its system; empty for an input that is not on the lattice's sites."""
    if is_second(input_name):
        return ()
    shared = set(SYMMETRIES)
    for system, spec in points:
        shared &= set(contract.load(system).symmetries_of(spec))
    if is_averaged(input_name):
        # An average does not change with the order of the slices.
        shared.discard("time")
    if is_staggered(input_name) and "translations" in shared:
        shared = shared - {"translations"} | {STAGGERED_TRANSLATIONS}
    return tuple(name for name in SYMMETRIES if name in shared)
