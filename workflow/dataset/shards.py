"""Shards: one Parquet file per task, written whole, readable without this program."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulators.sampling.certificate import Certificate
from simulators.sampling.samples import PointSamples
from workflow import __version__
from workflow.dataset.codec import ENCODINGS, decode, encode, packed_rows
from workflow.storage.places import Place, StorageError, place, read_with
from workflow.storage.whole_files import write_whole

if TYPE_CHECKING:
    from workflow.dataset.info import DatasetInfo
    from workflow.dataset.points import Scalar

FORMAT = 1
ROW_GROUP_BYTES = 8 * 2**20
"""Decoded bytes per row group: small enough to stream, large enough to compress."""
INPUT = "configuration_"
"""How the names of columns begin that hold second inputs, encoded as configurations are."""


class ShardError(RuntimeError):
    """A shard that is missing, truncated, altered or of another format; the message names it."""


def node_name() -> str:
    """The scheduler's name of the node that this process runs on; without a scheduler, the host's name."""
    return os.environ.get("SLURMD_NODENAME") or platform.node()


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One shard in memory; S samples."""

    packed_SB: NDArray[np.uint8]
    """Encoded configurations, one row of bytes each."""
    encoding: str
    shape: tuple[int, int, int]
    columns: dict[str, NDArray[Any]]
    """All other columns, by name."""
    metadata: dict[str, Any]
    """format, task, seed, versions, certificate (None: not simulated here), label_names of the labels that occur."""

    def configurations(self) -> NDArray[Any]:
        """Configurations (S, C, H, W): int8 (+-1 for bits) or float32."""
        return decode(self.packed_SB, self.encoding, self.shape)


class Origin(Protocol):
    """A task of any kind, as far as the shard's file says what it was made from."""

    @property
    def spec(self) -> tuple[tuple[str, Scalar], ...]:
        """Columns that are constant in the shard."""

    @property
    def info(self) -> DatasetInfo:
        """What its configurations are."""

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard's bytes, in plain values."""

    @property
    def task_id(self) -> str:
        """16 hex digits of a hash of the content."""

    @property
    def seed(self) -> int | None:
        """Of the study, where samples were drawn; None where they were read."""


class Rows(NamedTuple):
    """Samples that were not simulated here, as ``write`` takes them; S samples."""

    configurations: NDArray[np.uint8]
    """(S, B) encoded configurations."""
    chain: NDArray[np.int32]
    sweep: NDArray[np.int64]
    observables: dict[str, NDArray[Any]]
    """All other columns, (S,) each."""
    certificate: None = None
    inputs: Mapping[str, NDArray[np.float32]] = {}


@cache
def _versions() -> dict[str, str]:
    """Versions of all that decides a shard's bytes; looked up once, as that takes longer than a small simulation."""
    libraries = {name: version(name) for name in ("numpy", "numba", "pyarrow")}
    return {"latentphase": __version__, "python": platform.python_version()} | libraries


def _table(task: Origin, samples: PointSamples | Rows) -> pa.Table:
    packed_SB = samples.configurations
    rows, width = packed_SB.shape
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(packed_SB)])
    about = {"encoding": task.info.encoding, "shape": json.dumps(list(task.info.shape))}
    fields = [pa.field("configuration", pa.binary(width), nullable=False, metadata=about)]
    columns: list[pa.Array] = [binary]
    kinds = {int: pa.int32(), float: pa.float64(), str: pa.string()}
    for name, value in task.spec:
        fields.append(pa.field(name, kinds[type(value)], nullable=False))
        columns.append(pa.array([value] * rows, type=kinds[type(value)]))
    measured: dict[str, NDArray[Any]] = {
        "chain": samples.chain,
        "sweep": samples.sweep,
        **samples.observables,
    }
    for name, input_SCHW in samples.inputs.items():
        about = {"encoding": "float32", "shape": json.dumps(list(input_SCHW.shape[1:]))}
        encoded_SB = encode(input_SCHW, "float32")
        width = encoded_SB.shape[1]
        fields.append(pa.field(f"{INPUT}{name}", pa.binary(width), nullable=False, metadata=about))
        columns.append(pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(encoded_SB)]))
    for name, values in measured.items():
        array = pa.array(values)
        fields.append(pa.field(name, array.type, nullable=False))
        columns.append(array)
    metadata = {
        "format": FORMAT,
        "task": task.content,
        "task_id": task.task_id,
        "seed": task.seed,
        "versions": _versions(),
        "certificate": samples.certificate.to_json() if samples.certificate else None,
    }
    if "label" in measured:
        metadata["label_names"] = {str(label): task.info.labels[label] for label in np.unique(measured["label"])}
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    return pa.table(columns, schema=pa.schema(fields, metadata={"latentphase": text}))


def write(task: Origin, samples: PointSamples | Rows, path: Place) -> tuple[int, int, str]:
    """Write the shard of ``task`` whole; equal tasks give equal bytes.

    Args:
        task: what the shard is made from.
        samples: its rows, with configurations as ``encode`` packs them.
        path: of the file.

    Returns:
        rows, bytes and sha256 of the file.
    """
    table = _table(task, samples)
    decoded = prod(task.info.shape) * ENCODINGS[task.info.encoding].decoded_bytes
    decoded += sum(
        prod(input_SCHW.shape[1:]) * ENCODINGS["float32"].decoded_bytes for input_SCHW in samples.inputs.values()
    )
    inputs = {f"{INPUT}{name}" for name in samples.inputs}
    plain = [name for name in table.column_names if name not in ("configuration", *inputs, *samples.observables)]
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        # Constant columns shrink to nothing with a dictionary; spins and measurements only grow with one.
        use_dictionary=plain,
        row_group_size=max(1, ROW_GROUP_BYTES // decoded),
    )
    content = buffer.getvalue()
    write_whole(path, content)
    return table.num_rows, len(content), hashlib.sha256(content).hexdigest()


def read(path: Place, columns: tuple[str, ...] | None = None, inputs: bool = False) -> Shard:
    """Read a shard; ``columns`` limits which columns besides the configurations are read (None: all of numbers).

    Second inputs, such as the column ``configuration_green``, are decoded to (S, C, H, W). They are read where
    ``columns`` names them; where ``columns`` is None, with ``inputs`` alone.

    Raises:
        ShardError: not there, truncated, or not one of this program's shards.
    """
    try:
        schema, table = read_with(path, lambda file: _columns(file, columns, inputs))
        metadata = json.loads(schema.metadata[b"latentphase"])
        about = schema.field("configuration").metadata
    except StorageError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{path} is not a whole shard: {error}") from None
    return Shard(
        packed_SB=packed_rows(table.column("configuration")),
        encoding=about[b"encoding"].decode(),
        shape=tuple(json.loads(about[b"shape"])),
        columns={n: _values(table.column(n), schema.field(n)) for n in table.column_names if n != "configuration"},
        metadata=metadata,
    )


def _values(column: pa.ChunkedArray, field: pa.Field) -> NDArray[Any]:
    if not field.name.startswith(INPUT):
        return np.asarray(column.to_numpy())
    shape = tuple(json.loads(field.metadata[b"shape"]))
    return decode(packed_rows(column), field.metadata[b"encoding"].decode(), shape)


def _columns(source: Any, columns: tuple[str, ...] | None, inputs: bool) -> tuple[pa.Schema, pa.Table]:
    file = pq.ParquetFile(source)
    stored = file.schema_arrow.names
    chosen = (
        [n for n in stored if inputs or not n.startswith(INPUT)] if columns is None else (*columns, "configuration")
    )
    names = [n for n in stored if n in chosen]
    return file.schema_arrow, file.read(columns=names).combine_chunks()


def read_metadata(path: Place) -> dict[str, Any]:
    """The shard's metadata (task, versions, certificate) without its rows.

    Raises:
        ShardError: as in ``read``.
    """
    try:
        return dict(json.loads(read_with(path, pq.read_schema).metadata[b"latentphase"]))
    except StorageError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{path} is not a whole shard: {error}") from None


def read_certificate(path: Place) -> Certificate:
    """The certificate of a simulated shard.

    Raises:
        ShardError: as in ``read``, and where the shard has none.
    """
    certificate = read_metadata(path)["certificate"]
    if certificate is None:
        raise ShardError(f"{path} was not simulated here, so it has no certificate")
    return Certificate.from_json(certificate)


def load_samples(path: str | Path) -> NDArray[Any]:
    """Configurations of one shard, such as for a notebook.

    Args:
        path: such as ``runs/quickstart/dataset/ising/L=8/<task_id>.parquet`` or ``s3://bucket/...``.

    Returns:
        (S, C, H, W): samples, channels, rows, columns.

    Raises:
        ShardError: there is no file, or it is not a whole shard.
        FolderError: the URI cannot be used.
        StorageError: the store refuses, or cannot be reached.
    """
    return read(place(path), columns=()).configurations()
