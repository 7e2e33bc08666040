"""What one training worker does: stacks of models, one after the other, with metrics and checkpoints on the way.

The same code runs in the driver (serial executor) and in every worker of a Ray Train group.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

from models.compute.group import Group, anyone
from models.compute.precision import exact_products
from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import Samples
from models.latent_space import spectrum
from models.training.trainer import Trainer, TrainingDiverged
from workflow.dataset.reading import TrainingData, training_data
from workflow.dataset.shards import ShardError
from workflow.execution.failures import note_failure
from workflow.execution.interruption import GRACE_SECONDS, held
from workflow.plan.tasks import ModelPlan
from workflow.storage.places import place
from workflow.storage.run_directory import RunDirectory
from workflow.study.train_settings import Taker, entries_of
from workflow.train.record import BEGIN, CHECKPOINT_SECONDS, At, Recorder


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a worker needs besides the run folder; small enough to send."""

    root: str
    lanes: tuple[tuple[tuple[ModelPlan, ...], ...], ...]
    """Stacks of models, in as many lanes as work side by side; each lane is one data-parallel group."""
    device: str
    threads: int
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    stop: str | None = None
    """A file: once it is there, trainings write their checkpoint at the next step that allows it, and end."""

    @property
    def stopped(self) -> bool:
        return self.stop is not None and place(self.stop).exists()


class StopRequested(Exception):
    """The driver wants to leave."""


def train_lane(job: Job, lane: int = 0, group: Group | None = None) -> None:
    """Train the stacks of one lane; one that fails leaves its traceback in the run folder and the next one starts.

    Args:
        job: what to train; models that have a result (this is a restart) are left out.
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
        stack = tuple(model for model in queue.pop(0) if not run.training(model.train_id).result.exists())
        if not stack:
            continue
        if len(parts := _by_checkpoint(stack, run)) > 1:
            queue[:0] = parts
            continue
        try:
            _train_stack(stack, _data_of(stack[0], run, data), run, job, group)
        except StopRequested:
            return
        except Exception as error:
            if not alone and not isinstance(error, TrainingDiverged | ValueError | ShardError):
                # These come to all workers alike. After any other the rest of the group waits in a collective, and
                # only its restart can go on.
                raise
            if isinstance(error, TrainingDiverged) and len(stack) > 1:
                # One member has spoilt the stack; the others finish by themselves.
                queue[:0] = [(model,) for model in stack]
                continue
            for model in stack if group is None or group.rank == 0 else ():
                note_failure(run, model.train_id, f"{model}\n\n{traceback.format_exc()}")


def _data_of(model: ModelPlan, run: RunDirectory, data: dict[Any, TrainingData]) -> TrainingData:
    """The training set of a model, kept in ``data`` until another one is needed: one at a time in memory."""
    key = (model.size, model.task_ids, model["held_out"], model.memory, model.input_name)
    if key not in data:
        data.clear()
        shards = model.system, model.size, model.task_ids
        data[key] = training_data(run, *shards, model["held_out"], model.memory, model.input_name)
    return data[key]


def _configs(model: ModelPlan, data: TrainingData) -> tuple[ModelConfig, TrainConfig]:
    network = ModelConfig(
        network=model.network,  # type: ignore[arg-type]  # checked when the study was read
        shape=data.shape,
        variable=data.stored.variable,
        states=data.stored.states,
        **{name: model[name] for name in entries_of(Taker.NETWORK)},
    )
    config = TrainConfig(**{name: model[name] for name in entries_of(Taker.TRAINING)}, compile=model.compile)
    return network, config


def _train_stack(
    stack: tuple[ModelPlan, ...], data: TrainingData, run: RunDirectory, job: Job, group: Group | None
) -> None:
    start = time.monotonic()
    network, config = _configs(stack[0], data)
    samples = data.samples(job.device)
    lam = _eigenvalues(stack, samples, network, run)
    betas = [model.beta.resolve(lam) for model in stack]
    members = [Member(beta=beta, seed=model.training_seed) for beta, model in zip(betas, stack, strict=True)]
    trainer = Trainer(samples, network, config, members, device=job.device, group=group)
    records = [Recorder(run, model) for model in stack]
    resumed = _restore(trainer, records)
    chief = group is None or group.rank == 0
    if chief:
        for recorder, model, beta in zip(records, stack, betas, strict=True):
            recorder.begin(model, network, config, beta, lam, len(samples), resumed)
    while members:
        over = _train(trainer, records if chief else [], job, stack[0]["stop_collapsed"])
        seconds = (time.monotonic() - start) / len(stack)
        if chief:
            weights, ranks = trainer.weights(), trainer.rank()
            for index in over:
                records[index].finish(
                    weights[index], ranks[index], seconds, len(stack), job.device, job.threads, trainer.group.size
                )
        rest = [index for index in range(len(members)) if index not in over]
        members, records = [members[index] for index in rest], [records[index] for index in rest]
        if members:
            states = trainer.states()
            trainer = Trainer(samples, network, config, members, device=job.device, group=group)
            trainer.restore([states[index] for index in rest])


def _train(trainer: Trainer, records: Sequence[Recorder], job: Job, patience: int | None) -> list[int]:
    """Train all epochs, with notes and checkpoints of every model in ``records``, or until models have collapsed.

    A signal waits for the end of the step, or of the second, that it comes in; unless a step takes too long for that:
    then what was done since the last state was taken is lost.

    Returns:
        Which models are done: those that have carried nothing for ``patience`` epochs, or after the last epoch all.

    Raises:
        TrainingDiverged: after the last state of every model that was taken, mostly that after its last good epoch, was
            written as its checkpoint.
        StopRequested, KeyboardInterrupt: after that of its last step was.
    """
    last, pause = time.monotonic(), job.checkpoint_seconds
    good = saved = [] if trainer.epoch == trainer.step == 0 else trainer.states()
    parts = trainer.parts()
    try:
        while trainer.epoch < trainer.config.epochs:
            # Asked at an epoch's begin, a training that was resumed there gives the same answer.
            if patience and not trainer.step and (trainer.quiet_R >= patience).any():
                return [int(index) for index in np.flatnonzero(trainer.quiet_R >= patience)]
            # A step may take longer than there is between a signal and the end.
            hold: AbstractContextManager[list[int]] = held() if trainer.pace < GRACE_SECONDS else nullcontext([])
            with hold as signals:
                epoch = next(parts)
                if epoch is not None:
                    for index, recorder in enumerate(records):
                        recorder.note(epoch, index)
                # A checkpoint after the last epoch would leave no epoch from which the result could be written.
                unfinished = trainer.epoch < trainer.config.epochs
                leaving = unfinished and anyone(bool(signals) or job.stopped, trainer.group, trainer.device)
                due = unfinished and (leaving or time.monotonic() - last >= pause)
                if records and (epoch is not None or due):
                    good = trainer.states()
                if due:
                    start = time.monotonic()
                    _keep(records, good)
                    saved, last = good, time.monotonic()
                    # Of a large network, a checkpoint takes minutes.
                    pause = job.checkpoint_seconds * max(1.0, last - start)
            if leaving:
                raise StopRequested
    except (TrainingDiverged, KeyboardInterrupt):
        if good is not saved and int(good[0]["epoch"]) < trainer.config.epochs:
            _keep(records, good)
        raise
    return list(range(len(trainer.members)))


def _keep(records: Sequence[Recorder], states: Sequence[dict[str, torch.Tensor]]) -> None:
    """Checkpoints of all models; ``records`` is empty where another worker of the group writes them."""
    for recorder, state in zip(records, states, strict=bool(records)):
        recorder.keep(state)


def _eigenvalues(
    stack: tuple[ModelPlan, ...], samples: Samples, network: ModelConfig, run: RunDirectory
) -> tuple[float, ...]:
    """Top eigenvalues of the training data, as the first of these models has noted them if it is being resumed.

    Their last digits depend on the machine and its threads, and a checkpoint belongs to exactly one beta.
    """
    for model in stack:
        path = run.training(model.train_id).config
        if path.exists():
            noted = json.loads(path.read_text())
            return tuple(noted.get("eigenvalues", [noted["top_eigenvalue"]]))
    return spectrum.eigenvalues(samples, network, max(model.beta.eigenvalue for model in stack))


def _by_checkpoint(stack: tuple[ModelPlan, ...], run: RunDirectory) -> list[tuple[ModelPlan, ...]]:
    """The stack, or its parts where its models were interrupted at different steps."""
    checkpoints = {model: Recorder(run, model).checkpoints() for model in stack}
    newest = {model: max(places, default=BEGIN) for model, places in checkpoints.items()}
    if len({*newest.values()}) == 1 or set.intersection(*checkpoints.values()):
        return [stack]
    parts: dict[At, list[ModelPlan]] = {}
    for model, at in newest.items():
        parts.setdefault(at, []).append(model)
    return [tuple(part) for part in parts.values()]


def _restore(trainer: Trainer, records: list[Recorder]) -> int:
    """Continue from the newest checkpoint that all models of the stack have; how many epochs it has behind it."""
    common = set.intersection(*(recorder.checkpoints() for recorder in records))
    if not common:
        return 0
    at = max(common)
    trainer.restore([load(recorder.checkpoint(at).read_bytes()) for recorder in records])
    return at.epoch
