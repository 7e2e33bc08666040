"""By which symmetries a training may turn its samples: those that all of its parameter points have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from models.config import STAGGERED_TRANSLATIONS, SYMMETRIES
from simulators import contract
from workflow.dataset.inputs import Input, is_averaged, is_second, is_staggered
from workflow.dataset.origins import DataTask

if TYPE_CHECKING:
    from workflow.dataset.origins import ShardTask


def symmetries_of(tasks: Iterable[ShardTask], given_as: Input) -> tuple[str, ...]:
    """Symmetries that all of these shards have, as they act on what the network is given.

    None where some of the data were not simulated here: nothing is known of their weights.
    """
    points = []
    for task in tasks:
        if isinstance(task, DataTask):
            return ()
        points.append((task.system, task.point))
    return common(points, given_as)


def common(points: Iterable[tuple[str, Any]], given_as: Input) -> tuple[str, ...]:
    """The same of simulated points, each with its system; none of what is not on a lattice's sites."""
    if is_second(given_as):
        return ()
    found = set(SYMMETRIES)
    for system, spec in points:
        found &= set(contract.load(system).symmetries_of(spec))
    if is_averaged(given_as):
        # An average does not change with the order of the slices.
        found.discard("time")
    if is_staggered(given_as) and "translations" in found:
        found = found - {"translations"} | {STAGGERED_TRANSLATIONS}
    return tuple(name for name in SYMMETRIES if name in found)
