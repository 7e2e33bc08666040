"""The encode stage: posterior mean and spread of every sample under every trained model, one file per shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from workflow.dataset.origins import ShardTask
from workflow.dataset.reading import SPLIT_COLUMNS, numbers, read_for, unseen
from workflow.execution.failures import forget_failures, require
from workflow.execution.stage import Execution, Failure, stage_work
from workflow.plan.tasks import ModelPlan, ShardKind, kinds, model_plans, shard_tasks
from workflow.storage import places
from workflow.storage.places import Listing
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import write_table
from workflow.study.blocks import Study
from workflow.train.restarts import best_restarts
from workflow.train.trained import load_model


class EncodeJob(NamedTuple):
    """One trained model, and the shards that lack its latents."""

    model: ModelPlan
    tasks: tuple[ShardTask, ...]


def shards_of(model: ModelPlan, tasks: Sequence[ShardTask]) -> list[ShardTask]:
    """Every shard that a trained model can read: its system, size and shape, also those it was not trained on."""
    readable = {kind: model.reads(kind) for kind in kinds(tasks)}
    return [task for task in tasks if readable[ShardKind(task.system, task.size, task.info)]]


def without_latents(
    run: RunDirectory, model: ModelPlan, tasks: Sequence[ShardTask], listing: Listing
) -> tuple[ShardTask, ...]:
    """The shards that ``model`` can read and that lack its latents, by a listing of the run folder."""
    folder = run.latents(model.train_id)
    return tuple(task for task in shards_of(model, tasks) if folder / f"{task.task_id}.parquet" not in listing)


def encode_model(job: EncodeJob, root: str) -> float:
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
        shard = read_for(run.shard(task), model.input_name, SPLIT_COLUMNS)
        posterior = inference.encode(
            network,
            samples_of(numbers(shard, model.input_name), model.network_input.shape, *model.network_input.stored),
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


def encode(study: Study, run: RunDirectory, execution: Execution) -> None:
    """Encode every shard with every trained model that fits it; what is there is kept.

    Raises:
        FileNotFoundError: models or shards are missing.
        StageFailed: some models could not be used; the others' latents are there and are kept.
    """
    tasks = shard_tasks(study)
    listing = places.listing(run.root)
    models = best_restarts(model_plans(study), run)
    forget_failures(run, [_failure_file(model) for model in models])
    jobs = [EncodeJob(model, without_latents(run, model, tasks, listing)) for model in models]
    todo = [job for job in jobs if job.tasks]
    untrained = [job.model for job in todo if run.training(job.model.train_id).result not in listing]
    require("encode", "train", "model", untrained)
    needed = {task.task_id: task for job in todo for task in job.tasks}.values()
    require("encode", "simulate", "shard", [task for task in needed if run.shard(task) not in listing])
    with stage_work("encode", run, execution, len(todo), "models") as work:
        for seconds in work.carry_out(encode_model, todo, _failure):
            work.advance(seconds)


def _failure(job: EncodeJob) -> Failure:
    return Failure(_failure_file(job.model), str(job.model))


def _failure_file(model: ModelPlan) -> str:
    return f"encode-{model.train_id}"
