"""The run folder: the only place that spells a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workflow.storage import places
from workflow.storage.errors import FolderError
from workflow.storage.places import Place


class ShardAddress(Protocol):
    """What the place of a shard follows from: the task that makes it."""

    @property
    def system(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def task_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run."""

    root: Place

    @classmethod
    def at(cls, text: str) -> RunDirectory:
        """The run folder that ``str(run.root)`` names, on whatever machine."""
        return cls(places.place(text))

    @classmethod
    def existing(cls, root: Place) -> RunDirectory:
        """The run folder at ``root``.

        Raises:
            FolderError: there is none.
        """
        run = cls(root.resolve() if isinstance(root, Path) else root)
        if not run.study.exists():
            raise FolderError(f"{root} is no run folder: it has no study.toml")
        return run

    @property
    def lock(self) -> Place:
        """Which driver works in the folder."""
        return self.root / "run.lock"

    @property
    def study(self) -> Place:
        return self.root / "study.toml"

    @property
    def plan(self) -> Place:
        """Ids of all shards and models, as the last driver has planned them."""
        return self.root / "plan.json"

    @property
    def manifest(self) -> Place:
        return self.root / "manifest.jsonl"

    @property
    def dataset(self) -> Place:
        return self.root / "dataset"

    @property
    def failures(self) -> Place:
        """Tracebacks of failed tasks."""
        return self.root / "failures"

    @property
    def stages(self) -> Place:
        """What each stage cost: one line per time it ran."""
        return self.root / "stages.jsonl"

    def shard_folder(self, system: str, size: int) -> Place:
        return self.dataset / system / f"L={size}"

    def shard_file(self, system: str, size: int, task_id: str) -> Place:
        return self.shard_folder(system, size) / f"{task_id}.parquet"

    def shard(self, task: ShardAddress) -> Place:
        """The file that ``task`` makes."""
        return self.shard_file(task.system, task.size, task.task_id)

    @property
    def unfinished_jobs(self) -> Place:
        """The folder of the states of all unfinished simulations."""
        return self.root / "unfinished"

    def unfinished(self, job_id: str) -> Place:
        """State of a simulation that is not finished."""
        return self.unfinished_jobs / f"{job_id}.npz"

    @property
    def trainings(self) -> Place:
        """The folders of all trained models."""
        return self.root / "training"

    @property
    def ray_state(self) -> Place:
        """What Ray Train keeps while it runs."""
        return self.trainings / ".ray"

    def training(self, train_id: str) -> TrainingDirectory:
        return TrainingDirectory(self.trainings / train_id)

    @property
    def tensorboard(self) -> Place:
        return self.trainings / "tensorboard"

    def latents(self, train_id: str) -> Place:
        return self.root / "latents" / train_id

    @property
    def analysis(self) -> Place:
        return self.root / "analysis"

    def analysis_file(self, name: str, ending: str = ".json") -> Place:
        """The analysis of a model, by its train id, or of the data of one size, by its name; ``ending`` tells files
        apart that belong to one analysis."""
        return self.analysis / f"{name}{ending}"

    @property
    def summary(self) -> Place:
        return self.analysis / "summary.json"

    @property
    def verdict(self) -> Place:
        return self.analysis / "verdict.json"

    @property
    def report(self) -> Place:
        return self.root / "report"

    @property
    def page(self) -> Place:
        return self.report / "index.html"

    @property
    def markdown(self) -> Place:
        return self.report / "verdict.md"

    @property
    def figures(self) -> Place:
        return self.report / "figures"


@dataclass(frozen=True, slots=True)
class TrainingDirectory:
    """One trained model."""

    root: Place

    @property
    def config(self) -> Place:
        return self.root / "config.json"

    @property
    def metrics(self) -> Place:
        return self.root / "metrics.jsonl"

    @property
    def checkpoint(self) -> Place:
        return self.root / "checkpoint"

    @property
    def weights(self) -> Place:
        return self.root / "weights.safetensors"

    @property
    def result(self) -> Place:
        """Written last: its existence means that the model is trained."""
        return self.root / "result.json"
