"""Whether shards may be used: training and analysis refuse those without a certificate of equilibration."""

from __future__ import annotations

from collections.abc import Iterable

from workflow.dataset import shards
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory

MOST_LISTED = 10


class Uncertified(RuntimeError):
    """Shards are not certified, and the study does not allow that."""


def require_certified(run: RunDirectory, tasks: Iterable[ShardTask], stage: str, allowed: bool) -> None:
    """Refuse to begin ``stage`` with shards that are not certified, unless ``allowed``.

    Raises:
        Uncertified: names the shards and what speaks against each.
    """
    if allowed:
        return
    complaints = [f"{task.task_id} ({task}): {'; '.join(reasons)}" for task, reasons in objections(run, tasks)]
    if complaints:
        more = (
            [f"and {len(complaints) - MOST_LISTED} more; `latentphase verify` lists all"]
            if len(complaints) > MOST_LISTED
            else []
        )
        count = "1 shard that is" if len(complaints) == 1 else f"{len(complaints)} shards that are"
        raise Uncertified(
            "\n  ".join(
                [
                    f"{stage} refuses {count} not certified:",
                    *complaints[:MOST_LISTED],
                    *more,
                    "more chains, another algorithm (cluster updates, tempering) or longer thermalization may help;"
                    " allow_uncertified = true in the study uses them as they are",
                ]
            )
        )


def objections(run: RunDirectory, tasks: Iterable[ShardTask]) -> Iterable[tuple[SimulationTask, list[str]]]:
    """The simulated tasks whose shards are not certified, with the reasons. Other data have no certificate."""
    simulated = [task for task in tasks if isinstance(task, SimulationTask)]
    paths = [run.shard(task) for task in simulated]
    for task, certificate in zip(simulated, places.each(shards.read_certificate, paths), strict=True):
        if not certificate.certified:
            yield task, certificate.reasons
