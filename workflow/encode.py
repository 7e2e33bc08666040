"""The encode stage: posterior mean and spread of every sample under every trained model, one file per shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from workflow.dataset.origins import ShardTask
from workflow.dataset.reading import SPLIT_COLUMNS, numbers, read_for, unseen
from workflow.execution.executors import Executor
from workflow.execution.failures import StageFailed, forget_failures, note_failure, require
from workflow.execution.stage_costs import timed
from workflow.plan.tasks import ModelPlan, ShardKind, kinds, model_plans, shard_tasks
from workflow.storage import places as storage
from workflow.storage.places import Listing
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import write_table
from workflow.study.blocks import Study
from workflow.terminal import Progress
from workflow.train.restarts import kept
from workflow.train.trained import load_model

if TYPE_CHECKING:
    pass


def shards_of(model: ModelPlan, tasks: Sequence[ShardTask]) -> list[ShardTask]:
    """Every shard that a trained model can read: its system, size and shape, also those it was not trained on."""
    readable = {kind: model.reads(kind) for kind in kinds(tasks)}
    return [task for task in tasks if readable[ShardKind(task.system, task.size, task.info)]]


def encoded(run: RunDirectory, model: ModelPlan, tasks: Sequence[ShardTask], there: Listing) -> bool:
    """Whether all that ``model`` can read has its latents ``there``, in a listing of the run folder."""
    folder = run.latents(model.train_id)
    return all(folder / f"{task.task_id}.parquet" in there for task in shards_of(model, tasks))


def encode_model(job: tuple[ModelPlan, tuple[ShardTask, ...]], root: str) -> float:
    """Write the latents of one trained model that are missing; returns the seconds it took."""
    import torch

    from models import inference
    from models.data.samples import samples_of

    start = time.monotonic()
    model, tasks = job
    torch.set_num_threads(1)
    run = RunDirectory.at(root)
    network = load_model(run, model)
    for task in tasks:
        shard = read_for(run.shard(task.system, task.size, task.task_id), model.given_as, SPLIT_COLUMNS)
        posterior = inference.encode(
            network, samples_of(numbers(shard, model.given_as), model.seen.shape, *model.seen.stored)
        )
        rows = len(shard.packed_SB)
        trained = task.task_id in model.task_ids
        left_out = unseen(shard.columns, task.chains, model["held_out"])
        columns = {
            "task_id": pa.array([task.task_id] * rows),
            "row": pa.array(np.arange(rows, dtype=np.int32)),
        }
        for unit in range(posterior.mean.shape[1]):
            columns[f"mean_{unit}"] = pa.array(posterior.mean[:, unit].astype(np.float32))
            columns[f"std_{unit}"] = pa.array(posterior.std[:, unit].astype(np.float32))
        columns["reconstruction"] = pa.array(posterior.reconstruction.astype(np.float64))
        columns["held_out"] = pa.array(left_out if trained else np.ones(rows, bool))
        write_table(run.latents(model.train_id) / f"{task.task_id}.parquet", pa.table(columns))
    return time.monotonic() - start


def encode(study: Study, run: RunDirectory, executor: Executor, quiet: bool = False) -> None:
    """Encode every shard with every trained model that fits it; what is there is kept.

    Raises:
        FileNotFoundError: models or shards are missing.
        StageFailed: some models could not be used; the others' latents are there and are kept.
    """
    tasks = shard_tasks(study)
    todo = []
    there = storage.listing(run.root)
    used = kept(model_plans(study), run)
    forget_failures(run, [f"encode-{model.train_id}" for model in used])
    for model in used:
        folder = run.latents(model.train_id)
        missing = tuple(t for t in shards_of(model, tasks) if folder / f"{t.task_id}.parquet" not in there)
        if missing:
            todo.append((model, missing))
    untrained = [model for model, _ in todo if run.training(model.train_id).result not in there]
    require("encode", "train", "model", untrained)
    unread = {task.task_id: task for _, missing in todo for task in missing}.values()
    require("encode", "simulate", "shard", [t for t in unread if run.shard(t.system, t.size, t.task_id) not in there])
    failures: dict[str, str] = {}
    with timed(run, "encode") as cost, Progress("encode", len(todo), "models", quiet) as progress:
        for outcome in executor.run_all(encode_model, todo, str(run.root)):
            model = outcome.item[0]
            if outcome.error is None:
                cost["core_seconds"] += outcome.value
                cost["done"] += 1
                progress.advance(1)
            else:
                failures[str(model)] = f"{type(outcome.error).__name__}: {outcome.error}"
                note_failure(run, f"encode-{model.train_id}", f"{model}\n\n{outcome.traceback}")
    if failures:
        raise StageFailed("encode", failures, run.failures, len(todo))
