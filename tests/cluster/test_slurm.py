"""Studies on a real SLURM of two nodes: same bytes, time limits, lost nodes, and what is said of wrong settings."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from conftest import Slurm, idle
from studies import serial, slow, small, write_study

from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.storage.run_directory import RunDirectory

pytestmark = pytest.mark.cluster

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
LONG = slow("long", 30_000)
"""Some eighty core-seconds, in six tasks."""
TOO_LONG = slow("too-long", 180_000)
"""Some two hundred and fifty: more than two nodes do within the shortest limit."""


def submit(slurm: Slurm, study: str, folder: Path, *more: str) -> str:
    """Submit ``study``; the number of its job."""
    done = slurm.latentphase("submit", study, "--to", "slurm", "--run-dir", folder / "run", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[1].rstrip(";")


def ended(slurm: Slurm, job: str, folder: Path, seconds: float) -> str:
    """Wait for the end of ``job``; its log."""
    slurm.wait(lambda: slurm.state(job) in ENDED, seconds, folder)
    return (folder / f"run-{job}.log").read_text()


def digest(root: Path) -> str:
    return manifest.digest(manifest.rebuild(RunDirectory(root)))


def shards(root: Path) -> list[Path]:
    return list(RunDirectory(root).dataset.rglob("*.parquet"))


@pytest.fixture(autouse=True)
def all_idle(slurm: Slurm, tmp_path: Path) -> None:
    """A job of the test before may still be ending, or wait if that test has failed."""
    slurm("scancel", "--user=root")
    slurm.wait(lambda: idle(slurm) == 2, 120, tmp_path)


def serial_digest(study: str, folder: Path) -> str:
    """Of the shards of ``study``, simulated without Ray."""
    assert serial("simulate", study, folder / "whole").exit_code == 0
    return digest(folder / "whole")


def site_file(path: Path, **slurm: Any) -> str:
    path.write_text(tomli_w.dumps({"cluster": {"slurm": slurm}}))
    return str(path)


@pytest.mark.parametrize(
    "setting",
    [
        {"nodes": 2, "time": "1-00:00:00", "partition": "debug"},
        {"gpus": 1, "memory": "1M", "signal": 300, "extra": ["--exclusive", "--comment='two words'"]},
    ],
)
def test_sbatch_accepts_the_script(slurm: Slurm, setting: dict[str, Any], tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    site = site_file(tmp_path / "site.toml", setup=["ulimit -n 4096"], **setting)
    done = slurm.latentphase(
        "submit", study, "--to", "slurm", "--site", site, "--dry-run", "--run-dir", tmp_path / "a run"
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / "script.sh"
    script.write_text(done.stdout)
    slurm("bash", "-n", str(script))
    slurm("sbatch", "--test-only", str(script))
    assert not (tmp_path / "a run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"partition": "gpu"}, ["cluster.slurm.partition = 'gpu'", "sinfo knows: debug, short"]),
        ({"partition": "short", "time": "02:00:00"}, ["cluster.slurm.time = '02:00:00'", "short 1:00"]),
        ({"partition": "short", "gpus": 1, "time": "1"}, ["cluster.slurm."]),
        ({"nodes": 3}, ["cluster.slurm.nodes = 3", "debug 1 nodes of 1 CPUs"]),
        ({"cpus": 64}, ["cluster.slurm.nodes = 1, cpus = 64", "debug 1 nodes of 1 CPUs"]),
        ({"constraint": "a100"}, ["cluster.slurm.constraint = 'a100'"]),
    ],
    ids=str,
)
def test_settings_that_the_site_does_not_have(
    slurm: Slurm, setting: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    study = write_study(tmp_path / "study.toml", small(cluster={"slurm": setting}))
    done = slurm.latentphase("submit", study, "--to", "slurm", "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stdout
    assert all(text in done.stderr for text in said), done.stderr
    assert ("SLURM said: " in done.stderr) == ("time" not in said[0]), "SLURM takes a job of any length"
    assert slurm("squeue", "--noheader") == "", "nothing is left waiting"


def test_a_head_whose_name_does_not_resolve(slurm: Slurm, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(cluster={"slurm": {"suffix": "-no-such-network"}}))
    job = submit(slurm, study, tmp_path)
    text = ended(slurm, job, tmp_path, 120)
    assert slurm.job(job)["ExitCode"] == "2:0"
    assert "the name n1-no-such-network of a node does not resolve" in text
    assert "correct cluster.slurm.suffix = -no-such-network" in text


def test_gpus_that_are_none(slurm: Slurm, tmp_path: Path) -> None:
    """SLURM counts a GPU on n2, behind which there is no device."""
    study = write_study(tmp_path / "study.toml", small(cluster={"slurm": {"gpus": 1}}))
    job = submit(slurm, study, tmp_path)
    text = ended(slurm, job, tmp_path, 240)
    assert slurm.job(job)["ExitCode"] == "2:0"
    assert "cluster.slurm.gpus = 1, but Ray finds 0 GPUs on 1 nodes of this allocation" in text


def test_both_nodes_make_the_same_shards(slurm: Slurm, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(cluster={"slurm": {"nodes": 2}}))
    job = submit(slurm, study, tmp_path)
    text = ended(slurm, job, tmp_path, 400)
    assert slurm.state(job) == "COMPLETED", text
    assert "Ray on 2 nodes, 2 CPUs, 0 GPUs" in text
    assert "WARNING" not in text
    assert digest(tmp_path / "run") == serial_digest(study, tmp_path)
    assert (tmp_path / "run" / "report" / "index.html").exists()
    assert not slurm.private()


def test_quickstart_on_both_nodes(slurm: Slurm, tmp_path: Path) -> None:
    """The whole preset, with the shards of one process."""
    site = site_file(tmp_path / "site.toml", nodes=2)
    job = submit(slurm, "quickstart", tmp_path, "--site", site)
    assert serial("simulate", "quickstart", tmp_path / "whole").exit_code == 0
    text = ended(slurm, job, tmp_path, 1800)
    assert slurm.state(job) == "COMPLETED", text
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    assert {record.node for record in load_records(RunDirectory(tmp_path / "run")).values()} == {"n1", "n2"}, text


def test_a_time_limit_that_is_too_short(slurm: Slurm, tmp_path: Path) -> None:
    limits = {"nodes": 2, "time": "00:02:00", "signal": 45}
    study = write_study(tmp_path / "study.toml", TOO_LONG | {"cluster": {"slurm": limits}})
    job = submit(slurm, study, tmp_path)
    slurm.wait(lambda: int(slurm.job(job)["Restarts"]) > 0, 300, tmp_path)
    run = RunDirectory(tmp_path / "run")
    unfinished = list((run.root / "unfinished").glob("*.npz"))
    assert unfinished or shards(run.root)
    assert len(shards(run.root)) < 6
    text = ended(slurm, job, tmp_path, 1200)
    assert slurm.state(job) == "COMPLETED", text
    assert "terminated; finished work is kept" in text
    assert "the job goes back into the queue and goes on from what is finished" in text
    assert digest(run.root) == serial_digest(study, tmp_path)
    done = [json.loads(line)["done"] for line in run.stages.read_text().splitlines() if '"simulate"' in line]
    assert sum(done) == 6, "nothing was done twice"
    assert not slurm.private()


def test_a_node_that_goes_down(slurm: Slurm, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", LONG | {"cluster": {"slurm": {"nodes": 2}}})
    job = submit(slurm, study, tmp_path)
    slurm.wait(lambda: shards(tmp_path / "run"), 300, tmp_path)
    time.sleep(3)
    slurm("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    try:
        text = ended(slurm, job, tmp_path, 900)
        assert "down" in slurm("sinfo", "--noheader", "--Node", "--nodes=n2", "--format=%T")
    finally:
        slurm("scontrol", "update", "nodename=n2", "state=resume")
    assert slurm.state(job) == "COMPLETED", text
    assert slurm.job(job)["Restarts"] == "0", "the job itself went on"
    assert digest(tmp_path / "run") == serial_digest(study, tmp_path)
