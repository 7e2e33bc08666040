"""The command line itself: fast help, versions, usage errors, and what an unexpected error looks like."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from studies import CHECKOUT, serial, small, write_study

from workflow import __version__
from workflow.cli.main import main
from workflow.execution.failures import StageFailed

HEAVY = (
    *("ray", "torch", "numpy", "numba", "scipy", "matplotlib", "pyarrow", "pydantic", "pandas"),
    *("simulators", "models", "analysis"),
)
HELP_SECONDS = 0.5
"""Of processor time: what a user waits on an idle machine, and what other programs do not disturb."""

HELP = f"""
import sys, time
from click.testing import CliRunner
from workflow.cli.main import main
for command in sys.argv[1:] or [""]:
    assert CliRunner().invoke(main, [*command.split(), "--help"]).exit_code == 0
print(*[name for name in {HEAVY} if name in sys.modules], time.process_time())
"""


def python(program: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=CHECKOUT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    *heavy, seconds = python(HELP)
    assert heavy == []
    assert float(seconds) < HELP_SECONDS


def test_so_is_the_help_of_every_command() -> None:
    *heavy, _ = python(HELP, *main.commands)
    assert heavy == []


def test_heavy_imports_would_be_noticed() -> None:
    """Negative control."""
    *heavy, _ = python("import numpy" + HELP)
    assert heavy == ["numpy"]


def test_a_driver_imports_neither_ray_nor_what_workers_compute_with() -> None:
    """Before it uses them: torch takes a second and 200 MB, and with Ray only the workers need it."""
    load = "import sys; from workflow.cli.stages import STAGES; stages = [load() for load in STAGES.values()];"
    heavy = {"ray", "torch", "numba"}
    assert python(f"{load} print(*[name for name in {heavy} if name in sys.modules])") == []
    assert python(f"import torch; {load} print(*[name for name in {heavy} if name in sys.modules])") == ["torch"]


def test_the_commands_are_listed() -> None:
    text = CliRunner().invoke(main, ["-h"]).output
    stages = ("run", "plan", "simulate", "train", "encode", "analyze", "report")
    for command in (*stages, "status", "verify", "presets", "import", "export"):
        assert f"\n  {command} " in text


def test_the_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert __version__ in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["spin"],
        ["run", "quickstart", "--executor", "slurm"],
        ["run", "quickstart", "--workers", "0"],
        ["run", "quickstart", "--seed", "-1"],
        ["run", "quickstart", "--device", "tpu"],
        ["run", "no-such-study"],
        ["plan", "no-such-study"],
        ["bench", "--only", "no-such-group"],
        ["import", "alf", "no-such-file", "--output", "out"],
        ["import", "quest", "no-such-file", "--output", "out"],
        ["export", "no-such-run", "--format", "npz", "--output", "out"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_two(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert not list(tmp_path.iterdir())


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    result = serial("simulate", write_study(tmp_path / "study.toml", small()), tmp_path / "run", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_a_stage_says_where_its_work_is(tmp_path: Path) -> None:
    result = serial("simulate", write_study(tmp_path / "study.toml", small()), tmp_path / "run")
    assert f"simulate done in {tmp_path}/run" in result.stdout


def test_the_default_folder_has_the_name_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = write_study(tmp_path / "study.toml", small())
    result = CliRunner().invoke(main, ["simulate", study, "--executor", "serial"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "small" / "manifest.jsonl").exists()


def test_the_command_that_resumes_is_the_one_that_was_given(tmp_path: Path) -> None:
    """With its options."""
    study = write_study(tmp_path / "study.toml", small())
    result = serial("train", study, tmp_path / "run", "--seed", "4", "--workers", "2", "--device", "cpu")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1].split()
    assert last[:3] == ["latentphase", "train", study]
    options = dict(zip(last[3::2], last[4::2], strict=True))
    run_dir = str(tmp_path / "run")
    assert options == {"--run-dir": run_dir, "--executor": "serial", "--seed": "4", "--workers": "2", "--device": "cpu"}


def test_beginning_again_needs_a_stage_that_begins(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    result = serial("report", study, tmp_path / "run", "--fresh")
    assert result.exit_code == 2 and "give it to run or simulate" in result.stderr


def test_verbose_shows_the_whole_error(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(train=[{"name": "a", "epochs": 2, "learning_rate": 1e30}]))
    assert serial("simulate", study, tmp_path / "run").exit_code == 0
    result = serial("train", study, tmp_path / "run", "--verbose")
    assert result.exit_code == 1
    assert isinstance(result.exception, StageFailed)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workflow", "--version"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == __version__
