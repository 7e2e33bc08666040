"""The run folder: the only place that spells a path."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where everything of one run lies."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.toml"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.jsonl"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    @property
    def failures(self) -> Path:
        """Tracebacks of failed tasks."""
        return self.root / "failures"

    @property
    def stages(self) -> Path:
        """What each stage cost: one line per time it ran."""
        return self.root / "stages.jsonl"

    def shard_folder(self, system: str, size: int) -> Path:
        return self.dataset / system / f"L={size}"

    def shard(self, system: str, size: int, task_id: str) -> Path:
        return self.shard_folder(system, size) / f"{task_id}.parquet"

    def unfinished(self, job_id: str) -> Path:
        """State of a simulation that has not come to its end yet."""
        return self.root / "unfinished" / f"{job_id}.npz"

    def training(self, train_id: str) -> TrainingDirectory:
        return TrainingDirectory(self.root / "training" / train_id)

    @property
    def tensorboard(self) -> Path:
        return self.root / "training" / "tensorboard"

    def latents(self, train_id: str) -> Path:
        return self.root / "latents" / train_id

    @property
    def analysis(self) -> Path:
        return self.root / "analysis"

    @property
    def summary(self) -> Path:
        return self.analysis / "summary.json"

    @property
    def verdict(self) -> Path:
        return self.analysis / "verdict.json"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def page(self) -> Path:
        return self.report / "index.html"

    @property
    def markdown(self) -> Path:
        return self.report / "verdict.md"

    @property
    def figures(self) -> Path:
        return self.report / "figures"


@dataclass(frozen=True, slots=True)
class TrainingDirectory:
    """One trained model."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def weights(self) -> Path:
        return self.root / "weights.safetensors"

    @property
    def result(self) -> Path:
        """Written last: its existence means that the model is trained."""
        return self.root / "result.json"


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that it is there whole or not at all: temporary name in the same folder, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
