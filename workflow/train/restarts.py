"""Which restart of each seed is kept: by what needs no labels, from the results of training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from models.latent_space.validity import Restart
from workflow.storage.run_directory import RunDirectory
from workflow.train.result import read_result


class Training(Protocol):
    """A model that is trained, as planned or as the run folder notes it."""

    @property
    def train_id(self) -> str: ...

    @property
    def first(self) -> str:
        """Train id of the first training of the same seed."""
        ...


Trained = TypeVar("Trained", bound=Training)


def best_restarts(models: Iterable[Trained], folder: RunDirectory) -> tuple[Trained, ...]:
    """The best restart of every group of ``models`` that differ in their restart alone, in their order.

    Raises:
        FileNotFoundError: a restart has not been trained, so that none can be chosen.
    """
    groups: dict[str, list[Trained]] = {}
    for model in models:
        groups.setdefault(model.first, []).append(model)
    return tuple(best(group, folder) for group in groups.values())


def best(group: Sequence[Trained], folder: RunDirectory) -> Trained:
    """The best of several restarts; what there is only one of needs no result.

    Raises:
        FileNotFoundError: as in ``best_restarts``.
    """
    return min(group, key=lambda model: quality(model, folder).order) if group[1:] else group[0]


def quality(model: Training, folder: RunDirectory) -> Restart:
    """What training has noted of one restart.

    Raises:
        FileNotFoundError: it has not been trained.
    """
    path = folder.training(model.train_id).result
    if not path.exists():
        raise FileNotFoundError(
            f"{model} has not been trained, so its restarts cannot be compared; run the train stage"
        )
    result = read_result(path)
    return Restart(result.active_units, result.rank, result.loss)
