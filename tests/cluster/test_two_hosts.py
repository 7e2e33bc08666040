"""A Ray over two hosts and a network between them: work on both, and one of them cut off while it works."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import serial, slow, small, write_study
from two_hosts import PORT, Host, missing, two_hosts

from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.plan.tasks import model_plans, simulation_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

pytestmark = pytest.mark.cluster

SIMULATION = slow("two-hosts", 8_000)
"""Some core-seconds a task, after half a minute in which every host compiles."""
EPOCHS, STEPS = 500, 6
"""Steps per epoch: four shards of 96 training samples in batches of 64."""
TRAINING = small(train=[{"name": "phases", "epochs": EPOCHS, "batch": 64, "workers": 2}])
ROUNDING = EPOCHS * STEPS * float(np.finfo(np.float32).eps)
"""Gradients of two halves of a batch, added, differ from those of the whole batch by rounding, in every step."""

OFTEN = """
from workflow.train.worker import Job
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 1.0
from workflow.cli.main import main
main()
"""
"""``latentphase``, but trainings write a checkpoint every second."""
LOST_SECONDS = 60.0
"""A cut this long makes Ray take the node for lost, which five health checks in a row with 3 s between them do."""
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


@dataclass(frozen=True)
class Driver:
    """One on the first host."""

    process: subprocess.Popen[bytes]
    log: Path

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for ``condition``, as long as the driver works."""
        end = time.monotonic() + RUN_SECONDS
        while not condition():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-5000:]
            time.sleep(0.3)

    def finish(self) -> None:
        assert self.process.wait(RUN_SECONDS) == 0, self.log.read_text()[-5000:]


def drive(host: Host, command: str, study: str, root: Path) -> Driver:
    words = (command, study, "--run-dir", root, "--address", f"{host.address}:{PORT}")
    log = root.with_name(f"{command}.log")
    return Driver(host.start(sys.executable, "-c", OFTEN, *words, log=log), log)


def check_shards(root: Path, study: dict[str, Any], whole: Path) -> None:
    """Byte for byte those of a serial run, each recorded once."""
    assert serial("simulate", write_study(whole.with_suffix(".toml"), study), whole).exit_code == 0
    expected = manifest.digest(load_records(RunDirectory(whole)))
    assert manifest.digest(load_records(RunDirectory(root))) == expected
    assert manifest.digest(manifest.rebuild(RunDirectory(root))) == expected
    lines = RunDirectory(root).manifest.read_text().splitlines()
    assert [json.loads(line)["task_id"] for line in lines] == [task.task_id for task in simulation_tasks(parse(study))]


def check_training(root: Path, whole: Path) -> None:
    """By two workers, every epoch noted once, and the result of a single one that was left alone, to rounding."""
    assert serial("train", str(whole.with_suffix(".toml")), whole).exit_code == 0
    (item,) = model_plans(parse(TRAINING))
    mine, other = (RunDirectory(path).training(item.train_id) for path in (root, whole))
    assert json.loads(mine.result.read_text())["workers"] == 2
    lines, expected = ([json.loads(line) for line in one.metrics.read_text().splitlines()] for one in (mine, other))
    assert [line["epoch"] for line in lines] == [*range(1, EPOCHS + 1)]
    assert lines[-1]["reconstruction"] == pytest.approx(expected[-1]["reconstruction"], rel=ROUNDING)
    assert not mine.checkpoint.exists()


def test_simulations_and_a_training_run_on_both_hosts(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    root, study = tmp_path / "run", write_study(tmp_path / "study.toml", TRAINING)
    simulation = drive(hosts[0], "simulate", study, root)
    simulation.finish()
    nodes = {record.node for record in load_records(RunDirectory(root)).values()}
    assert nodes == {host.name for host in hosts}
    training = drive(hosts[0], "train", study, root)
    training.until(lambda: all(len(host.workers("RayTrainWorker")) == 1 for host in hosts))
    training.finish()
    check_shards(root, TRAINING, tmp_path / "whole")
    check_training(root, tmp_path / "whole")


def test_a_host_is_cut_off_from_a_simulation(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    """For good: the other host, of one CPU, does the rest alone."""
    first, second = hosts
    root, study = tmp_path / "run", write_study(tmp_path / "study.toml", SIMULATION)
    driver = drive(first, "simulate", study, root)
    run = RunDirectory(root)
    driver.until(lambda: bool(load_records(run)) and all(host.workers("run_job") for host in hosts))
    second.cut()
    # What had arrived is recorded by then.
    time.sleep(2)
    before = load_records(run)
    assert len(before) < len(simulation_tasks(parse(SIMULATION))), "there must be something left to do"
    driver.finish()
    assert {record.node for task, record in load_records(run).items() if task not in before} == {first.name}
    check_shards(root, SIMULATION, tmp_path / "whole")


def test_a_host_is_cut_off_from_a_training(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    """For a minute, after which its node joins again, as nodes do that our SLURM script started or a launcher replaces.

    Two workers need two CPUs, and each host has one.  Until then the training waits; then both hosts go on from the
    last checkpoint.
    """
    first, second = hosts
    root, study = tmp_path / "run", write_study(tmp_path / "study.toml", TRAINING)
    assert serial("simulate", study, root).exit_code == 0
    (item,) = model_plans(parse(TRAINING))
    folder = RunDirectory(root).training(item.train_id)
    driver = drive(first, "train", study, root)
    driver.until(lambda: folder.checkpoint.exists() and any(folder.checkpoint.iterdir()))
    before = [*first.workers("RayTrainWorker"), *second.workers("RayTrainWorker")]
    assert len(before) == 2
    second.cut()
    time.sleep(LOST_SECONDS)
    assert driver.process.poll() is None and not folder.result.exists(), "the training must be stopped by the cut"
    second.plug()
    driver.until(lambda: all(set(host.workers("RayTrainWorker")) - set(before) for host in hosts))
    driver.finish()
    check_shards(root, TRAINING, tmp_path / "whole")
    check_training(root, tmp_path / "whole")
