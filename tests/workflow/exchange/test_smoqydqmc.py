"""Fields of SmoQyDQMC: JLD2 files read back bit for bit, in our sign, and what is refused."""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from peers import Julia, hirsch, random_fields, write_smoqydqmc

from simulators.systems import hubbard
from simulators.systems.hubbard import Spec
from workflow.cli.main import main
from workflow.dataset import shards

SLICES, BETA, U = 8, 2.0, 4.0
FIELD_TIJ = random_fields(1, SLICES, 4)[0]


def run(path: Path, output: Path, *options: str, **point: Any) -> Result:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in point.items()]
    return CliRunner().invoke(main, ["import", "smoqydqmc", str(path), "--output", str(output), *flags, *options])


@pytest.mark.parametrize(
    ("channel", "interaction", "mu"),
    [("spin", 4.0, -0.5), ("charge", -4.0, 0.25), ("charge", 4.0, 0.0), ("spin", 0.0, 0.0)],
)
def test_fields_are_read_back_bit_for_bit(channel: str, interaction: float, mu: float, tmp_path: Path) -> None:
    """The files state the whole point, and the observables know the field's sign: away from half filling in the charge
    channel, s and -s differ in density."""
    fields_STIJ = random_fields(4, SLICES, 4)
    for rank, field_TIJ in enumerate(fields_STIJ):
        write_smoqydqmc(tmp_path / "run" / f"checkpoint_pID-{rank}.jld2", field_TIJ, BETA, interaction, channel, mu)
    result = run(tmp_path / "run", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "out").rglob("*.parquet")
    shard = shards.read(path)
    np.testing.assert_array_equal(shard.configurations(), fields_STIJ)
    np.testing.assert_array_equal(shard.columns["chain"], np.arange(4))
    spec = Spec(
        size=4, temperature=0.5, interaction=interaction, chemical_potential=mu, trotter_step=0.25, channel=channel
    )
    for name, values in hubbard.Simulation.of_fields(spec, fields_STIJ).measure().items():
        np.testing.assert_allclose(shard.columns[name], values, rtol=0, atol=1e-12)
    assert shard.columns["channel"][0] == channel
    assert shard.columns["chemical_potential"][0] == mu
    if interaction < 0:
        other = hubbard.Simulation.of_fields(spec, -fields_STIJ).measure()["density"]
        assert (np.abs(shard.columns["density"] - other) > 0.01).any(), "a wrong sign would show"


def test_it_is_a_jld2_file(tmp_path: Path) -> None:
    """What the tests write has the marks of JLD2: a header of 512 bytes, committed types, references to arrays."""
    path = write_smoqydqmc(tmp_path / "a.jld2", FIELD_TIJ, BETA, U)
    assert path.read_bytes().startswith(b"HDF5-based Julia Data Format, version 0.2.0\x00")
    with h5py.File(path, "r") as file:
        assert file.userblock_size == 512
        assert len(file["_types"]) == 3
        assert file["hst_parameters"].dtype.names == ("β", "Δτ", "Lτ", "N", "U", "α", "sites", "s", "update_perm")
        assert file[file["hst_parameters"][()]["s"]].shape == (SLICES, 16)


def refused(path: Path, message: str, *options: str, **point: Any) -> None:
    result = run(path, path.parent / "out", *options, **point)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert str(path) in result.stderr
    assert not (path.parent / "out").exists()


S_NT = hirsch(FIELD_TIJ, BETA, U)["s"]
GAUSS_HERMITE = np.full(16, math.sqrt(0.25 * U / 2) / 0.25)


def changed(value: Any) -> Any:
    other = S_NT.astype(np.result_type(S_NT, np.asarray(value)))
    other[5, 3] = value
    return other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s": changed(2)}, "hst_parameters.s[3, 5] must be -1 or 1, got 2; a field of four values"),
        ({"s": changed(0)}, "hst_parameters.s[3, 5] must be -1 or 1, got 0"),
        ({"s": changed(1.0)}, "hst_parameters.s must hold integers, got float64"),
        ({"s": S_NT[:, :-1]}, "hst_parameters.s must have shape (8, 16) (slices, sites)"),
        ({"s": S_NT[:-1]}, "hst_parameters.s must have shape (8, 16) (slices, sites)"),
        ({"N": 15}, "hst_parameters.N must be the sites of a square, L x L, got 15"),
        ({"N": -4}, "hst_parameters.N must be the sites of a square, L x L, got -4"),
        ({"β": np.ones(2)}, "hst_parameters.β must be a number, got array"),
        ({"U": np.full(16, 1e9)}, "hst_parameters.α must be 2402.77"),
        ({"μ": np.ones(2)}, "tight_binding_parameters.μ must be a number"),
        ({"sites": np.arange(2, 18)}, "hst_parameters.sites must be 1, 2, ... 16"),
        ({"U": np.arange(16.0)}, "hst_parameters.U must be the same on all sites, got 0.0 and, on site 2, 1.0"),
        ({"U": np.full(16, np.nan)}, "hst_parameters.U must be a vector of finite floats"),
        ({"β": 2.5}, "hst_parameters.Δτ times Lτ must be β, got 0.25 times 8 and 2.5"),
        ({"α": GAUSS_HERMITE}, "fields of another transformation (Gauss-Hermite) are none of -1 and 1"),
        ({"α": np.full(16, math.acosh(math.exp(0.5)))}, "fields of version 1 are not read: there s has the other sign"),
        ({"ph_sym_form": False}, "ph_sym_form must be true"),
        ({"ϵ": np.full(16, 0.5)}, "tight_binding_parameters.ϵ must be 0 on all sites, got 0.5"),
        ({"t": np.array([1.0, -0.25])}, "tight_binding_parameters.t must be one real number on all bonds"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)  # fmt: skip
def test_other_models_and_fields_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(write_smoqydqmc(tmp_path / "a.jld2", FIELD_TIJ, BETA, U, **changes), message)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"interaction": 5.0}, "interaction is 4.0 there, but 5.0 in the point that was given"),
        ({"temperature": 0.4}, "temperature is 0.5 there, but 0.4 in the point that was given"),
        ({"trotter_step": 0.1}, "trotter_step is 0.25 there, but 0.1 in the point that was given"),
        ({"chemical_potential": 0.5}, "chemical_potential is 0.0 there, but 0.5 in the point that was given"),
        ({"channel": "charge"}, "channel is spin there, but charge in the point that was given"),
        ({"size": 6}, "size is 4 there, but 6 in the point that was given"),
    ],
)
def test_another_point_is_refused(point: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(write_smoqydqmc(tmp_path / "a.jld2", FIELD_TIJ, BETA, U), message, **point)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = write_smoqydqmc(tmp_path / "a.jld2", FIELD_TIJ, BETA, U)
    refused(
        path, "has no dataset fields; there are: hst_parameters, hubbard_parameters, n_measurements", "--dataset=fields"
    )
    refused(
        path,
        "n_measurements must be one struct with β, Δτ, Lτ, N, U, α, sites, s, got int64",
        "--dataset=n_measurements",
    )
    content = path.read_bytes()
    path.write_bytes(content[:2000])
    refused(path, "cannot be read, it may be truncated")
    path.write_bytes(b"nothing")
    refused(path, "is no JLD2 file")
    file = Julia(path)
    file.add("hst_parameters", β=2.0, V=np.ones(3))
    refused(file.close(), "hst_parameters must be one struct with β, Δτ, Lτ, N, U, α, sites, s, got a struct of β, V")


def test_two_points_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_smoqydqmc(tmp_path / "run" / "checkpoint_pID-0.jld2", FIELD_TIJ, BETA, U)
    write_smoqydqmc(tmp_path / "run" / "checkpoint_pID-1.jld2", FIELD_TIJ, BETA, 6.0)
    result = run(tmp_path / "run", tmp_path / "out")
    assert result.exit_code == 2
    assert "checkpoint_pID-1.jld2: interaction is 6.0 there, but 4.0 in " in result.stderr


def test_a_file_of_fields_alone_needs_the_rest_of_the_point(tmp_path: Path) -> None:
    """Saved with jldsave(path; fields = hst_parameters): U, temperature and channel are within, mu and t are given."""
    for rank in range(4):
        file = Julia(tmp_path / "run" / f"fields_{rank}.jld2")
        file.add("fields", **hirsch(FIELD_TIJ, BETA, U))
        file.close()
    result = run(tmp_path / "run", tmp_path / "out", "--dataset=fields", chemical_potential=-1.0)
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "out").rglob("*.parquet")
    assert shards.read(path).columns["chemical_potential"][0] == -1.0
