"""Parquet files made elsewhere in the dataset format: what they hold, and everything that is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ConfigDict

from workflow.dataset.codec import ENCODINGS, EncodingName, decode, packed_rows
from workflow.dataset.manifest import sha256
from workflow.dataset.origins import FEWEST_CHAINS, pseudo_chains, renumbered
from workflow.dataset.points import Scalar

ColumnType = Literal["float", "int", "string", "bool"]
RESERVED: dict[str, ColumnType] = {
    "chain": "int",
    "sweep": "int",
    "energy": "float",
    "sign": "float",
    "label": "int",
    "held_out": "bool",
}
"""Columns with a meaning of their own: never parameters, never order parameters."""
PARAMETERS = (
    *("size", "temperature", "coupling", "field", "states", "crystal_field", "hopping", "quartic"),
    *("interaction", "chemical_potential", "hybridization", "trotter_step"),
)
"""Columns that are parameters whatever they hold, and so must be constant in a file."""
MOST_LABELS = 256
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class FileContents:
    """What one file holds."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    file: str
    """Its path below the folder."""
    sha256: Annotated[str, annotated_types.Len(64, 64)]
    samples: int
    chains: int
    held_out: int | None = None
    """Samples that it holds out itself; None: it has no such column."""
    shape: tuple[int, int, int]
    values: tuple[int, ...]
    """States that occur, sorted, where they are stored as int8."""
    labels: int
    """The largest label and one; 0 without labels."""
    constants: dict[str, Scalar]
    """Columns that have the same value in all rows."""


@dataclass(frozen=True, kw_only=True)
class FolderContents:
    """What a folder holds: enough to plan with, and to notice when a file is another one."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    encoding: EncodingName
    columns: dict[str, ColumnType]
    """All columns but the configuration, in their order."""
    files: tuple[FileContents, ...]

    def to_toml(self) -> dict[str, Any]:
        """As a study file says it: lists, and no key for a value that is not there."""
        content = asdict(self)
        files = [
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in file.items()
                if value is not None
            }
            for file in content["files"]
        ]
        return {**content, "files": files}


def inspect_folder(folder: Path) -> tuple[FolderContents | None, list[str]]:
    """What the Parquet files below ``folder`` hold, or every message about what is wrong with them."""
    if not folder.is_dir():
        return None, [f"no such folder: {folder}"]
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet") if path.is_file())
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        return None, [f"{folder} holds no .parquet file"]
    problems: list[str] = []
    files: list[FileContents] = []
    common: tuple[str, dict[str, ColumnType]] | None = None
    for name in names:
        file = inspect_file(folder / name, name, problems)
        if file is None:
            continue
        encoding, columns, contents = file
        files.append(contents)
        if common is None:
            common = (encoding, columns)
        elif (encoding, columns) != common:
            problems.append(f"{name}: {_words(encoding, columns)}; but {files[0].file}: {_words(*common)}")
    problems += _clashes(files)
    if problems or common is None:
        return None, problems
    return FolderContents(encoding=common[0], columns=common[1], files=tuple(files)), []  # type: ignore[arg-type]


def _words(encoding: str, columns: dict[str, ColumnType]) -> str:
    return f"{encoding} with columns " + (", ".join(f"{name} ({kind})" for name, kind in columns.items()) or "none")


def _clashes(files: list[FileContents]) -> Iterator[str]:
    """Files that cannot stand in one data set."""
    by_checksum: dict[str, str] = {}
    by_rows: dict[int, FileContents] = {}
    for contents in files:
        other = by_checksum.setdefault(contents.sha256, contents.file)
        if other != contents.file:
            yield f"{contents.file} and {other} are the same file; keep one"
        first = by_rows.setdefault(contents.shape[1], contents)
        # Slices of imaginary time may differ: a model that cannot read them all is told so where it is asked for.
        if first.shape[1:] != contents.shape[1:]:
            yield (
                f"{contents.file} has shape {contents.shape}, {first.file} has {first.shape}: "
                "one number of columns per rows (L)"
            )


def inspect_file(path: Path, name: str, problems: list[str]) -> tuple[str, dict[str, ColumnType], FileContents] | None:
    """Encoding, columns and contents of one file, or None after its problems were noted."""
    faults: list[str] = []
    try:
        with pq.ParquetFile(path) as file:
            stored = _stored(file.schema_arrow, faults)
            columns = _column_types(file.schema_arrow, faults)
            table = file.read(columns=list(columns))
            constants = _constants(table, columns, faults)
            values = _check_configurations(file, *stored, faults) if stored else ()
    except (OSError, pa.ArrowException) as error:
        problems.append(f"{name}: is not a Parquet file that can be read: {error}")
        return None
    if stored and "size" in constants and constants["size"] != stored[1][1]:
        faults.append(f"column size is {constants['size']}, but configurations have {stored[1][1]} rows")
    rows, labels = table.num_rows, _labels(table, faults)
    chains, held_out = _split(table, faults)
    problems += [f"{name}: {text}" for text in faults]
    if faults or stored is None:
        return None
    encoding, shape = stored
    contents = FileContents(
        file=name,
        sha256=sha256(path),
        samples=rows,
        chains=chains,
        held_out=held_out,
        shape=shape,
        values=values,
        labels=labels,
        constants=constants,
    )
    return encoding, columns, contents


def _stored(schema: pa.Schema, faults: list[str]) -> tuple[str, tuple[int, int, int]] | None:
    """Encoding and shape of the configurations."""
    if "configuration" not in schema.names:
        faults.append("has no column configuration")
        return None
    field = schema.field("configuration")
    about = field.metadata or {}
    try:
        encoding = about[b"encoding"].decode()
        channels, rows, columns = (int(n) for n in json.loads(about[b"shape"]))
    except (KeyError, TypeError, ValueError):
        faults.append('the metadata of configuration must hold encoding and shape, such as "bits" and "[1, 32, 32]"')
        return None
    if encoding not in ENCODINGS:
        faults.append(f"encoding must be bits, int8 or float32, got {encoding!r}")
        return None
    width = ENCODINGS[encoding].stored_bytes(channels * rows * columns)
    if min(channels, rows, columns) < 1:
        faults.append(f"shape must be channels, rows and columns, got {[channels, rows, columns]}")
    elif not pa.types.is_fixed_size_binary(field.type) or field.type.byte_width != width:
        faults.append(f"configuration must be fixed_size_binary[{width}], got {field.type}")
    else:
        return encoding, (channels, rows, columns)
    return None


def _column_types(schema: pa.Schema, faults: list[str]) -> dict[str, ColumnType]:
    """Type of every column but the configuration."""
    tests: dict[ColumnType, Any] = {
        "float": lambda type_: pa.types.is_float32(type_) or pa.types.is_float64(type_),
        "int": pa.types.is_integer,
        "string": lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_),
        "bool": pa.types.is_boolean,
    }
    kinds: dict[str, ColumnType] = {}
    for field in schema:
        if field.name == "configuration":
            continue
        kind = next((kind for kind, test in tests.items() if test(field.type)), None)
        reserved = RESERVED.get(field.name)
        if kind is None or (kind == "bool" and reserved != "bool"):
            faults.append(f"column {field.name} has type {field.type}; columns are floats, integers or strings")
        elif reserved is not None and kind != reserved:
            faults.append(f"column {field.name} must be of kind {reserved}, got {field.type}")
        else:
            kinds[field.name] = kind
    if len(kinds) < len(set(schema.names)) - 1 and not faults:
        faults.append("two columns have the same name")
    return kinds


def _constants(table: pa.Table, columns: dict[str, ColumnType], faults: list[str]) -> dict[str, Scalar]:
    """Columns with one value alone; notes missing, infinite and varying values that must not be."""
    constants: dict[str, Scalar] = {}
    for name, kind in columns.items():
        column = table.column(name)
        if column.null_count:
            faults.append(f"column {name} lacks {column.null_count} of its values")
        elif kind == "float" and not pc.all(pc.is_finite(column)).as_py():
            faults.append(f"column {name} holds values that are not finite")
        elif name in RESERVED or not len(column):
            continue
        elif len(distinct := pc.unique(column)) == 1:
            constants[name] = value = distinct[0].as_py()
            if kind == "int" and not -(2**31) <= value < 2**31:
                faults.append(f"column {name} must fit into 32 bits, got {value}")
        elif kind == "string" or name in PARAMETERS:
            faults.append(f"column {name} must be constant in a file (one parameter point), got {len(distinct)} values")
    return constants


def _check_configurations(
    file: pq.ParquetFile, encoding: str, shape: tuple[int, int, int], faults: list[str]
) -> tuple[int, ...]:
    """The states that occur in int8 configurations; notes missing ones and numbers that are not finite."""
    occurs = np.zeros(256, dtype=bool)
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=["configuration"]):
        column = batch.column(0)
        if column.null_count:
            faults.append(f"column configuration lacks {column.null_count} of its values")
            return ()
        if encoding == "bits":
            continue
        x_SCHW = decode(packed_rows(pa.chunked_array([column])), encoding, shape)
        if encoding == "int8":
            occurs |= np.bincount(x_SCHW.reshape(-1).view(np.uint8), minlength=256) > 0
        elif not np.isfinite(x_SCHW).all():
            faults.append("configurations hold values that are not finite")
            return ()
    return tuple(sorted(int(value) for value in np.flatnonzero(occurs).astype(np.uint8).view(np.int8)))


def _split(table: pa.Table, faults: list[str]) -> tuple[int, int | None]:
    """How many chains there are, and how many samples the file holds out itself (None: it doesn't say)."""
    rows, own = table.num_rows, "chain" in table.column_names
    chain = renumbered(table.column("chain").to_numpy()) if own else pseudo_chains(rows)
    chains = len(np.unique(chain))
    if chains < FEWEST_CHAINS:
        remedy = "; without the column chain, rows are cut into consecutive pieces that stand for chains"
        what = "chains" if own else "samples"
        faults.append(f"has {chains} {what}; errors need at least {FEWEST_CHAINS}{remedy if own else ''}")
    if "held_out" not in table.column_names or not pa.types.is_boolean(table.schema.field("held_out").type):
        return chains, None
    held_out = table.column("held_out").to_numpy().astype(bool)
    if held_out.any() and len(np.unique(chain[held_out])) < 2:
        pieces = "" if own else f", which are {chains} consecutive pieces here"
        faults.append(f"all {held_out.sum()} held-out samples are of one chain; errors need two chains{pieces}")
    return chains, int(held_out.sum())


def _labels(table: pa.Table, faults: list[str]) -> int:
    if "label" not in table.column_names or not table.num_rows or table.column("label").null_count:
        return 0
    if not pa.types.is_integer(table.schema.field("label").type):
        return 0
    extremes = pc.min_max(table.column("label")).as_py()
    if extremes["min"] < 0 or extremes["max"] >= MOST_LABELS:
        text = f"labels are numbers from 0 below {MOST_LABELS}"
        faults.append(f"{text}, got {extremes['min']} to {extremes['max']}")
    return int(extremes["max"]) + 1
