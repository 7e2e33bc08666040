"""Shards as arrays for other programs: npy, npz, HDF5, Arrow. npz and HDF5 have the plain layout of import."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workflow.dataset import manifest, shards
from workflow.dataset.points import Scalar
from workflow.dataset.records import load_records
from workflow.dataset.shards import ShardError
from workflow.exchange.fields import LayoutError
from workflow.exchange.importing import require_empty
from workflow.exchange.plain import CONFIGURATIONS
from workflow.execution.run_folder import load_run
from workflow.storage import places
from workflow.storage.places import Place, read_with
from workflow.storage.whole_files import write_whole
from workflow.terminal import Progress


class Content(NamedTuple):
    """One shard, unpacked."""

    arrays: dict[str, NDArray[Any]]
    """``configurations``, (S, C, H, W), and every column with a value per sample, (S,)."""
    constants: dict[str, Scalar]
    """``system`` and the parameters."""
    about: str
    """The shard's metadata as JSON, with its certificate."""


def export_run(root: Place, kind: str, output: Path, system: str | None = None, quiet: bool = False) -> int:
    """Write every shard of a run folder, or those of one system or data block, below ``output``.

    Args:
        root: of the run folder.
        kind: one of ``FORMATS``.
        output: folder to make, or an empty one.
        system: export its shards, or those of the data of this name; None: all.
        quiet: show no progress.

    Returns:
        How many shards were written.

    Raises:
        LayoutError: the output folder is not empty, or there is nothing to export.
        FolderError: no run folder.
        ShardError: a shard is missing, damaged or altered; then nothing was written.
    """
    require_empty(output)
    run, _ = load_run(root)
    records = load_records(run)
    chosen = {i: r for i, r in records.items() if system is None or Path(r.path).parts[1] == system}
    if not chosen:
        names = ", ".join(sorted({Path(record.path).parts[1] for record in records.values()})) or "none"
        raise LayoutError(
            f"{run.root} has no shards{f' of {system!r}' if system else ''}; there are shards of: {names}"
        )
    for text in manifest.damaged(run, chosen.values(), places.listing(run.root)).values():
        raise ShardError(f"{text}; `latentphase simulate` makes it again")
    with Progress("export", len(chosen), "shards", quiet) as progress:
        for record in chosen.values():
            target = output.joinpath(*Path(record.path).parts[1:])
            FORMATS[kind](run.root / record.path, target)
            progress.advance(1)
    return len(chosen)


def _content(path: Place) -> Content:
    shard = shards.read(path, inputs=True)
    spec = dict(shard.metadata["task"]["spec"])
    arrays = {CONFIGURATIONS: shard.configurations()}
    arrays |= {name: values for name, values in shard.columns.items() if name not in spec}
    constants = {"system": shard.metadata["task"]["system"], **spec}
    return Content(arrays, constants, json.dumps(shard.metadata, sort_keys=True))


def _npy(path: Place, target: Path) -> None:
    """A folder with a file per array, and the constants and metadata in about.json."""
    content = _content(path)
    folder = target.with_suffix("")
    for name, array in content.arrays.items():
        write_whole(folder / f"{name}.npy", _npy_bytes(array))
    about = {**content.constants, "latentphase": json.loads(content.about)}
    write_whole(folder / "about.json", json.dumps(about, sort_keys=True, indent=1) + "\n")


def _npy_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _npz(path: Place, target: Path) -> None:
    content = _content(path)
    arrays = content.arrays | {name: np.array(value) for name, value in content.constants.items()}
    buffer = io.BytesIO()
    # As numpy.savez_compressed, but with the same bytes for the same shard: it would write the time into the file.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (arrays | {"latentphase": np.array(content.about)}).items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), _npy_bytes(array), zipfile.ZIP_DEFLATED)
    write_whole(target.with_suffix(".npz"), buffer.getvalue())


def _hdf5(path: Place, target: Path) -> None:
    content = _content(path)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in content.arrays.items():
            file.create_dataset(name, data=array, compression="gzip", shuffle=array.itemsize > 1)
        for name, value in content.constants.items():
            file.attrs[name] = value
        # Attributes hold 64 KiB at most, and certificates of many chains are longer.
        file["latentphase"] = content.about
    write_whole(target.with_suffix(".h5"), buffer.getvalue())


def _arrow(path: Place, target: Path) -> None:
    """The shard's own table, packed configurations and metadata included, as an Arrow IPC file."""
    table = read_with(path, lambda file: pq.ParquetFile(file).read())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    write_whole(target.with_suffix(".arrow"), sink.getvalue().to_pybytes())


FORMATS: dict[str, Callable[[Place, Path], None]] = {"npy": _npy, "npz": _npz, "hdf5": _hdf5, "arrow": _arrow}
