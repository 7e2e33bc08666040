"""What one training worker does: stacks of runs, one after the other, with metrics and checkpoints on the way.

The same code runs in the driver (serial executor) and in every worker of a Ray Train group.
"""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from models import spectrum
from models.config import ModelConfig, Run, TrainConfig
from models.data import Samples
from models.group import Group
from models.precision import exact_products
from models.trainer import Epoch, Trainer, TrainingDiverged
from workflow.blocks import MODEL_SETTINGS
from workflow.dataset import TrainingData, training_data
from workflow.folder import note_failure
from workflow.layout import RunDirectory, TrainingDirectory, write_whole
from workflow.plan import TrainingRun
from workflow.shards import ShardError
from workflow.storage import Lines, Place, place, remove_tree

CHECKPOINT_SECONDS = 20.0
"""A checkpoint after the first epoch that ends this long after the last one."""


TRAIN_SETTINGS = ("epochs", "batch", "learning_rate", "axes", "free_energy", "precision")
"""Settings of a run that its training takes as they are."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a worker needs besides the run folder; small enough to send."""

    root: str
    lanes: tuple[tuple[tuple[TrainingRun, ...], ...], ...]
    """Stacks of runs, in as many lanes as work side by side; each lane is one data-parallel group."""
    device: str
    threads: int
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    stop: str | None = None
    """A file: once it is there, trainings write their checkpoint after the epoch they are in, and end."""

    @property
    def stopped(self) -> bool:
        return self.stop is not None and place(self.stop).exists()


class Stopped(Exception):
    """The driver wants to leave."""


def train_lane(job: Job, lane: int = 0, group: Group | None = None) -> None:
    """Train the stacks of one lane; one that fails leaves its traceback in the run folder and the next one starts.

    Args:
        job: what to train; runs that have a result (this is a restart) are left out.
        lane: which lane this worker belongs to.
        group: the data-parallel group of the lane; None for one worker.
    """
    torch.set_num_threads(job.threads)
    exact_products()
    run = RunDirectory.at(job.root)
    data: dict[Any, TrainingData] = {}
    alone = group is None or group.size == 1
    queue = list(job.lanes[lane])
    while queue and not job.stopped:
        stack = tuple(item for item in queue.pop(0) if not run.training(item.train_id).result.exists())
        if not stack:
            continue
        if len(parts := _by_checkpoint(stack, run)) > 1:
            queue[:0] = parts
            continue
        try:
            _train_stack(stack, _data_of(stack[0], run, data), run, job, group)
        except Stopped:
            return
        except Exception as error:
            if not alone and not isinstance(error, TrainingDiverged | ValueError | ShardError):
                # These come to all workers alike. After any other the rest of the group waits in a collective, and
                # only its restart can go on.
                raise
            if isinstance(error, TrainingDiverged) and len(stack) > 1:
                # One member has spoilt the stack; the others finish by themselves.
                queue[:0] = [(item,) for item in stack]
                continue
            for item in stack if group is None or group.rank == 0 else ():
                note_failure(run, item.train_id, f"{item}\n\n{traceback.format_exc()}")


def _data_of(item: TrainingRun, run: RunDirectory, data: dict[Any, TrainingData]) -> TrainingData:
    """The training set of a run, kept in ``data`` until another one is needed: one at a time in memory."""
    key = (item.size, item.task_ids, item["held_out"], item.memory)
    if key not in data:
        data.clear()
        data[key] = training_data(run, item.system, item.size, item.task_ids, item["held_out"], item.memory)
    return data[key]


def _configs(item: TrainingRun, data: TrainingData) -> tuple[ModelConfig, TrainConfig]:
    model = ModelConfig(
        network=item.network,  # type: ignore[arg-type]  # checked when the study was read
        shape=data.shape,
        variable=data.stored.variable,
        states=data.stored.states,
        **{name: item[name] for name in (*MODEL_SETTINGS, "likelihood")},
    )
    config = TrainConfig(**{name: item[name] for name in TRAIN_SETTINGS}, compile=item.compile)
    return model, config


def _train_stack(
    stack: tuple[TrainingRun, ...], data: TrainingData, run: RunDirectory, job: Job, group: Group | None
) -> None:
    start = time.monotonic()
    model, config = _configs(stack[0], data)
    samples = data.samples(job.device)
    lam = _eigenvalues(stack, samples, model, run)
    betas = [item.beta.resolve(lam) for item in stack]
    runs = [Run(beta=beta, seed=item.training_seed) for beta, item in zip(betas, stack, strict=True)]
    trainer = Trainer(samples, model, config, runs, device=job.device, group=group)
    records = [_Recorder(run, item) for item in stack]
    resumed = _restore(trainer, records)
    chief = group is None or group.rank == 0
    if chief:
        for recorder, item, beta in zip(records, stack, betas, strict=True):
            recorder.begin(item, model, config, beta, lam, len(samples), resumed)
    _train(trainer, records if chief else [], job)
    if chief:
        seconds = time.monotonic() - start
        for tensors, rank, recorder in zip(trainer.weights(), trainer.rank(), records, strict=True):
            recorder.finish(tensors, rank, seconds / len(stack), len(stack), job, group.size if group else 1)


def _train(trainer: Trainer, records: Sequence[_Recorder], job: Job) -> None:
    """Train all epochs, with notes and checkpoints of every run in ``records``.

    Raises:
        TrainingDiverged, Stopped, KeyboardInterrupt: after the last good state of every run was written as its
            checkpoint.
    """
    last = time.monotonic()
    good = [] if trainer.epoch == 0 else trainer.states()
    try:
        for epoch in trainer.epochs():
            unfinished = epoch.epoch < trainer.config.epochs
            for index, recorder in enumerate(records):
                recorder.note(epoch, index)
            if records:
                good = trainer.states()
            if unfinished and time.monotonic() - last >= job.checkpoint_seconds:
                _keep(records, good)
                last = time.monotonic()
            if unfinished and job.stopped:
                raise Stopped
    except (TrainingDiverged, Stopped, KeyboardInterrupt):
        # A checkpoint after the last epoch would leave no epoch from which the result could be written.
        if good and int(good[0]["epoch"]) < trainer.config.epochs:
            _keep(records, good)
        raise


def _keep(records: Sequence[_Recorder], states: Sequence[dict[str, torch.Tensor]]) -> None:
    """Checkpoints of all runs; ``records`` is empty where another worker of the group writes them."""
    for recorder, state in zip(records, states, strict=bool(records)):
        recorder.keep(int(state["epoch"]), state)


def _eigenvalues(
    stack: tuple[TrainingRun, ...], samples: Samples, model: ModelConfig, run: RunDirectory
) -> tuple[float, ...]:
    """Top eigenvalues of the training data, as the first of these runs has noted them if it is being resumed.

    Their last digits depend on the machine and its threads, and a checkpoint belongs to exactly one beta.
    """
    for item in stack:
        path = run.training(item.train_id).config
        if path.exists():
            noted = json.loads(path.read_text())
            return tuple(noted.get("eigenvalues", [noted["top_eigenvalue"]]))
    return spectrum.eigenvalues(samples, model, max(item.beta.eigenvalue for item in stack))


def _by_checkpoint(stack: tuple[TrainingRun, ...], run: RunDirectory) -> list[tuple[TrainingRun, ...]]:
    """The stack, or its parts where its runs were interrupted at different epochs."""
    recorders = {item: _Recorder(run, item).checkpoints() for item in stack}
    if len({max(found, default=0) for found in recorders.values()}) == 1 or set.intersection(*recorders.values()):
        return [stack]
    parts: dict[int, list[TrainingRun]] = {}
    for item, found in recorders.items():
        parts.setdefault(max(found, default=0), []).append(item)
    return [tuple(part) for part in parts.values()]


def _restore(trainer: Trainer, records: list[_Recorder]) -> int:
    """Continue from the newest checkpoint that all runs of the stack have; the epoch it was taken at, or 0."""
    common = set.intersection(*(recorder.checkpoints() for recorder in records))
    if not common:
        return 0
    epoch = max(common)
    trainer.restore([load(recorder.checkpoint(epoch).read_bytes()) for recorder in records])
    return epoch


def _number(value: float) -> float | None:
    """What JSON can hold."""
    return value if math.isfinite(value) else None


class _Recorder:
    """Writes the training folder of one run."""

    def __init__(self, run: RunDirectory, item: TrainingRun) -> None:
        self._folder: TrainingDirectory = run.training(item.train_id)
        self._board_folder = run.tensorboard / item.train_id
        self._config: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._psi4: float | None = None
        self._lines = Lines(self._folder.metrics, CHECKPOINT_SECONDS)
        self._board: Any = None

    def checkpoint(self, epoch: int) -> Place:
        return self._folder.checkpoint / f"epoch-{epoch:05d}.safetensors"

    def checkpoints(self) -> set[int]:
        """Epochs with a whole checkpoint."""
        return {int(path.stem.split("-")[1]) for path in self._folder.checkpoint.glob("epoch-*.safetensors")}

    def begin(
        self,
        item: TrainingRun,
        model: ModelConfig,
        config: TrainConfig,
        beta: float,
        eigenvalues: tuple[float, ...],
        samples: int,
        resumed: int,
    ) -> None:
        self._config = {
            "train_id": item.train_id,
            "name": item.name,
            "system": item.system,
            "size": item.size,
            "seed": item.seed,
            "beta": beta,
            "beta_setting": str(item.beta),
            "restart": item.restart,
            "top_eigenvalue": eigenvalues[0],
            "eigenvalues": list(eigenvalues),
            "model": asdict(model),
            "training": asdict(config),
            "held_out": item["held_out"],
            "task_ids": list(item.task_ids),
            "samples": samples,
        }
        write_whole(self._folder.config, json.dumps(self._config, indent=1) + "\n")
        # A killed run may have noted epochs after its last checkpoint: they will be noted again.
        old = self._folder.metrics.read_text().splitlines() if self._folder.metrics.exists() else []
        kept = [json.loads(text) for text in old[:resumed]]
        self._psi4 = next((line["psi4"] for line in kept if "psi4" in line), None)
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
            # A collapsed run has no axes to be confident of.
            self._psi4 = self._last["psi4"] = _number(float(epoch.psi4[index]))
        self._lines.add(json.dumps(self._last))
        if self._board is not None:
            self._show(epoch.epoch, kl)

    def _show(self, epoch: int, kl: NDArray[np.float64]) -> None:
        for name in ("reconstruction", "active_units", "samples_per_second"):
            self._board.add_scalar(name, self._last[name], epoch)
        for unit, value in enumerate(kl):
            self._board.add_scalar(f"kl/{unit}", value, epoch)

    def keep(self, epoch: int, state: dict[str, torch.Tensor]) -> None:
        """Write a checkpoint; the one before stays until the next, should this crash in between."""
        # A training that goes on from here keeps the lines of all epochs before.
        self._lines.flush()
        write_whole(self.checkpoint(epoch), save(state))
        for old in sorted(self.checkpoints())[:-2]:
            self.checkpoint(old).unlink()

    def finish(
        self, tensors: dict[str, torch.Tensor], rank: int, seconds: float, stacked: int, job: Job, workers: int
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
            "device": job.device,
            "threads": job.threads,
            "workers": workers,
            "torch": torch.__version__,
        }
        write_whole(self._folder.result, json.dumps(result, indent=1) + "\n")
        remove_tree(self._folder.checkpoint)
