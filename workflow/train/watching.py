"""How far the trainings of the workers are, read from what they write."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow.plan.costs import training_cost
from workflow.plan.tasks import ModelPlan
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory
from workflow.terminal import Progress

LOOK_SECONDS, LOOK_AT_STORE_SECONDS = 1.0, 10.0
"""Between two looks at how far training is."""


class TrainingProgress:
    """How far trainings are, from their metrics files: their workers may be on other machines."""

    def __init__(self, run: RunDirectory, models: Sequence[ModelPlan]) -> None:
        self._run, self._models = run, models
        self._lines: dict[str, tuple[int, int]] = {}

    @property
    def pause(self) -> float:
        """Seconds between two looks: a store is asked less often than a disk."""
        return LOOK_SECONDS if isinstance(self._run.root, Path) else LOOK_AT_STORE_SECONDS

    def percent(self) -> float:
        """Finished epochs by what they cost: an epoch of table-1 takes a hundred times as long as one of shallow."""
        listing = places.listing(self._run.trainings)
        total = sum(training_cost(model) for model in self._models)
        done = sum(training_cost(model) * self._epochs(model, listing) / model["epochs"] for model in self._models)
        return 100 * done / total

    def _epochs(self, model: ModelPlan, listing: places.Listing) -> int:
        """Lines of the metrics, which are read again only when they have grown; all of them where there is a result."""
        if self._run.training(model.train_id).result in listing:
            return int(model["epochs"])
        path = self._run.training(model.train_id).metrics
        size = listing.size(path) or 0
        if size != self._lines.get(model.train_id, (0, 0))[0]:
            with contextlib.suppress(FileNotFoundError):
                self._lines[model.train_id] = size, path.read_bytes().count(b"\n")
        return self._lines.get(model.train_id, (0, 0))[1]


@contextlib.contextmanager
def watch(trainings: TrainingProgress, progress: Progress) -> Iterator[None]:
    """Follow the trainings, as fit() blocks."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(trainings.pause):
            # Progress is no reason to end a training.
            with contextlib.suppress(OSError):
                progress.reach(trainings.percent())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
