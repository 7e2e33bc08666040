"""Studies on a real SLURM of two nodes."""

from pathlib import Path

import pytest
from studies import serial, small, write_study

from workflow import manifest
from workflow.layout import RunDirectory

pytestmark = pytest.mark.cluster


def submit(slurm, study: str, folder: Path, *more: str) -> str:
    """Submit ``study``; the number of its job."""
    done = slurm.latentphase("submit", study, "--to", "slurm", "--run-dir", folder / "run", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[1].rstrip(";")


def digest(root: Path) -> str:
    return manifest.digest(manifest.rebuild(RunDirectory(root)))


def test_both_nodes_make_the_same_shards(slurm, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(cluster={"slurm": {"nodes": 2}}))
    job = submit(slurm, study, tmp_path)
    slurm.wait(lambda: slurm.state(job) in ("COMPLETED", "FAILED"), 400, tmp_path)
    text = (tmp_path / f"run-{job}.log").read_text()
    assert slurm.state(job) == "COMPLETED", text
    assert "Ray on 2 nodes, 2 CPUs, 0 GPUs" in text
    assert serial("simulate", study, tmp_path / "whole").exit_code == 0
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    assert (tmp_path / "run" / "report" / "index.html").exists()
