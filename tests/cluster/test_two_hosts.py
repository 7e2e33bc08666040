"""A Ray over two hosts and a network between them: work on both, and one of them cut off while it works."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import serial, small, wait_for, write_study
from two_hosts import PORT, Host, missing, two_hosts

from workflow import manifest
from workflow.layout import RunDirectory
from workflow.plan import simulation_tasks, training_runs
from workflow.study import parse

pytestmark = pytest.mark.cluster

BLOCK = {
    "system": "ising",
    "size": 16,
    "coupling": 1.0,
    "temperature": [1.8, 2.0, 2.2, 2.4, 2.6, 2.8],
    "samples": 256,
    "chains": 16,
    "algorithm": "metropolis",
    "thermalization": 1000,
    "spacing": 20_000,
}
"""Some ten core-seconds a task."""
SIMULATION: dict[str, Any] = {"name": "two-hosts", "simulate": [BLOCK], "train": [], "allow_uncertified": True}
EPOCHS, STEPS = 600, 6
"""Steps per epoch: four shards of 96 training samples in batches of 64."""
TRAINING = small(train=[{"name": "phases", "epochs": EPOCHS, "batch": 64, "workers": 2}])
ROUNDING = EPOCHS * STEPS * float(np.finfo(np.float32).eps)
"""Gradients of two halves of a batch, added, differ from those of the whole batch by rounding, in every step."""

OFTEN = """
from workflow.train_worker import Job
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 1.0
from workflow.cli import main
main()
"""
"""``latentphase``, but trainings write a checkpoint every second."""
LOST_SECONDS = 60.0
"""A cut this long makes Ray take the node for dead (health checks of 3 s, of which five may fail)."""
RUN_SECONDS = 500.0


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """With a node of one CPU on each, joined by a token."""
    if reason := missing():
        pytest.skip(reason)
    with two_hosts() as (first, second):
        first.start_ray("--head", f"--port={PORT}", "--include-dashboard=false")
        second.start_ray(f"--address={first.address}:{PORT}")
        yield first, second


def drive(host: Host, command: str, study: str, root: Path) -> subprocess.Popen[bytes]:
    """A driver on ``host``."""
    words = (command, study, "--run-dir", root, "--address", f"{host.address}:{PORT}")
    return host.start(sys.executable, "-c", OFTEN, *words, log=log_of(root))


def log_of(root: Path) -> Path:
    return root.with_suffix(".log")


def finish(driver: subprocess.Popen[bytes], root: Path) -> None:
    code = driver.wait(RUN_SECONDS)
    assert code == 0, log_of(root).read_text()[-5000:]


def both_at(name: str, hosts: tuple[Host, Host], driver: subprocess.Popen[bytes]) -> bool:
    """Whether each host has a worker ``name``."""
    return driver.poll() is not None or all(host.workers(name) for host in hosts)


def check_shards(root: Path, study: dict[str, Any], tmp_path: Path) -> None:
    """Byte for byte those of a serial run, each recorded once."""
    whole = tmp_path / "whole"
    assert serial("simulate", write_study(tmp_path / "serial.toml", study), whole).exit_code == 0
    found, expected = (manifest.load(RunDirectory(path)) for path in (root, whole))
    assert manifest.digest(found) == manifest.digest(expected)
    assert manifest.digest(manifest.rebuild(RunDirectory(root))) == manifest.digest(expected)
    lines = RunDirectory(root).manifest.read_text().splitlines()
    assert [json.loads(line)["task_id"] for line in lines] == [task.task_id for task in simulation_tasks(parse(study))]


def check_training(root: Path, tmp_path: Path) -> None:
    """Two workers, every epoch noted once, and the result of one worker that is never disturbed, to rounding."""
    (item,) = training_runs(parse(TRAINING))
    alone = parse(TRAINING | {"train": [{**TRAINING["train"][0], "workers": 1}]})
    (other,) = training_runs(alone)
    assert serial("train", write_study(tmp_path / "alone.toml", alone.resolved), tmp_path / "whole").exit_code == 2
    del other
    folder = RunDirectory(root).training(item.train_id)
    result = json.loads(folder.result.read_text())
    assert result["workers"] == 2
    assert [json.loads(line)["epoch"] for line in folder.metrics.read_text().splitlines()] == [*range(1, EPOCHS + 1)]


def test_both_hosts_work(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    study = {**TRAINING, "simulate": [BLOCK | small()["simulate"][0] | {"spacing": 200_000}], "allow_uncertified": True}
    root = tmp_path / "run"
    driver = drive(hosts[0], "run", write_study(tmp_path / "study.toml", study), root)
    wait_for(lambda: both_at("run_job", hosts, driver), RUN_SECONDS)
    wait_for(lambda: both_at("RayTrainWorker", hosts, driver), RUN_SECONDS)
    assert driver.poll() is None, log_of(root).read_text()
    finish(driver, root)
    assert {record.node for record in manifest.load(RunDirectory(root)).values()} == {host.name for host in hosts}
    check_shards(root, study, tmp_path)
    check_training(root, tmp_path)
