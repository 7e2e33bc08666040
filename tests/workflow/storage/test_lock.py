"""Two drivers on one run folder: the second is refused, unless the first is dead."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from studies import serial, small, start, wait_for, write_study

from workflow.cli.main import main
from workflow.storage import lock
from workflow.storage.errors import FolderError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.lock"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "REFRESH", 0.1)
    monkeypatch.setattr(lock, "STALE", 1.0)


def written(file: Path, owner: lock.Owner, age: float = 0.0) -> None:
    new = file.with_name("new.lock")
    new.write_text(json.dumps(asdict(owner)))
    then = time.time() - age
    os.utime(new, (then, then))
    new.replace(file)


@pytest.fixture
def here(tmp_path: Path) -> lock.Owner:
    """This process as an owner."""
    return lock.acquire(tmp_path / "other.lock")


def test_a_lock_is_held_and_let_go(file: Path) -> None:
    with lock.held(file):
        owner = lock.read(file)
        assert owner is not None and owner.pid == os.getpid() and owner.is_here and owner.is_alive
        with (
            pytest.raises(FolderError, match=rf"in use by process {os.getpid()} on .*, refreshed .* ago"),
            lock.held(file),
        ):
            pass
    assert not file.exists()


@pytest.mark.usefixtures("quick")
def test_it_is_refreshed_while_the_work_goes_on(file: Path) -> None:
    with lock.held(file):
        first = lock.read(file)
        later = wait_for(lambda: (found := lock.read(file)) is not None and found.beat > 2 and found, 10)
    assert first is not None and later.nonce == first.nonce and later.held > first.held


def test_the_lock_of_a_dead_process_is_taken_over(
    file: Path, here: lock.Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    written(file, replace(here, pid=process.pid, nonce="dead"))
    with lock.held(file):
        assert lock.read(file) != here
    assert f"is taken over: process {process.pid} has ended" in capsys.readouterr().err


def test_a_number_that_is_used_again_is_another_process(file: Path, here: lock.Owner) -> None:
    written(file, replace(here, process_start="0", nonce="before the restart"))
    with lock.held(file):
        pass


@pytest.mark.usefixtures("quick")
def test_an_owner_on_another_host_is_judged_by_its_refreshes(
    file: Path, here: lock.Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its clock says does not matter."""
    elsewhere = replace(here, host="node7", machine="another", nonce="other", since="2031-01-01T00:00:00+00:00")
    written(file, elsewhere)
    start = time.monotonic()
    with lock.held(file):
        assert time.monotonic() - start > lock.STALE - 0.1
    assert "on node7" in (text := capsys.readouterr().err) and "has not refreshed it for" in text


@pytest.mark.parametrize("age", [0.0, 600.0, -600.0])
def test_an_owner_that_refreshes_is_left_alone(
    age: float, file: Path, here: lock.Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a clock was set, and the lock looks old or new."""
    monkeypatch.setattr(lock, "REFRESH", 1.0)
    elsewhere = replace(here, host="node7", machine="another", nonce="other")
    written(file, elsewhere, age)
    end = threading.Event()

    def refresh() -> None:
        beats = itertools.count(1)
        while not end.wait(0.05):
            written(file, replace(elsewhere, beat=next(beats)), age)

    owner = threading.Thread(target=refresh)
    owner.start()
    try:
        with pytest.raises(FolderError, match=r"in use by process \d+ on node7"), lock.held(file):
            pass
    finally:
        end.set()
        owner.join()
    found = lock.read(file)
    assert found is not None and found.nonce == "other"


@pytest.mark.usefixtures("quick")
def test_a_driver_that_lost_its_lock_stops(file: Path, here: lock.Owner) -> None:
    """It was suspended, and another one went on with its work."""
    other = replace(here, nonce="other", pid=1)

    def suspended() -> None:
        with lock.held(file):
            written(file, other)
            time.sleep(20)

    with pytest.raises(FolderError, match="was taken over by process 1 on"):
        suspended()
    assert lock.read(file) == other, "the lock of the other stays"


def test_a_damaged_lock_is_taken_over_once_it_is_old(file: Path) -> None:
    file.write_text("{")
    with pytest.raises(FolderError, match="has just begun"), lock.held(file):
        pass
    os.utime(file, (0, 0))
    with lock.held(file):
        pass


def test_of_many_that_take_over_one_wins(file: Path, here: lock.Owner) -> None:
    written(file, replace(here, process_start="0", nonce="dead"))
    won: list[lock.Owner] = []
    gate = threading.Barrier(8)

    def attempt() -> None:
        gate.wait()
        with contextlib.suppress(FolderError):
            won.append(lock.acquire(file))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and lock.read(file) == won[0]


WAITS = """
import time, workflow.simulate.stage as stage
whole = stage.run_job
def slow(job, root):
    time.sleep(60)
    return whole(job, root)
stage.run_job = slow
"""


def test_the_second_driver_is_refused_and_a_killed_one_is_followed(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(train=[]))
    arguments = ("simulate", study, "--run-dir", tmp_path / "run", "--executor", "serial")
    first = start(*arguments, program=WAITS)
    try:
        wait_for((tmp_path / "run" / "study.toml").exists)
        second = serial("simulate", study, tmp_path / "run")
        assert second.exit_code == 2
        assert f"is in use by process {first.pid} on " in second.stderr
        fresh = serial("simulate", study, tmp_path / "run", "--fresh")
        assert fresh.exit_code == 2 and not (tmp_path / "run.1").exists()
        assert CliRunner().invoke(main, ["status", str(tmp_path / "run")]).exit_code == 0
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    third = serial("simulate", study, tmp_path / "run")
    assert third.exit_code == 0, third.output
    assert f"is taken over: process {first.pid} has ended" in third.stderr
    assert not (tmp_path / "run" / "run.lock").exists()
