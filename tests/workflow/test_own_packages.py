"""Whatever a user calls files of the working folder or of ``PYTHONPATH``: our packages are ours, systems are found."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from examples import FREE_SPINS, SPREAD
from studies import CHECKOUT, small, write_study

from workflow import ROOT
from workflow.execution import ray_executor
from workflow.execution.shipping import copy_packages
from workflow.own_packages import PACKAGES, OwnPackages, put_first
from workflow.storage.run_directory import RunDirectory

NAMES = ("analysis", "models", "simulators", "workflow")
BROKEN = 'raise RuntimeError(f"{__name__} of the user was imported")\n'
INSTALLED = f"import sys; sys.path.append({str(CHECKOUT)!r}); "
"""A stand-in for site-packages: our folder at the very end of the search, behind the folder one works in."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working folder with a module of each name, and a study of a system that stands on ``PYTHONPATH``."""
    home = tmp_path / "home"
    home.mkdir()
    for name in NAMES:
        (home / f"{name}.py").write_text(BROKEN)
    block = {"system": "free-spins", "size": 4, "field": [-2.0, 2.0], "temperature": 1.0, "samples": 128}
    write_study(home / "study.toml", small(simulate=[block], train=[{"name": "fields", "beta": 0.5, "epochs": 2}]))
    return home


@pytest.fixture
def python_path(tmp_path: Path) -> str:
    """A folder with a package of each name, with a system and an analysis in them."""
    elsewhere = tmp_path / "elsewhere"
    for name in NAMES:
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text(BROKEN)
    (elsewhere / "simulators" / "systems").mkdir()
    (elsewhere / "simulators" / "systems" / "free_spins.py").write_text(FREE_SPINS)
    (elsewhere / "workflow" / "analyze" / "parts").mkdir(parents=True)
    (elsewhere / "workflow" / "analyze" / "parts" / "spread.py").write_text(SPREAD)
    return str(elsewhere)


def python(program: str, home: Path, python_path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in ``home``, which is the first place where modules are looked for."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=home,
        env=environment | {"PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("executor", ["serial", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_study_runs_beside_modules_of_our_names(executor: str, home: Path, python_path: str) -> None:
    program = INSTALLED + "from latentphase.__main__ import main; main()"
    done = python(program, home, python_path, "run", "study.toml", "--run-dir", "run", "--executor", executor)
    assert done.returncode == 0, done.stderr
    run = RunDirectory(home / "run")
    records = json.loads(run.summary.read_text())
    assert {record["system"] for record in records} == {"free-spins"}
    assert "spread_0" in {record["quantity"] for record in records}


@pytest.mark.parametrize("module", ["latentphase", "workflow"])
def test_the_command_as_a_module(module: str, home: Path, python_path: str) -> None:
    """``python -m workflow`` runs a file workflow.py where there is one: Python knows no other meaning."""
    if module == "workflow":
        (home / "workflow.py").unlink()
        shutil.rmtree(Path(python_path) / "workflow")
    done = subprocess.run(
        [sys.executable, "-m", module, "plan", "study.toml"],
        cwd=home,
        env=os.environ | {"PYTHONPATH": f"{python_path}{os.pathsep}{CHECKOUT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "free-spins" in done.stdout


def test_the_modules_of_the_user_would_be_found_otherwise(home: Path, python_path: str) -> None:
    """Negative control."""
    for name in NAMES:
        done = python(f"{INSTALLED}import {name}", home, python_path)
        assert f"{name} of the user was imported" in done.stderr


@pytest.mark.parametrize("order", ["home:elsewhere", "elsewhere:home"])
@pytest.mark.parametrize("is_beside", [False, True])
def test_a_folder_without_init_hides_nothing(order: str, is_beside: bool, tmp_path: Path) -> None:
    """A namespace portion alone on the path would hide a package that a finder behind the path knows; with a file
    ``simulators.py`` beside it, it is no portion."""
    systems = tmp_path / "elsewhere" / "simulators" / "systems"
    systems.mkdir(parents=True)
    (systems / "free_spins.py").write_text(FREE_SPINS)
    if is_beside:
        (tmp_path / "elsewhere" / "simulators.py").write_text(BROKEN)
    (tmp_path / "home").mkdir()
    program = INSTALLED + "import latentphase; from simulators import contract; print(*contract.names())"
    path = ":".join(str(tmp_path / name) for name in order.split(":"))
    done = python(program, tmp_path / "home", path)
    assert {"ising", "free-spins"} <= set(done.stdout.split()), done.stderr


def test_a_module_that_is_imported_already_is_named(home: Path) -> None:
    (home / "analysis.py").write_text("")
    done = python(f"{INSTALLED}import analysis, latentphase", home, "")
    assert "the module 'analysis' that is imported already" in done.stderr
    assert str(home / "analysis.py") in done.stderr


def test_the_order_of_other_modules_stays() -> None:
    before = list(sys.path)
    put_first(ROOT)
    put_first(ROOT)
    assert sys.path == before
    assert sum(isinstance(finder, OwnPackages) for finder in sys.meta_path) == 1
    finder = OwnPackages(str(ROOT))
    assert finder.find_spec("numpy") is None
    assert finder.find_spec("workflow.cli", [str(ROOT / "workflow")]) is None
    for name in PACKAGES:
        spec = finder.find_spec(name)
        assert spec is not None and spec.origin == str(ROOT / name / "__init__.py")


def test_what_workers_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our packages first on their path where a cluster is joined, else the folder that this process has them from."""
    monkeypatch.delenv(ray_executor.IN_JOB, raising=False)
    with ray_executor._runtime_environment(joined=True) as environment:
        folder = Path(environment["working_dir"])
        assert {path.name for path in folder.iterdir()} == set(PACKAGES)
        assert "worker_process_setup_hook" not in environment
    assert not folder.exists()
    with ray_executor._runtime_environment(joined=False) as environment:
        assert "working_dir" not in environment
    monkeypatch.setenv(ray_executor.IN_JOB, "{}")
    with ray_executor._runtime_environment(joined=True) as environment:
        assert "working_dir" not in environment, "that of the job stays"
        before = list(sys.path)
        environment["worker_process_setup_hook"]()
        assert sys.path == before


def test_systems_and_analyses_of_the_user_are_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systems = tmp_path / "elsewhere" / "simulators" / "systems"
    parts = tmp_path / "elsewhere" / "workflow" / "analyze" / "parts"
    for folder in (systems, parts):
        folder.mkdir(parents=True)
    (systems / "free_spins.py").write_text(FREE_SPINS)
    (systems / "ising.py").write_text(BROKEN)
    (parts / "spread.py").write_text(SPREAD)
    (parts / "information.py").write_text(BROKEN)
    (parts.parent / "elsewhere.py").write_text(BROKEN)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "elsewhere")])
    shipment = tmp_path / "shipment"
    copy_packages(shipment)
    assert {path.name for path in shipment.iterdir()} == set(PACKAGES)
    assert (shipment / "simulators" / "systems" / "free_spins.py").read_text() == FREE_SPINS
    assert (shipment / "simulators" / "systems" / "ising.py").read_text() != BROKEN, "the first of a name counts"
    assert (shipment / "workflow" / "analyze" / "parts" / "spread.py").read_text() == SPREAD
    assert (shipment / "workflow" / "analyze" / "parts" / "information.py").read_text() != BROKEN
    assert not (shipment / "workflow" / "analyze" / "elsewhere.py").exists(), "of these two folders alone"
    assert not list(shipment.rglob("__pycache__"))
