"""A training that is killed goes on from its checkpoint and ends with the weights of one that never was."""

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import load_file
from studies import serial, small, start, wait_for, write_study

from models.training.trainer import Epoch, Trainer
from tests.chaos import processes
from workflow.execution.executors import Executor, SerialExecutor
from workflow.execution.failures import StageFailed
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import ModelPlan, model_plans
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.loading import parse
from workflow.train import on_ray as train_ray
from workflow.train.stage import train
from workflow.train.worker import Job

EPOCHS = 6
STUDY = small(train=[{"name": "phases", "epochs": EPOCHS, "seed": [0, 1], "batch": 64}])
STEPS = 6
"""Per epoch: four shards of 96 training samples in batches of 64."""
TIMINGS = ("samples_per_second", "loader_share")

KILLED = f"""
import os, signal
from models.training import epoch
from models.training.trainer import Trainer
from workflow.train.worker import Job
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 0.0
step, steps = Trainer._step, iter(range(1, 1000))
def deadly(self, *batch):
    if next(steps) > {STEPS} * 4 + 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *batch)
Trainer._step = deadly
"""
"""Checkpoints whenever one may be taken; killed after the second step of the fifth epoch."""
EVERY_STEP, EVERY_EPOCH = "epoch.LOOK_SECONDS = 0", "epoch.LOOK_SECONDS = 1e9"
"""When one may be taken; in between, it would depend on the machine's speed."""


def runs_of(study: dict[str, Any] = STUDY) -> tuple[ModelPlan, ...]:
    return model_plans(parse(study))


def metrics(run: RunDirectory, item: ModelPlan) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(text) for text in run.training(item.train_id).metrics.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


def check_same(run: RunDirectory, whole: RunDirectory) -> None:
    for item in runs_of():
        mine, other = run.training(item.train_id), whole.training(item.train_id)
        assert mine.weights.read_bytes() == other.weights.read_bytes()
        assert metrics(run, item) == metrics(whole, item)
        assert [line["epoch"] for line in metrics(run, item)] == list(range(1, EPOCHS + 1))
        assert sorted(path.name for path in mine.root.iterdir()) == sorted(path.name for path in other.root.iterdir())
        assert not mine.checkpoint.exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Trained in one go."""
    folder = tmp_path_factory.mktemp("whole")
    study = write_study(folder / "study.toml", STUDY)
    for command in ("simulate", "train"):
        assert serial(command, study, folder / "run").exit_code == 0
    return RunDirectory(folder / "run")


@pytest.fixture
def run(whole: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Another run folder with the same shards and no training."""
    copy = begin_run(parse(STUDY), tmp_path / "run")
    shutil.copytree(whole.dataset, copy.dataset)
    return copy


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch."""
    monkeypatch.setitem(Job.__init__.__kwdefaults__, "checkpoint_seconds", 0.0)


def resume(run: RunDirectory, executor: Executor | None = None) -> None:
    train(parse(STUDY), run, Execution(executor or SerialExecutor(), "cpu", quiet=True))


def checkpoints(run: RunDirectory, item: ModelPlan) -> list[str]:
    return sorted(path.name for path in run.training(item.train_id).checkpoint.iterdir())


@pytest.mark.parametrize(
    ("when", "names", "left"),
    [
        (EVERY_EPOCH, ["epoch-00003", "epoch-00004"], 2 * STEPS),
        (EVERY_STEP, ["epoch-00004-step-0000001", "epoch-00004-step-0000002"], 2 * STEPS - 2),
    ],
    ids=["epochs", "steps"],
)
def test_killed_in_the_middle_of_an_epoch(
    when: str,
    names: list[str],
    left: int,
    whole: RunDirectory,
    run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on at the very step, and ends with the same bytes."""
    study = write_study(tmp_path / "study.toml", STUDY)
    process = start("train", study, "--run-dir", run.root, "--executor", "serial", program=f"{KILLED}\n{when}")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    for item in runs_of():
        assert checkpoints(run, item) == [f"{name}.safetensors" for name in names]
        assert not run.training(item.train_id).result.exists()
    step, count = Trainer._step, []
    monkeypatch.setattr(Trainer, "_step", lambda self, *batch: count.append(1) or step(self, *batch))
    resume(run)
    assert len(count) == left
    check_same(run, whole)


def test_another_seed_ends_with_other_weights(whole: RunDirectory) -> None:
    """Negative control."""
    first, second = (load_file(whole.training(item.train_id).weights) for item in runs_of())
    assert any((first[name] != second[name]).any() for name in first)


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings fail in the epoch after ``epoch``."""
    parts = Trainer.parts

    def failing(self: Trainer) -> Iterator[Epoch | None]:
        for done in parts(self):
            yield done
            if done is not None and done.epoch == epoch:
                raise RuntimeError("the power is gone")

    monkeypatch.setattr(Trainer, "parts", failing)


# Kicks come after epochs 3 and 5 of 6.
@pytest.mark.parametrize("epoch", [1, 3, 5])
@pytest.mark.usefixtures("every_epoch")
def test_an_exception_after_an_epoch(
    epoch: int, whole: RunDirectory, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_after(epoch, patched)
        with pytest.raises(StageFailed, match=r"train: 2 of 2 failed: .*the power is gone"):
            resume(run)
    for item in runs_of():
        assert "the power is gone" in (run.failures / f"{item.train_id}.txt").read_text()
    resume(run)
    check_same(run, whole)
    assert not list(run.failures.iterdir()), "what has been mended is no failure any more"


def test_stopped_before_any_checkpoint(whole: RunDirectory, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of metrics that no checkpoint covers are noted again, not twice."""
    with monkeypatch.context() as patched:
        stop_after(2, patched)
        with pytest.raises(StageFailed):
            resume(run)
    assert len(metrics(run, runs_of()[0])) == 2
    resume(run)
    check_same(run, whole)


@pytest.mark.usefixtures("every_epoch")
def test_a_stack_goes_on_from_the_newest_common_checkpoint(
    whole: RunDirectory, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last checkpoint was written for one member when the power went."""
    with monkeypatch.context() as patched:
        stop_after(5, patched)
        with pytest.raises(StageFailed):
            resume(run)
    first, second = runs_of()
    newest = checkpoints(run, second)[-1]
    assert checkpoints(run, first)[-1] == newest
    (run.training(second.train_id).checkpoint / newest).unlink()
    resume(run)
    check_same(run, whole)


@pytest.mark.usefixtures("every_epoch")
def test_a_finished_training_is_left_alone(whole: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.root.rglob("*")}

    def never(self: Trainer) -> Iterator[Epoch]:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "parts", never)
    resume(whole)
    assert {path: path.stat().st_mtime_ns for path in whole.root.rglob("*")} == before


def test_what_a_finished_training_left_on_its_way_is_removed(whole: RunDirectory, run: RunDirectory) -> None:
    """Its worker was killed after the result, the driver before Ray Train's state was removed."""
    shutil.copytree(whole.root / "training", run.root / "training")
    item, _ = runs_of()
    write_whole(run.training(item.train_id).checkpoint / "epoch-00005.safetensors", b"x")
    write_whole(run.ray_state / "0123" / "state.json", b"{}")
    resume(run)
    check_same(run, whole)
    assert not run.ray_state.exists()


def test_one_lost_member_is_trained_again_alone(whole: RunDirectory, run: RunDirectory) -> None:
    """The others keep their files; stacked or alone differs by rounding, so the result only has to be there."""
    shutil.copytree(whole.root / "training", run.root / "training")
    first, second = runs_of()
    run.training(second.train_id).result.unlink()
    kept = run.training(first.train_id).weights.stat().st_mtime_ns
    resume(run)
    assert run.training(first.train_id).weights.stat().st_mtime_ns == kept
    assert run.training(second.train_id).result.exists()


def dying_loop(mark: Path, at: int) -> Any:
    """``ray_train_loop`` whose process is killed once, in step ``at`` (a closure, so that workers get it whole)."""

    def loop(config: dict[str, Any]) -> None:
        from models.training.trainer import Trainer
        from workflow.train.on_ray import ray_train_loop

        step, steps = Trainer._step, iter(range(1, 10**6))

        def deadly(self: Any, *batch: Any) -> Any:
            if next(steps) > at and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, *batch)

        Trainer._step = deadly
        ray_train_loop(config)

    return loop


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default:.*deprecated:DeprecationWarning")  # Ray Train's use of Ray Data
@pytest.mark.usefixtures("every_epoch")
def test_a_killed_ray_worker_is_replaced(
    run: RunDirectory, whole: RunDirectory, ray_executor: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lane, so that the stack is that of the serial executor."""
    monkeypatch.setattr(ray_executor, "workers", 1)
    monkeypatch.setattr(train_ray, "ray_train_loop", dying_loop(tmp_path / "killed", STEPS * 4 + 2))
    resume(run, ray_executor)
    assert (tmp_path / "killed").exists()
    check_same(run, whole)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default:.*deprecated:DeprecationWarning")  # Ray Train's use of Ray Data
def test_a_killed_controller_is_replaced(run: RunDirectory, ray_executor: RayExecutor) -> None:
    """Ray Train does not do that by itself."""
    raw = small(train=[{"name": "phases", "epochs": 3000, "batch": 64}])
    (item,) = runs_of(raw)
    hits = []

    def kill_it() -> None:
        wait_for(run.training(item.train_id).metrics.exists)
        (pid,) = (pid for pid in processes.workers(os.getpid()) if "TrainController" in processes.title(pid))
        hits.append(processes.kill(pid, lambda: True))

    run.study.write_text(tomli_w.dumps(parse(raw).resolved))
    killer = threading.Thread(target=kill_it)
    killer.start()
    train(parse(raw), run, Execution(ray_executor, "cpu", quiet=True))
    killer.join()
    assert hits == [True]
    assert [line["epoch"] for line in metrics(run, item)] == list(range(1, 3001))
    assert not run.ray_state.exists() and not run.failures.exists()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default:.*deprecated:DeprecationWarning")  # Ray Train's use of Ray Data
def test_two_data_parallel_workers_agree_with_one(
    whole: RunDirectory, ray_executor: RayExecutor, tmp_path: Path
) -> None:
    """Gradients of two halves of a batch, added, differ from those of the whole batch by rounding.

    Each step may so add a rounding error of float32 to the result, none is much larger than the others.  That
    nothing else differs is shown in double precision by tests/models/training/test_data_parallel.py.
    """
    raw = small(train=[{**STUDY["train"][0], "workers": 2}])
    run = begin_run(parse(raw), tmp_path / "run")
    shutil.copytree(whole.dataset, run.dataset)
    train(parse(raw), run, Execution(ray_executor, "cpu", quiet=True))
    rounding = EPOCHS * STEPS * float(np.finfo(np.float32).eps)
    alone = [metrics(whole, item)[-1]["reconstruction"] for item in runs_of()]
    for item, expected in zip(runs_of(raw), alone, strict=True):
        assert json.loads(run.training(item.train_id).result.read_text())["workers"] == 2
        assert metrics(run, item)[-1]["reconstruction"] == pytest.approx(expected, rel=rounding)
    assert alone[0] != pytest.approx(alone[1], rel=rounding), "negative control"


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_that_is_lost_for_good(tmp_path: Path) -> None:
    """Two trainings on two nodes of one CPU, of which one goes: the other does both."""
    from tests.chaos.rays import TwoNodes

    raw = small(train=[{"name": "phases", "epochs": 2000, "seed": [0, 1], "batch": 64}])
    study, root = write_study(tmp_path / "study.toml", raw), tmp_path / "run"
    assert serial("simulate", study, root).exit_code == 0
    with tempfile.TemporaryDirectory(prefix="lost.") as folder:
        rays = TwoNodes(Path(folder))
        try:
            driver = start("train", study, "--run-dir", root, *rays.options(), **rays.environment())
            run = RunDirectory(root)
            wait_for(lambda: all(run.training(item.train_id).metrics.exists() for item in runs_of(raw)))
            node = rays.node(driver.pid)
            assert node is not None and processes.kill(node, lambda: True)
            _, errors = driver.communicate(timeout=300)
        finally:
            rays.close()
    assert driver.returncode == 0, errors
    for item in runs_of(raw):
        assert [line["epoch"] for line in metrics(run, item)] == list(range(1, 2001))
    assert not run.ray_state.exists() and not run.failures.exists()
