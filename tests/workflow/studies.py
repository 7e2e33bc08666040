"""Small studies, and how to run them, that several tests use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomli_w
from click.testing import CliRunner, Result

from workflow.cli.main import main
from workflow.storage.run_directory import RunDirectory

CHECKOUT = Path(__file__).parents[2]

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 3,
    "simulate": [
        {
            "system": "ising",
            "size": [4, 8],
            "coupling": [1.0, -1.0],
            "temperature": [1.2, 4.5],
            "samples": 256,
        }
    ],
    "train": [{"name": "phases", "beta": ["auto", "1.1 lam"], "seed": [0, 1], "epochs": 4}],
}
"""Three phases at two sizes; trains four models per size in a second or two."""

FIELDS: dict[str, Any] = {
    "system": "hubbard",
    "size": 4,
    "temperature": [0.5, 1.0],
    "interaction": 4.0,
    "trotter_step": 0.25,
    "samples": 128,
    "chains": 16,
    "algorithm": "metropolis",
    "thermalization": 4,
    "spacing": 1,
}
"""A block of auxiliary fields of eight slices and four."""


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """``TINY`` with one entry replaced, or removed if ``to`` is None."""
    study = deepcopy(TINY)
    place: Any = study
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return study


def small(**top: Any) -> dict[str, Any]:
    """Two phases and the disordered one at L = 4, one model: every stage within a second or two."""
    block = {"system": "ising", "size": 4, "coupling": [1.0, -1.0], "temperature": [1.2, 4.5], "samples": 128}
    train = {"name": "phases", "epochs": 4}
    study = {"name": "small", "simulate": [block], "train": [train], "analyze": {"resamples": 50, "generated": 16}}
    return study | top


def slow(name: str, spacing: int) -> dict[str, Any]:
    """Six tasks that take the longer the larger ``spacing`` is, some core-seconds each at 8,000; nothing is trained."""
    block = {
        "system": "ising",
        "size": 32,
        "coupling": 1.0,
        "temperature": [1.8, 2.0, 2.2, 2.4, 2.6, 2.8],
        "samples": 256,
        "chains": 16,
        "algorithm": "metropolis",
        "thermalization": 1000,
        "spacing": spacing,
    }
    return {"name": name, "simulate": [block], "train": [], "allow_uncertified": True}


def finished_small(folder: Path) -> RunDirectory:
    """Every stage of ``small`` in ``folder``, beside its study file."""
    assert serial("run", write_study(folder / "study.toml", small()), folder / "run").exit_code == 0
    return RunDirectory(folder / "run")


def write_study(path: Path, study: dict[str, Any]) -> str:
    """``study`` as a TOML file; its name as the command line takes it."""
    path.write_text(tomli_w.dumps(study))
    return str(path)


def serial(command: str, study: str, run_dir: Path | str, *more: str) -> Result:
    """One command on ``study`` in this process, without Ray."""
    return CliRunner().invoke(main, [command, study, "--run-dir", str(run_dir), "--executor", "serial", *more])


def start(command: str, *arguments: str | Path, program: str = "", **environment: str) -> subprocess.Popen[str]:
    """``latentphase command ...`` as a process of its own; ``program`` is Python to be run before it."""
    before = ["-c", f"{program}\nfrom workflow.cli.main import main\nmain()"] if program else ["-m", "workflow"]
    return subprocess.Popen(
        [sys.executable, *before, command, *map(str, arguments)],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """What ``condition`` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"nothing within {seconds} s")


def contents(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` by its relative path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
