"""Same bytes: whoever runs the tasks, whatever is killed on the way, the shards are the same, byte for byte."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studies import serial, small, start, wait_for, write_study

from workflow.dataset import manifest
from workflow.dataset.records import ShardRecord, load_records, record_line
from workflow.execution.executors import BUNDLE_SECONDS, Outcome, SerialExecutor
from workflow.execution.interruption import INTERRUPTED, TERMINATED
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import SimulationJob, simulation_tasks
from workflow.simulate.stage import simulate
from workflow.simulate.worker import run_job
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

STUDY = small(train=[])
TASKS = simulation_tasks(parse(STUDY))
LEFT = {signal.SIGINT: (INTERRUPTED, "interrupted"), signal.SIGTERM: (TERMINATED, "terminated")}
"""Exit codes and words of a driver that was asked to leave."""

SLOW_TASKS = """
import time, workflow.simulate.stage as stage
whole = stage.run_job
def slow(job, root):
    records = whole(job, root)
    time.sleep(1)
    return records
stage.run_job = slow
"""
"""Gives a signal the time to arrive between two tasks; the numbers are not touched."""


def digest_of(run: RunDirectory) -> str:
    """Over every shard file of the run, whatever its manifest says."""
    return manifest.digest(manifest.rebuild(run))


def without_circumstances(records: dict[str, ShardRecord]) -> dict[str, ShardRecord]:
    """Records without how long a shard took and where, which the files do not hold."""
    return {task_id: record._replace(seconds=None, node=None) for task_id, record in records.items()}


def check_manifest(run: RunDirectory) -> None:
    assert without_circumstances(load_records(run)) == manifest.rebuild(run)
    assert list(load_records(run)) == [task.task_id for task in TASKS]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The study by the serial executor in one go."""
    run = begin_run(parse(STUDY), tmp_path_factory.mktemp("serial") / "run")
    simulate(parse(STUDY), run, Execution(SerialExecutor(), quiet=True))
    return run


def test_the_manifest_is_what_the_files_say(uninterrupted: RunDirectory) -> None:
    check_manifest(uninterrupted)
    assert all(record.seconds and record.node for record in load_records(uninterrupted).values())


def test_any_changed_byte_changes_the_digest(uninterrupted: RunDirectory) -> None:
    """Negative control."""
    records = load_records(uninterrupted)
    assert manifest.digest(records) == digest_of(uninterrupted)
    first = next(iter(records.values()))
    assert manifest.digest({**records, first.task_id: first._replace(sha256="0" * 64)}) != digest_of(uninterrupted)
    del records[first.task_id]
    assert manifest.digest(records) != digest_of(uninterrupted)


def test_the_study_seed_changes_the_digest(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    study = parse(small(train=[], seed=1))
    run = begin_run(study, tmp_path / "run")
    simulate(study, run, Execution(SerialExecutor(), quiet=True))
    assert digest_of(run) != digest_of(uninterrupted)


@pytest.mark.ray
def test_two_ray_workers(uninterrupted: RunDirectory, ray_executor: RayExecutor, tmp_path: Path) -> None:
    run = begin_run(parse(STUDY), tmp_path / "run")
    simulate(parse(STUDY), run, Execution(ray_executor, quiet=True))
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


@pytest.mark.ray
def test_one_ray_worker(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    """As users run it, with a Ray of its own."""
    study = write_study(tmp_path / "study.toml", STUDY)
    process = start("simulate", study, "--run-dir", tmp_path / "run", "--workers", "1", "--quiet")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    run = RunDirectory(tmp_path / "run")
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


@pytest.mark.ray
def test_three_killed_workers(
    uninterrupted: RunDirectory, ray_executor: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three tasks kill their worker the first time: one before its shard is written, two after."""
    marked = tmp_path / "killed"
    marked.mkdir()
    victims = TASKS[:3]

    def dying(job: SimulationJob, root: str) -> list[ShardRecord]:
        (task,) = job.tasks
        mark = marked / task.task_id
        doomed = task in victims and not mark.exists()
        if doomed:
            mark.touch()
        if doomed and task == victims[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        records = run_job(job, root)
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return records

    monkeypatch.setattr("workflow.simulate.stage.run_job", dying)
    run = begin_run(parse(STUDY), tmp_path / "run")
    simulate(parse(STUDY), run, Execution(ray_executor, quiet=True))
    assert {path.name for path in marked.iterdir()} == {task.task_id for task in victims}
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


def stopped(tmp_path: Path, number: int) -> subprocess.Popen[str]:
    """A run of the study that was sent a signal after its first shard and has ended."""
    study = write_study(tmp_path / "study.toml", STUDY)
    process = start("simulate", study, "--run-dir", tmp_path / "run", "--executor", "serial", program=SLOW_TASKS)
    run = RunDirectory(tmp_path / "run")
    wait_for(lambda: load_records(run) or process.poll() is not None)
    process.send_signal(number)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_a_stopped_driver_goes_on_where_it_was(uninterrupted: RunDirectory, tmp_path: Path, number: int) -> None:
    process = stopped(tmp_path, number)
    _, errors = process.communicate(timeout=60)
    run = RunDirectory(tmp_path / "run")
    if number in LEFT:
        code, word = LEFT[signal.Signals(number)]
        assert process.returncode == code
        assert f"{word}; finished work is kept, go on with" in errors
        assert f"latentphase simulate {tmp_path}/study.toml --run-dir {tmp_path}/run --executor serial" in errors
        assert "Traceback" not in errors
    else:
        assert process.returncode == -number
    before = {path: path.stat().st_mtime_ns for path in run.dataset.rglob("*.parquet")}
    assert 0 < len(before) < len(TASKS)
    assert set(load_records(run)) <= {path.stem for path in before}
    assert serial("simulate", str(tmp_path / "study.toml"), run.root).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "finished work is not done again"
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


@pytest.mark.ray
@pytest.mark.slow
def test_an_interrupted_ray_driver_goes_on_where_it_was(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", STUDY)
    arguments = (study, "--run-dir", tmp_path / "run", "--workers", "1")
    process = start("simulate", *arguments)
    run = RunDirectory(tmp_path / "run")
    wait_for(lambda: list(run.dataset.rglob("*.parquet")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    # The last tasks may have been on their way already.
    assert process.returncode in (0, INTERRUPTED), errors
    assert list(run.dataset.rglob("*.parquet"))
    again = start("simulate", *arguments)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


def test_half_written_files_are_no_shards(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    """What a SIGKILL in the middle of a write leaves behind."""
    study = write_study(tmp_path / "study.toml", STUDY)
    run = begin_run(parse(STUDY), tmp_path / "run")
    folder = run.shard_folder("ising", 4)
    folder.mkdir(parents=True)
    (folder / f".{TASKS[0].task_id}.parquet.x7.tmp").write_bytes(b"PAR1 half of a shard")
    assert manifest.rebuild(run) == {}
    assert serial("simulate", study, run.root).exit_code == 0
    assert digest_of(run) == digest_of(uninterrupted)
    check_manifest(run)


def test_a_manifest_line_cut_short_costs_nothing(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    """The driver died while it appended: the shard is found again from its file."""
    study = write_study(tmp_path / "study.toml", STUDY)
    assert serial("simulate", study, tmp_path / "run").exit_code == 0
    run = RunDirectory(tmp_path / "run")
    text = run.manifest.read_text()
    run.manifest.write_text(text[:-40])
    assert len(load_records(run)) == len(TASKS) - 1
    before = {path: path.stat().st_mtime_ns for path in run.dataset.rglob("*.parquet")}
    assert serial("simulate", study, run.root).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    check_manifest(run)


def test_a_line_after_one_cut_short_is_not_lost(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    first, second, *_ = load_records(uninterrupted).values()
    run.manifest.write_text(record_line(first)[:-40])
    with manifest.appending(run) as lines:
        lines.add(record_line(second))
    assert set(load_records(run)) == {second.task_id}


def test_temperatures_added_later_leave_the_other_shards_alone(uninterrupted: RunDirectory, tmp_path: Path) -> None:
    more = small(train=[])
    more["simulate"][0]["temperature"] = [1.2, 2.0, 4.5]
    run = begin_run(parse(more), tmp_path / "run")
    records = simulate(parse(more), run, Execution(SerialExecutor(), quiet=True))
    old = load_records(uninterrupted)
    assert len(records) == 6
    assert {task_id: records[task_id].sha256 for task_id in old} == {t: r.sha256 for t, r in old.items()}


def test_simulations_say_how_long_they_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longest first; quick ones share calls of Ray."""
    given: list[float] = []
    whole = SerialExecutor.run_all

    def noted(self: SerialExecutor, function: Any, items: Any, *shared: object, **options: Any) -> Iterator[Outcome]:
        given.extend(options["seconds"](item) for item in items)
        return whole(self, function, items, *shared, **options)

    monkeypatch.setattr(SerialExecutor, "run_all", noted)
    assert serial("simulate", write_study(tmp_path / "study.toml", small()), tmp_path / "run").exit_code == 0
    assert given == sorted(given, reverse=True)
    assert 0 < given[0] < BUNDLE_SECONDS / 2
