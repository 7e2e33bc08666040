"""The training folder of one model: metrics, checkpoints, weights and result."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from models.config import ModelConfig, TrainConfig
from models.training.trainer import Epoch
from workflow.plan.tasks import ModelPlan
from workflow.storage.places import Lines, Place, remove_tree
from workflow.storage.run_directory import RunDirectory, TrainingDirectory
from workflow.storage.whole_files import write_whole

CHECKPOINT_SECONDS = 20.0
"""Between two checkpoints of a training, and as much longer as a step takes."""


class At(NamedTuple):
    """Where a checkpoint was taken: finished epochs, and finished steps of the one after them."""

    epoch: int
    step: int


BEGIN = At(0, 0)


def _number(value: float) -> float | None:
    """What JSON can hold."""
    return value if math.isfinite(value) else None


class Recorder:
    """Writes the training folder of one model."""

    def __init__(self, run: RunDirectory, model: ModelPlan) -> None:
        self._folder: TrainingDirectory = run.training(model.train_id)
        self._board_folder = run.tensorboard / model.train_id
        self._config: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._psi4: float | None = None
        self._lines = Lines(self._folder.metrics, CHECKPOINT_SECONDS)
        self._board: Any = None

    def checkpoint(self, at: At) -> Place:
        step = f"-step-{at.step:07d}" if at.step else ""
        return self._folder.checkpoint / f"epoch-{at.epoch:05d}{step}.safetensors"

    def checkpoints(self) -> set[At]:
        """Where there are whole checkpoints."""
        # epoch-00003 or epoch-00003-step-0000128
        names = [path.stem.split("-") for path in self._folder.checkpoint.glob("epoch-*.safetensors")]
        return {At(int(name[1]), int(name[3]) if len(name) > 2 else 0) for name in names}

    def begin(
        self,
        model: ModelPlan,
        network: ModelConfig,
        config: TrainConfig,
        beta: float,
        eigenvalues: tuple[float, ...],
        samples: int,
        resumed: int,
    ) -> None:
        self._config = {
            "train_id": model.train_id,
            "name": model.name,
            "system": model.system,
            "size": model.size,
            "seed": model.seed,
            "beta": beta,
            "beta_setting": str(model.beta),
            "restart": model.restart,
            "top_eigenvalue": eigenvalues[0],
            "eigenvalues": list(eigenvalues),
            "model": asdict(network),
            "training": asdict(config),
            "held_out": model["held_out"],
            "task_ids": list(model.task_ids),
            "samples": samples,
        }
        write_whole(self._folder.config, json.dumps(self._config, indent=1) + "\n")
        # A killed training may have noted epochs after its last checkpoint: they will be noted again.
        old = self._folder.metrics.read_text().splitlines() if self._folder.metrics.exists() else []
        epochs = [json.loads(text) for text in old[:resumed]]
        self._psi4 = next((epoch["psi4"] for epoch in epochs if "psi4" in epoch), None)
        write_whole(self._folder.metrics, "".join(text + "\n" for text in old[:resumed]))
        # TensorBoard's files grow by appending, which objects do not: there metrics.jsonl has the same numbers.
        if isinstance(self._board_folder, Path):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self._board_folder), purge_step=resumed + 1)

    def note(self, epoch: Epoch, index: int) -> None:
        """One line of metrics.jsonl, and the same for TensorBoard."""
        kl = np.asarray(epoch.kl[index], dtype=float)
        self._last = {
            "epoch": epoch.epoch,
            "reconstruction": float(epoch.reconstruction[index]),
            "kl": [round(float(value), 6) for value in kl],
            "active_units": int(epoch.active[index]),
            "samples_per_second": round(float(epoch.samples_per_second), 1),
            "loader_share": round(float(epoch.loader_share), 5),
        }
        if epoch.free_energy is not None:
            parts = zip(("free_energy", "gap"), epoch.free_energy, strict=True)
            self._last |= {name: _number(float(part[index])) for name, part in parts}
        if epoch.psi4 is not None:
            # A collapsed model has no axes to be confident of.
            self._psi4 = self._last["psi4"] = _number(float(epoch.psi4[index]))
        self._lines.add(json.dumps(self._last))
        if self._board is not None:
            self._show(epoch.epoch, kl)

    def _show(self, epoch: int, kl: NDArray[np.float64]) -> None:
        for name in ("reconstruction", "active_units", "samples_per_second"):
            self._board.add_scalar(name, self._last[name], epoch)
        for unit, value in enumerate(kl):
            self._board.add_scalar(f"kl/{unit}", value, epoch)

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Write a checkpoint; the one before stays until the next, should this crash in between."""
        # A training that goes on from here keeps the lines of all epochs before.
        self._lines.flush()
        write_whole(self.checkpoint(At(int(state["epoch"]), int(state["step"]))), save(state))
        for old in sorted(self.checkpoints())[:-2]:
            self.checkpoint(old).unlink()

    def finish(
        self,
        tensors: dict[str, torch.Tensor],
        rank: int,
        seconds: float,
        stacked: int,
        device: str,
        threads: int,
        workers: int,
    ) -> None:
        """Weights first, the result last: its existence means that the model is trained."""
        if self._board is not None:
            self._board.close()
        self._lines.flush()
        write_whole(self._folder.weights, save(tensors))
        result = {
            **self._config,
            **self._last,
            "psi4": self._psi4,
            "rank": rank,
            "loss": self._last["reconstruction"] + self._config["beta"] * sum(self._last["kl"]),
            "seconds": round(seconds, 3),
            "stacked_runs": stacked,
            "device": device,
            "threads": threads,
            "workers": workers,
            "torch": torch.__version__,
        }
        write_whole(self._folder.result, json.dumps(result, indent=1) + "\n")
        remove_tree(self._folder.checkpoint)
