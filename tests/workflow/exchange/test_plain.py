"""The plain layout: what export writes import reads, bit for bit, and trains on; what is refused."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from peers import random_fields
from studies import contents, serial, write_study

from workflow.cli.main import main
from workflow.dataset import codec, shards
from workflow.storage.run_directory import RunDirectory

POINT = {"size": 4, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25}
FIELDS = random_fields(12, 8, 4)
BLOCK = {"system": "hubbard", "size": 4, "temperature": 1.0, "trotter_step": 0.125, "samples": 64}
QUICK = {"algorithm": "metropolis", "thermalization": 20, "spacing": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Two hubbard points, half filled and not, and an Ising one."""
    folder = tmp_path_factory.mktemp("generated")
    hubbard = BLOCK | QUICK | {"interaction": 4.0, "chemical_potential": [0.0, -0.5]}
    ising = {"system": "ising", "size": 4, "coupling": 1.0, "temperature": 2.0, "samples": 64}
    study = write_study(folder / "study.toml", {"name": "generated", "simulate": [hubbard, ising]})
    result = serial("simulate", study, folder / "run")
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / "run")


def export(run: RunDirectory, output: Path, kind: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["export", str(run.root), "--format", kind, "--output", str(output), *options])


def imported(paths: list[Path], output: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["import", "plain", *map(str, paths), "--output", str(output), *options])


@pytest.mark.parametrize(("kind", "ending"), [("npz", "npz"), ("hdf5", "h5")])
def test_what_is_exported_is_imported_again(run: RunDirectory, kind: str, ending: str, tmp_path: Path) -> None:
    result = export(run, tmp_path / "plain", kind, "--system", "hubbard")
    assert result.exit_code == 0, result.output
    originals = sorted((run.dataset / "hubbard").rglob("*.parquet"))
    assert len(originals) == 2
    for original in originals:
        path = tmp_path / "plain" / "hubbard" / "L=4" / f"{original.stem}.{ending}"
        result = imported([path], tmp_path / "out" / original.stem)
        assert result.exit_code == 0, result.output
        (made,) = (tmp_path / "out" / original.stem).rglob("*.parquet")
        expected, found = shards.read(original), shards.read(made)
        np.testing.assert_array_equal(found.packed_SB, expected.packed_SB)
        assert (found.shape, found.encoding) == (expected.shape, expected.encoding)
        assert set(found.columns) == set(expected.columns)
        for name, values in expected.columns.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found.columns[name], values, rtol=0, atol=1e-10, err_msg=name)
            else:
                np.testing.assert_array_equal(found.columns[name], values, name)


def test_an_imported_set_is_trained_on_and_verified(run: RunDirectory, tmp_path: Path) -> None:
    export(run, tmp_path / "plain", "hdf5", "--system", "hubbard")
    for i, path in enumerate(sorted((tmp_path / "plain").rglob("*.h5"))):
        assert imported([path], tmp_path / "fields" / f"{i}", "--quiet").exit_code == 0
    study = {
        "name": "elsewhere",
        "data": [{"name": "fields", "path": "fields", "order_parameters": ["staggered_field", "spin_structure"]}],
        "train": [{"name": "a", "select": {"data": "fields"}, "epochs": 3, "latent": 1}],
    }
    for stage in ("simulate", "train", "encode"):
        result = serial(stage, write_study(tmp_path / "study.toml", study), tmp_path / "run")
        assert result.exit_code == 0, result.output
    (result_file,) = (tmp_path / "run" / "training").rglob("result.json")
    assert np.isfinite(json.loads(result_file.read_text())["loss"]).all()
    assert len(list((tmp_path / "run" / "latents").rglob("*.parquet"))) == 2
    verified = CliRunner().invoke(main, ["verify", str(tmp_path / "run")])
    assert verified.exit_code == 0, verified.output
    assert "2 shards follow format 1" in verified.output
    again = export(RunDirectory(tmp_path / "run"), tmp_path / "again", "npz")
    assert again.exit_code == 0, "imported data are exported like all others"


def test_every_format_holds_the_same(run: RunDirectory, tmp_path: Path) -> None:
    for kind in ("npy", "npz", "hdf5", "arrow"):
        assert export(run, tmp_path / kind, kind).output.endswith(f"3 shards as {kind} in {tmp_path / kind}\n")
    for original in run.dataset.rglob("*.parquet"):
        shard = shards.read(original)
        place = original.relative_to(run.dataset)
        spec = dict(shard.metadata["task"]["spec"])
        system = place.parts[0]
        folder = tmp_path / "npy" / place.with_suffix("")
        npz, hdf5 = (tmp_path / kind / place.with_suffix(f".{end}") for kind, end in (("npz", "npz"), ("hdf5", "h5")))
        with np.load(npz, allow_pickle=False) as archive, h5py.File(hdf5) as file:
            for name in {"configurations", *shard.columns} - set(spec):
                expected = shard.configurations() if name == "configurations" else shard.columns[name]
                for found in (np.load(folder / f"{name}.npy", allow_pickle=False), archive[name], file[name][()]):
                    assert found.dtype == expected.dtype
                    np.testing.assert_array_equal(found, expected)
            about = json.loads((folder / "about.json").read_text())
            for name, value in (spec | {"system": system}).items():
                assert archive[name].item() == file.attrs[name] == about[name] == value
            certificates = json.loads(archive["latentphase"].item()), json.loads(file["latentphase"][()])
            assert certificates == (shard.metadata, about["latentphase"])
        with pa.OSFile(str(tmp_path / "arrow" / place.with_suffix(".arrow"))) as source:
            table = pa.ipc.open_file(source).read_all()
        np.testing.assert_array_equal(codec.packed_rows(table.column("configuration")), shard.packed_SB)
        assert table.schema.field("configuration").metadata[b"encoding"].decode() == shard.encoding
        assert json.loads(table.schema.metadata[b"latentphase"]) == shard.metadata


def test_exports_are_the_same_bytes_again(run: RunDirectory, tmp_path: Path) -> None:
    for kind in ("npy", "npz", "hdf5", "arrow"):
        for name in ("first", "second"):
            assert export(run, tmp_path / name / kind, kind, "--quiet").output == ""
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_bad_exports_are_refused(run: RunDirectory, tmp_path: Path) -> None:
    result = export(run, tmp_path / "out", "npz", "--system", "potts")
    assert result.exit_code == 2
    assert "has no shards of 'potts'; there are shards of: hubbard, ising" in result.stderr
    assert export(RunDirectory(tmp_path), tmp_path / "out", "npz").exit_code == 2
    (path, *_) = run.dataset.rglob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"!")
    result = export(run, tmp_path / "out", "npz")
    path.write_bytes(content)
    assert result.exit_code == 1
    assert f"{path.relative_to(run.root).as_posix()} was altered" in result.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").write_text("mine")
    result = export(run, tmp_path / "out", "npz")
    assert (result.exit_code, (tmp_path / "out").read_text()) == (2, "mine")
    assert "is there already and not an empty folder" in result.stderr


def write(path: Path, arrays: dict[str, Any], constants: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays, **constants)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
            file.attrs.update(constants)
    return path


@pytest.fixture(params=["npz", "h5"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of twelve fields, with arrays or constants changed, added, or (None) left out."""

    def make(arrays: dict[str, Any] | None = None, constants: dict[str, Any] | None = None) -> Path:
        whole = {"configurations": FIELDS, "chain": np.arange(12) % 4, **(arrays or {})}
        point = POINT | {"system": "hubbard"} | (constants or {})
        kept = [{key: value for key, value in part.items() if value is not None} for part in (whole, point)]
        return write(tmp_path / f"fields.{request.param}", *kept)

    return make


def refused(path: Path, message: str, *options: str) -> None:
    result = imported([path], path.parent / "out", *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert str(path) in result.stderr
    assert not (path.parent / "out").exists()


def test_files_of_others(plain: Callable[..., Path]) -> None:
    """Any signed integers, chains of any numbers, sweeps; other arrays are left alone."""
    sweep = np.arange(12) // 4 * 10
    path = plain(
        {"configurations": FIELDS.astype(np.int64), "chain": np.arange(12) % 4 * 7, "sweep": sweep, "x": FIELDS}
    )
    assert imported([path], path.parent / "out").exit_code == 0
    (made,) = (path.parent / "out").rglob("*.parquet")
    shard = shards.read(made)
    np.testing.assert_array_equal(shard.configurations(), FIELDS)
    np.testing.assert_array_equal(shard.columns["chain"], np.arange(12) % 4)
    np.testing.assert_array_equal(shard.columns["sweep"], sweep)


def test_the_point_may_be_given_instead(plain: Callable[..., Path]) -> None:
    path = plain(None, dict.fromkeys((*POINT, "system")))
    message = "size, temperature, interaction must be given: the files do not state it"
    result = imported([path], path.parent / "out")
    assert message in result.stderr
    options = [f"--{name.replace('_', '-')}={value}" for name, value in POINT.items()]
    assert imported([path], path.parent / "out", *options).exit_code == 0


def spoiled(value: Any, kind: str = "int8") -> Any:
    fields = FIELDS.astype(kind)
    fields[2, 3, 1, 0] = value
    return fields


@pytest.mark.parametrize(
    ("arrays", "constants", "message"),
    [
        ({"configurations": spoiled(0)}, {}, "configurations[2, 3, 1, 0] must be -1 or 1, got 0"),
        ({"configurations": spoiled(-2)}, {}, "configurations[2, 3, 1, 0] must be -1 or 1, got -2; a field of four"),
        ({"configurations": spoiled(1, "float64")}, {}, "configurations must hold integers, got float64"),
        ({"configurations": spoiled(np.nan, "float32")}, {}, "configurations must hold integers, got float32"),
        ({"configurations": FIELDS > 0}, {}, "configurations must hold integers, got bool"),
        ({"configurations": (FIELDS > 0).astype(np.uint8)}, {}, "configurations must hold integers, got uint8"),
        (
            {"configurations": FIELDS[:, :-1]},
            {},
            "configurations must have shape (12, 8, 4, 4) (samples, slices, rows, ",
        ),
        ({"configurations": FIELDS[:, :4]}, {}, "got (12, 4, 4, 4); trotter_step 0.5 would make 4 slices"),
        ({"configurations": FIELDS[0]}, {}, "configurations must have shape (8, 8, 4, 4)"),
        ({"configurations": FIELDS[:0], "chain": None}, {}, "must hold at least one sample, got shape (0, 8, 4, 4)"),
        ({"configurations": None}, {}, "configurations; there are: chain"),
        ({"chain": np.arange(5)}, {}, "chain must have shape (12,), one per sample, got (5,)"),
        ({"chain": np.arange(12.0)}, {}, "chain must hold integers, got float64"),
        ({}, {"system": "ising"}, "system must be \"hubbard\", got 'ising'"),
        ({}, {"temperature": np.inf}, "temperature must be one finite number or text, got inf"),
        ({}, {"temperature": np.ones(3)}, "temperature must be one number or text, got float64 of shape (3,)"),
    ],
)
def test_other_files_are_refused(
    arrays: dict[str, Any], constants: dict[str, Any], message: str, plain: Callable[..., Path]
) -> None:
    refused(plain(arrays, constants), message)


def test_another_point_is_refused(plain: Callable[..., Path]) -> None:
    path = plain()
    refused(path, "temperature is 0.5 there, but 0.25 in the point that was given", "--temperature=0.25")
    refused(path, "fields; there are: ", "--dataset=fields")


def test_truncated_files_are_refused(plain: Callable[..., Path]) -> None:
    path = plain()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 300])
    refused(path, "truncated")
    path.write_bytes(b"")
    refused(path, "is neither an HDF5 nor an npz file, or it is truncated")


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (Path("harmed"),)  # type: ignore[return-value]


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Harmful()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "fields.npz", "w") as archive:
        archive.writestr("configurations.npy", buffer.getvalue())
    options = [f"--{name.replace('_', '-')}={value}" for name, value in POINT.items()]
    refused(tmp_path / "fields.npz", "cannot be read: Object arrays cannot be loaded when allow_pickle=False", *options)
    assert not (tmp_path / "harmed").exists()
    pickle.loads(pickle.dumps(Harmful()))
    assert (tmp_path / "harmed").exists(), "the control: it would have harmed"
