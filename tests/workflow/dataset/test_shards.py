"""Shards: every encoding there and back, the exact schema, equal tasks equal bytes, and what is no shard."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from simulators.sampling.samples import PointSamples
from workflow.dataset import codec, shards
from workflow.dataset.origins import SimulationTask
from workflow.dataset.shards import ShardError
from workflow.simulate.worker import draw

TASK = SimulationTask(
    system="ising",
    version=1,
    spec=(("size", 6), ("coupling", -1.0), ("field", 0.1), ("temperature", 2.5)),
    samples=70,
    chains=8,
    algorithm="metropolis",
    thermalization=20,
    spacing=2,
    block=0,
    seed=5,
)
SCHEMA = [
    ("configuration", "fixed_size_binary[5]", {b"encoding": b"bits", b"shape": b"[1, 6, 6]"}),
    ("size", "int32", None),
    ("coupling", "double", None),
    ("field", "double", None),
    ("temperature", "double", None),
    ("chain", "int32", None),
    ("sweep", "int64", None),
    ("energy", "double", None),
    ("magnetization", "double", None),
    ("staggered_magnetization", "double", None),
]
"""The dataset format of version 1: a change here is a change of the format."""


@pytest.fixture(scope="module")
def samples() -> PointSamples:
    return draw(TASK)


@pytest.fixture
def path(samples: PointSamples, tmp_path: Path) -> Path:
    file = tmp_path / f"{TASK.task_id}.parquet"
    shards.write(TASK, samples, file)
    return file


def states(encoding: str, shape: tuple[int, int, int]) -> NDArray[Any]:
    rng = np.random.default_rng(4)
    if encoding == "float32":
        return rng.standard_normal((9, *shape)).astype(np.float32)
    values = [-1, 1] if encoding == "bits" else [-128, -1, 0, 1, 127]
    return rng.choice(np.array(values, dtype=np.int8), size=(9, *shape))


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 5, 7)])
@pytest.mark.parametrize(("encoding", "bits_per_site"), [("bits", 1), ("int8", 8), ("float32", 32)])
def test_every_encoding_there_and_back(encoding: str, bits_per_site: int, shape: tuple[int, int, int]) -> None:
    configurations = states(encoding, shape)
    packed = codec.encode(configurations, encoding)
    assert packed.shape == (9, -(-int(np.prod(shape)) * bits_per_site // 8))
    decoded = codec.decode(packed, encoding, shape)
    assert decoded.dtype == configurations.dtype
    np.testing.assert_array_equal(decoded, configurations)


def test_bits_are_most_significant_first_and_one_is_up() -> None:
    spins = np.array([1, -1, -1, -1, -1, -1, -1, 1, 1, -1], dtype=np.int8).reshape(1, 1, 2, 5)
    assert codec.encode(spins, "bits").tolist() == [[0b10000001, 0b10000000]]


def test_floats_are_little_endian() -> None:
    field = np.array([1.0], dtype=np.float32).reshape(1, 1, 1, 1)
    assert codec.encode(field, "float32").tobytes() == bytes.fromhex("0000803f")


def test_the_schema_is_the_documented_one(path: Path) -> None:
    schema = pq.read_schema(path)
    assert [(field.name, str(field.type), field.metadata) for field in schema] == SCHEMA
    assert set(schema.metadata) == {b"latentphase"}
    metadata = json.loads(schema.metadata[b"latentphase"])
    assert set(metadata) == {"format", "task", "task_id", "seed", "versions", "certificate"}
    assert metadata["format"] == 1
    assert metadata["task_id"] == TASK.task_id
    assert metadata["seed"] == 5
    assert {"latentphase", "python", "numpy", "numba", "pyarrow"} == set(metadata["versions"])
    certificate = metadata["certificate"]
    assert {"acceptance", "thermalization", "spacing", "certified", "reasons", "observables"} <= set(certificate)
    assert {"mean", "error", "tau_int", "effective_samples", "r_hat"} <= set(certificate["observables"]["energy"])


def test_configurations_are_compressed_without_a_dictionary(path: Path) -> None:
    column = pq.read_metadata(path).row_group(0).column(0)
    assert column.path_in_schema == "configuration"
    assert column.compression == "ZSTD"
    assert not column.has_dictionary_page


def test_what_was_sampled_is_what_is_read(path: Path, samples: PointSamples) -> None:
    shard = shards.read(path)
    np.testing.assert_array_equal(shard.packed_SB, samples.configurations)
    np.testing.assert_array_equal(shards.load_samples(path), shard.configurations())
    np.testing.assert_array_equal(shard.columns["chain"], samples.chain)
    np.testing.assert_array_equal(shard.columns["sweep"], samples.sweep)
    for name, values in samples.observables.items():
        np.testing.assert_array_equal(shard.columns[name], values)
    assert shard.shape == (1, 6, 6)
    assert set(shards.read(path, columns=("chain",)).columns) == {"chain"}
    assert shards.read_metadata(path) == shard.metadata


def test_a_file_stands_alone(path: Path) -> None:
    """Energies and magnetizations by the formulas of the format, from the columns of the file and nothing else."""
    frame = pd.read_parquet(path)
    assert list(frame.columns) == [name for name, _, _ in SCHEMA]
    bits = np.unpackbits(np.stack([np.frombuffer(row, np.uint8) for row in frame["configuration"]]), axis=1, count=36)
    spins = bits.reshape(-1, 6, 6).astype(float) * 2 - 1
    bonds = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).mean((1, 2))
    energy = -frame["coupling"] * bonds + frame["field"] * spins.mean((1, 2))
    checkerboard = 1 - 2 * (np.indices((6, 6)).sum(0) % 2)
    # Sums of at most 36 numbers of order one: rounding stays below 36 eps.
    rounding = {"rtol": 0, "atol": 36 * np.finfo(float).eps}
    np.testing.assert_allclose(frame["energy"], energy, **rounding)
    np.testing.assert_allclose(frame["magnetization"], spins.mean((1, 2)), **rounding)
    np.testing.assert_allclose(frame["staggered_magnetization"], (checkerboard * spins).mean((1, 2)), **rounding)
    assert frame["size"].eq(6).all()
    assert frame["temperature"].eq(2.5).all()


def test_equal_tasks_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    rows, size, sha256 = shards.write(TASK, draw(TASK), tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()
    assert (rows, size) == (70, path.stat().st_size)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_seed_gives_other_configurations(samples: PointSamples) -> None:
    """Negative control of equal bytes."""
    other = draw(dataclasses.replace(TASK, seed=6))
    assert not np.array_equal(other.configurations, samples.configurations)


def test_long_shards_are_cut_into_row_groups(
    samples: PointSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 16 * 36)
    file = tmp_path / "groups.parquet"
    shards.write(TASK, samples, file)
    content = pq.read_metadata(file)
    assert [content.row_group(i).num_rows for i in range(content.num_row_groups)] == [16, 16, 16, 16, 6]
    np.testing.assert_array_equal(shards.read(file).packed_SB, samples.configurations)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def remove(path: Path) -> None:
    path.unlink()


def replace_by_text(path: Path) -> None:
    path.write_text("not Parquet")


def replace_by_another_table(path: Path) -> None:
    pq.write_table(pa.table({"configuration": [1, 2]}), path)


@pytest.mark.parametrize("spoil", [truncate, remove, replace_by_text, replace_by_another_table])
@pytest.mark.parametrize("reader", [shards.read, shards.read_metadata, shards.load_samples])
def test_what_is_no_shard_is_named(path: Path, spoil: Any, reader: Any) -> None:
    spoil(path)
    with pytest.raises(ShardError, match=rf"{path.name} is not a whole shard: "):
        reader(path)
