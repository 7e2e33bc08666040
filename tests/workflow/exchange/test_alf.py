"""Fields of ALF: both layouts read back bit for bit, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from peers import alf_order, random_fields, write_alf_hdf5, write_alf_text

from simulators.systems import hubbard
from simulators.systems.hubbard import Spec
from workflow.cli.main import main
from workflow.dataset import shards

POINT = {"size": 4, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25}
SLICES = 8


def run(path: Path, output: Path, *options: str, **point: Any) -> Result:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in (POINT | point).items()]
    return CliRunner().invoke(main, ["import", "alf", str(path), "--output", str(output), *flags, *options])


def write_all(folder: Path, fields_STIJ: NDArray[np.int8], how: str) -> None:
    for rank, field_TIJ in enumerate(fields_STIJ):
        if how == "text":
            write_alf_text(folder / f"confout_{rank}", field_TIJ)
        else:
            write_alf_hdf5(folder / f"confout_{rank}.h5", field_TIJ, complex_values=how == "hdf5")


@pytest.mark.parametrize("how", ["text", "hdf5", "hdf5 before 2.6"])
@pytest.mark.parametrize("size", [2, 4, 6])
def test_fields_are_read_back_bit_for_bit(how: str, size: int, tmp_path: Path) -> None:
    fields_STIJ = random_fields(12, SLICES, size)
    write_all(tmp_path / "alf", fields_STIJ, how)
    result = run(tmp_path / "alf", tmp_path / "out", size=size)
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "out").rglob("*.parquet")
    assert path.parent == tmp_path / "out" / "hubbard" / f"L={size}"
    shard = shards.read(path)
    np.testing.assert_array_equal(shard.configurations(), fields_STIJ)
    np.testing.assert_array_equal(shard.columns["chain"], np.arange(12), "rank 2 comes before rank 10")
    assert shard.metadata["certificate"] is None
    assert shard.metadata["task"]["files"][0][0].startswith("confout_0")
    expected = hubbard.Simulation.of_fields(Spec(**(POINT | {"size": size})), fields_STIJ).measure()
    for name, values in expected.items():
        np.testing.assert_allclose(shard.columns[name], values, rtol=0, atol=1e-12)
    assert set(shard.columns) == {"chain", "sweep", *expected, *(field.name for field in dataclasses.fields(Spec))}


def test_a_wrong_order_of_sites_would_be_noticed() -> None:
    """Negative control: a field and its transpose differ."""
    field_TIJ = random_fields(1, SLICES, 4)[0]
    assert (alf_order(field_TIJ) != alf_order(field_TIJ.swapaxes(1, 2))).any()


def test_snapshots_of_one_rank_are_one_chain(tmp_path: Path) -> None:
    fields_STIJ = random_fields(12, SLICES, 4)
    for i, field_TIJ in enumerate(fields_STIJ):
        write_alf_text(tmp_path / "alf" / f"bin_{i // 4}" / f"confout_{i % 4}", field_TIJ)
    assert run(tmp_path / "alf", tmp_path / "out").exit_code == 0
    (path,) = (tmp_path / "out").rglob("*.parquet")
    shard = shards.read(path)
    np.testing.assert_array_equal(shard.configurations(), fields_STIJ)
    np.testing.assert_array_equal(shard.columns["chain"], np.arange(12) % 4)
    np.testing.assert_array_equal(shard.columns["sweep"], np.arange(12) // 4)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    write_all(tmp_path / "alf", random_fields(4, SLICES, 4), "text")
    assert run(tmp_path / "alf", tmp_path / "a").exit_code == 0
    assert run(tmp_path / "alf", tmp_path / "b", "--quiet").output == ""
    (a,), (b,) = ((tmp_path / name).rglob("*.parquet") for name in "ab")
    assert (a.name, a.read_bytes()) == (b.name, b.read_bytes())


def spoiled(value: Any) -> NDArray[Any]:
    """A field with one other value, on slice 3, x = 0 and y = 2, which ALF counts as vertex 4 (0-based 7)."""
    field_TIJ = random_fields(1, SLICES, 4)[0].astype(np.float64)
    field_TIJ[3, 2, 0] = value
    return field_TIJ


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2, "configuration[3, 7] must be -1 or 1, got 2.0; a field of four values"),
        (0, "configuration[3, 7] must be -1 or 1, got 0.0"),
        (0.25, "configuration[3, 7] must be -1 or 1, got 0.25; a continuous field is no Hirsch field"),
        (np.nan, "configuration[3, 7] must be -1 or 1, got nan"),
        (np.inf, "configuration[3, 7] must be -1 or 1, got inf"),
    ],
)
@pytest.mark.parametrize("complex_values", [True, False])
def test_other_values_are_refused(value: float, message: str, complex_values: bool, tmp_path: Path) -> None:
    path = write_alf_hdf5(tmp_path / "confout_0.h5", spoiled(value), complex_values)
    refused(path, message)


def refused(path: Path, message: str, *options: str, **point: Any) -> None:
    result = run(path, path.parent / "out", *options, **point)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert str(path) in result.stderr
    assert not (path.parent / "out").exists()


def test_other_hdf5_files_are_refused(tmp_path: Path) -> None:
    field_TIJ = random_fields(1, SLICES, 4)[0]
    path = write_alf_hdf5(tmp_path / "confout_0.h5", field_TIJ)
    shape = "configuration must have shape (16, 16, 2) (slices, sites, real and imaginary part) for size 4, temperature"
    refused(path, shape, trotter_step=0.125)
    refused(path, "got (8, 16, 2); trotter_step 0.25 would make 8 slices", trotter_step=0.125)
    refused(path, "must have shape (8, 36, 2)", size=6)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(path, "cannot be read, it may be truncated")
    refused(write_alf_hdf5(tmp_path / "confout_1.h5", field_TIJ, imaginary=0.5), "configuration[0, 0, 1] must be 0")
    path = write_alf_hdf5(tmp_path / "confout_2.h5", field_TIJ)
    with h5py.File(path, "a") as file:
        del file["configuration"]
    refused(path, "has no dataset configuration; there are: seed")
    with h5py.File(path, "a") as file:
        file["configuration"] = [b"one"]
    refused(path, "configuration must hold floats or integers, got")
    with h5py.File(path, "a") as file:
        del file["seed"]
    refused(path, "has no dataset seed; there are: configuration")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("           1", "           2", "field [0] must be -1 or 1, got 2.0; a field of four values"),
        ("           1", "  0.731", "field [0] must be -1 or 1, got 0.731; a continuous field is no Hirsch field"),
        ("           1", "  NaN", "line 3 must be -1 or 1, got 'NaN'"),
        ("           1", " (1.0,0.3)", "line 3 must be -1 or 1, got '(1.0,0.3)'; a field of type 4"),
        ("           1", " 1 -1", "must have 128 lines of fields after the seeds"),
        ("           1", " x", "line 3 must be -1 or 1, got 'x'"),
        ("     1872353", "  what", "line 1 must hold the random generator's state, whole numbers, got 'what'"),
    ],
)
def test_other_texts_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    field_TIJ = random_fields(1, SLICES, 4)[0]
    field_TIJ[0, 3, 3] = 1  # ALF's first vertex: x = y = -1
    path = write_alf_text(tmp_path / "confout_0", field_TIJ)
    lines = path.read_text().splitlines()
    changed = next(i for i, line in enumerate(lines) if old in line)
    assert changed in (0, 2)
    lines[changed] = lines[changed].replace(old, new)
    path.write_text("\n".join(lines))
    refused(path, message)


def test_texts_of_another_length_are_refused(tmp_path: Path) -> None:
    path = write_alf_text(tmp_path / "confout_0", random_fields(1, SLICES, 4)[0])
    text = path.read_text()
    for content, found in ((text.rstrip().rsplit("\n", 1)[0], 127), (text + "1\n", 129)):
        path.write_text(content)
        refused(path, "must have 128 lines of fields after the seeds (8 slices of 4 x 4 sites, for temperature 0.5")
        refused(path, f"got {found}")
    refused(path, "is no HDF5 file and has no dataset field", "--dataset=field")
    path.write_text("")
    refused(path, "is empty; a confout file begins with the random generator's state")
    path.write_bytes(b"\x00\xff\xfe")
    refused(path, "is neither HDF5 nor text")


def test_bad_points_and_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "alf"
    write_all(folder, random_fields(4, SLICES, 4), "text")
    output = tmp_path / "out"

    def message(*options: str, source: Path = folder, **point: Any) -> str:
        result = run(source, output, *options, **point)
        assert result.exit_code == 2, result.output
        assert not output.exists() or not list(output.rglob("*.parquet"))
        return str(result.stderr)

    assert "trotter_step: 0.3 does not divide beta = 2; 7 slices of it are temperature 0.47" in message(
        trotter_step=0.3
    )
    assert "no such point: size: must be even and at least 2, got 5" in message(size=5)
    assert 'take channel = "charge"' in message(interaction=-4.0)
    assert "no such file or folder" in message(source=tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    assert "holds no file called confout_* or confin_*" in message(source=tmp_path / "empty")
    assert "is named twice" in message(str(folder / "confout_1"))
    assert "errors need at least 4" in message(source=folder / "confout_1")
    for replica in ("Temp_0", "Temp_1"):
        write_all(tmp_path / "tempering" / replica, random_fields(4, SLICES, 4), "text")
    assert "Temp_0, Temp_1 are replicas of parallel tempering" in message(source=tmp_path / "tempering")
    (tmp_path / "point.toml").write_text("size = 4\ntemprature = 0.5\n")
    assert "temprature: unknown key; there are size, temperature" in message("--point", str(tmp_path / "point.toml"))
    (tmp_path / "point.toml").write_text("size = 4\n")
    assert "size is given twice: 4 in" in message("--point", str(tmp_path / "point.toml"))
    output.mkdir()
    (output / "mine").write_text("kept")
    assert "is there already and not an empty folder" in message()
    assert (output / "mine").read_text() == "kept"


def test_the_point_from_a_file_and_pieces_for_chains(tmp_path: Path) -> None:
    point = tmp_path / "point.toml"
    point.write_text('size = 4\ntemperature = 0.5\ninteraction = -4\ntrotter_step = 0.25\nchannel = "charge"\n')
    for i, field_TIJ in enumerate(random_fields(8, SLICES, 4)):
        write_alf_text(tmp_path / "alf" / f"{i}" / "confout_0", field_TIJ)
    arguments = ["import", "alf", str(tmp_path / "alf"), "--output", str(tmp_path / "out"), "--point", str(point)]
    assert "8 samples of 1 chains; errors need at least 4" in CliRunner().invoke(main, arguments).stderr
    result = CliRunner().invoke(main, [*arguments, "--pieces"])
    assert result.exit_code == 0, result.output
    assert "8 fields of 8 chains, 8 slices of 4 x 4, T = 0.5, U = -4, charge channel: mean sign 1" in result.output
