"""SIGTERM, with which batch systems and clusters take a machine away: what is done is saved, exit 143 within 30 s."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from studies import serial, small, start, wait_for, write_study

from simulators.sampling.sampler import Sampler
from workflow.dataset import manifest
from workflow.execution.interruption import TERMINATED, Terminated, held, terminable
from workflow.plan.tasks import model_plans, simulation_jobs, simulation_tasks
from workflow.simulate import worker
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

SECONDS = 30
SIMULATION = small(train=[])
TRAINING = small(train=[{"name": "phases", "epochs": 6, "batch": 64}])
STEPS = 6
"""Of an epoch of ``TRAINING``."""

TERMINATED_IN_EPOCH_5 = f"""
import os, signal
from models.training import epoch
from models.training.trainer import Trainer
from workflow.train.worker import Job
epoch.LOOK_SECONDS = 0
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 1e9
step, steps = Trainer._step, iter(range(1, 1000))
def terminated(self, *batch):
    if next(steps) == {STEPS} * 4 + 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(self, *batch)
Trainer._step = terminated
"""

SLOW_STEPS = """
import workflow.simulate.stage as stage
whole = stage.run_job
def slow(job, root):
    import pathlib, time
    from simulators.sampling.sampler import Sampler
    pathlib.Path(root).with_name(job.job_id).touch()
    step = Sampler.step
    def late(self):
        time.sleep(1)
        step(self)
    Sampler.step = late
    try:
        return whole(job, root)
    finally:
        Sampler.step = step
stage.run_job = slow
"""
"""In Ray's workers, which get the function itself: every simulation takes at least a dozen seconds."""


def leave(process: subprocess.Popen[str]) -> str:
    """Send SIGTERM; what the program then prints."""
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == TERMINATED, errors
    assert time.monotonic() - sent < SECONDS
    assert "terminated; finished work is kept, go on with\n  latentphase " in errors
    assert "Traceback" not in errors
    return errors


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_signals_wait_for_the_end_of_a_piece_of_work(number: int, error: type[BaseException]) -> None:
    done = []
    with terminable(), pytest.raises(error) as caught, held() as signals:
        signal.raise_signal(number)
        assert signals == [number]
        done.append(True)
    assert done and caught.type is error


def test_a_signal_is_not_lost_when_the_work_fails() -> None:
    with terminable(), pytest.raises(Terminated), held():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("the work")


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with terminable(), held():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_simulation_saves_at_once_and_repeats_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job, *_) = simulation_jobs(simulation_tasks(parse(SIMULATION)))
    step, count = Sampler.step, {"steps": 0, "signal": 0}

    def counted(self: Sampler) -> None:
        count["steps"] += 1
        if count["steps"] == count["signal"]:
            signal.raise_signal(signal.SIGTERM)
        step(self)

    monkeypatch.setattr(Sampler, "step", counted)
    whole = worker.run_job(job, str(tmp_path / "whole"))
    total = count["steps"]
    assert total > 8
    count |= {"steps": 0, "signal": 5}
    with terminable(), pytest.raises(Terminated):
        worker.run_job(job, str(tmp_path / "left"))
    assert count["steps"] == 5
    assert RunDirectory(tmp_path / "left").unfinished(job.job_id).exists()
    again = worker.run_job(job, str(tmp_path / "left"))
    assert [record.sha256 for record in again] == [record.sha256 for record in whole]
    assert count["steps"] == total


def test_a_training_keeps_its_last_step(tmp_path: Path) -> None:
    """No other checkpoint is due, so this one is there because of the signal."""
    study = write_study(tmp_path / "study.toml", TRAINING)
    whole, left = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "left")
    for root in (whole.root, left.root):
        assert serial("simulate", study, root).exit_code == 0
    assert serial("train", study, whole.root).exit_code == 0
    process = start("train", study, "--run-dir", left.root, "--executor", "serial", program=TERMINATED_IN_EPOCH_5)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == TERMINATED, errors
    assert f"latentphase train {study} --run-dir {left.root} --executor serial" in errors
    (item,) = model_plans(parse(TRAINING))
    assert [path.name for path in left.training(item.train_id).checkpoint.iterdir()] == [
        "epoch-00004-step-0000002.safetensors"
    ]
    assert serial("train", study, left.root).exit_code == 0
    one, other = (load_file(run.training(item.train_id).weights) for run in (whole, left))
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.ray
@pytest.mark.slow
def test_simulations_of_ray_are_saved(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", SIMULATION)
    run = RunDirectory(tmp_path / "run")
    process = start("simulate", study, "--run-dir", run.root, "--workers", "2", program=SLOW_STEPS)
    ids = {job.job_id for job in simulation_jobs(simulation_tasks(parse(SIMULATION)))}
    wait_for(lambda: sum((tmp_path / name).exists() for name in ids) == 2 or process.poll() is not None)
    time.sleep(4)
    leave(process)
    unfinished = list((run.root / "unfinished").glob("*.npz"))
    assert {path.stem for path in unfinished} == {name for name in ids if (tmp_path / name).exists()}
    assert serial("simulate", study, run.root).exit_code == 0
    assert serial("simulate", study, tmp_path / "whole").exit_code == 0
    digests = [manifest.digest(manifest.rebuild(one)) for one in (run, RunDirectory(tmp_path / "whole"))]
    assert digests[0] == digests[1]


@pytest.mark.ray
@pytest.mark.slow
def test_a_training_of_ray_keeps_its_last_epoch(tmp_path: Path) -> None:
    raw: dict[str, Any] = small(train=[{"name": "phases", "epochs": 10**5, "batch": 64}])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    (item,) = model_plans(parse(raw))
    metrics, checkpoint = run.training(item.train_id).metrics, run.training(item.train_id).checkpoint
    process = start("train", study, "--run-dir", run.root, "--workers", "1")
    wait_for(lambda: (metrics.exists() and metrics.stat().st_size) or process.poll() is not None)
    leave(process)
    epoch = max(int(path.stem.split("-")[1]) for path in checkpoint.iterdir())
    assert metrics.read_bytes().count(b"\n") == epoch, "nothing was done after the checkpoint"
