"""A run folder opened for reading: its manifest, plan and summary as tables with fixed columns.

Nothing is locked and nothing is written, so that a run may be read while it goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow.dataset.records import load_records
from workflow.status import plan_of
from workflow.storage import places
from workflow.storage.errors import FolderError
from workflow.storage.run_directory import RunDirectory

MANIFEST = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("seconds", pa.float64()),
        pa.field("node", pa.string()),
    ]
)
PLAN = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("restart_of", pa.string()),
        pa.field("finished", pa.bool_(), nullable=False),
    ]
)
SUMMARY = pa.schema(
    [
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("system", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("network", pa.string()),
        pa.field("input", pa.string()),
        pa.field("name", pa.string()),
        pa.field("beta", pa.float64()),
        pa.field("beta_setting", pa.string()),
        pa.field("beta_over_lam", pa.float64()),
        pa.field("seed", pa.int64()),
        pa.field("train_id", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("estimate", pa.float64()),
        pa.field("error", pa.float64()),
        pa.field("samples", pa.int64()),
        pa.field("method", pa.string()),
    ]
)


@dataclass(frozen=True)
class Run:
    """One run folder; every table is read anew when it is asked for."""

    folder: RunDirectory

    def __str__(self) -> str:
        return str(self.folder.root)

    @property
    def manifest(self) -> pa.Table:
        """One row per finished shard, in the order of the file.

        * ``task_id``: 16 hex digits over all that decides the shard.
        * ``path``: of its Parquet file, relative to the run folder.
        * ``rows``: samples in it.
        * ``bytes``, ``sha256``: size and checksum of the file.
        * ``seconds``: how long the task took; null where the manifest was rebuilt from the files.
        * ``node``: the machine that did it; null likewise.
        """
        lines = load_records(self.folder).values()
        return pa.Table.from_pylist([record._asdict() for record in lines], MANIFEST)

    @property
    def plan(self) -> pa.Table:
        """One row per shard, then one per model, of all that the study amounts to, in the order of the plan.

        * ``stage``: ``simulate`` for a shard, ``train`` for a model.
        * ``id``: the task id of the shard, or the train id of the model.
        * ``restart_of``: of a model that is a restart, the train id of the first training of the same seed.
        * ``finished``: whether the manifest has the shard, or the model is trained.

        Raises:
            FolderError: no driver has noted the plan, and the study in the folder is damaged.
            StudyError: the same, and the data that the study names are not here.
        """
        _, plan = plan_of(self.folder.root)
        shards = load_records(self.folder)
        files = places.listing(self.folder.root)
        rows = [
            {"stage": "simulate", "id": task_id, "finished": task_id in shards}
            for kind in plan.shards
            for task_id in kind
        ]
        rows += [
            {
                "stage": "train",
                "id": model.train_id,
                "restart_of": model.first if model.first != model.train_id else None,
                "finished": self.folder.training(model.train_id).result in files,
            }
            for model in plan.models
        ]
        return pa.Table.from_pylist(rows, PLAN)

    @property
    def summary(self) -> pa.Table:
        """One row per headline number that ``analyze`` has found, of models and of the data of one size.

        * ``quantity``: what it is, such as ``kl_0`` (of latent unit 0, in nat) or ``correlation_magnetization``.
        * ``system``, ``size``: of the data; the linear size is in sites.
        * ``network``, ``input``, ``name``: of the model: its network, what it is given of a configuration, and the
          name of its ``[[train]]`` block; null, as all up to ``subject``, where the number is one of the data alone.
        * ``beta``, ``beta_setting``, ``beta_over_lam``: the weight of the KL term, as the study has it, and in units of
          the top eigenvalue of the data's covariance.
        * ``seed``, ``train_id``: of the training.
        * ``subject``: what the verdict judges the model by.
        * ``estimate``, ``error``: the number and one standard error; null where it is not defined.
        * ``samples``, ``method``: how many samples it rests on, and how the error was found.

        Raises:
            FolderError: the run is not analyzed yet, or the file is damaged.
        """
        file = self.folder.summary
        if not file.exists():
            raise FolderError(f"{self} has no {file.relative_to(self.folder.root)} yet: latentphase analyze makes it")
        try:
            return _summary_table(json.loads(file.read_text()))
        except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
            raise FolderError(f"{file} is damaged: {error}; latentphase analyze makes it anew") from None


def _summary_table(records: Any) -> pa.Table:
    """The records of a summary; a ValueError if they are not."""
    if not isinstance(records, list):
        raise ValueError("it holds no list of records")
    table = pa.Table.from_pylist(records, SUMMARY)
    for field in SUMMARY:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"a record has no {field.name}")
    return table


def open_run(path: str | Path) -> Run:
    """The run folder at a path or URI, for reading.

    Args:
        path: such as ``runs/quickstart`` or ``s3://bucket/runs/quickstart``.

    Raises:
        FolderError: there is no run folder, or the URI cannot be used.
        StorageError: the store cannot be reached.
    """
    return Run(RunDirectory.existing(places.place(path)))
