"""Run folders in an object store, with a real S3 server: the same bytes as on a disk, whatever happens on the way."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from object_store import KEYS, Trouble, give_keys, proxy, reader, request, s3_server, uri
from studies import contents, finished_small, serial, small, start, write_study

from workflow.cli.main import main
from workflow.dataset import manifest
from workflow.storage import errors as storage_errors
from workflow.storage import lock, places
from workflow.storage.errors import FolderError
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole

FAILED, REFUSED = 1, 2


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    give_keys(monkeypatch)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The small study in a local folder."""
    return finished_small(tmp_path_factory.mktemp("local"))


@pytest.fixture
def study(local: RunDirectory) -> str:
    return str(Path(str(local.root)).parent / "study.toml")


def same_results(address: str, local: RunDirectory) -> None:
    """Shards byte for byte, every number of the summary, and every file but TensorBoard's."""
    run = RunDirectory.at(address)
    assert manifest.digest(manifest.rebuild(run)) == manifest.digest(manifest.rebuild(local))
    assert run.summary.read_bytes() == local.summary.read_bytes()
    assert names(run) == names(local)


def names(run: RunDirectory) -> set[str]:
    return {name for name in places.listing(run.root).names if "tensorboard" not in name}


@pytest.fixture(scope="module")
def stored(server: int, local: RunDirectory) -> str:
    """The small study in the bucket."""
    address = uri(server, "runs/whole")
    with pytest.MonkeyPatch.context() as patched:
        give_keys(patched)
        result = serial("run", str(Path(str(local.root)).parent / "study.toml"), address)
    assert result.exit_code == 0, result.output
    assert f"report: {address.replace('whole', 'whole/report/index.html')}" in result.output
    return address


def test_a_study_runs_wholly_in_a_bucket(stored: str, local: RunDirectory) -> None:
    same_results(stored, local)
    assert "run.lock" not in names(RunDirectory.at(stored))


def test_status_and_verify_read_a_bucket(stored: str) -> None:
    status = CliRunner().invoke(main, ["status", stored])
    assert [line.split()[-1] for line in status.output.splitlines()[1:]] == ["done"] * 5
    verified = CliRunner().invoke(main, ["verify", stored])
    assert verified.exit_code == 0, verified.output
    missing = CliRunner().invoke(main, ["status", stored.replace("whole", "nothing")])
    assert missing.exit_code == REFUSED and "is no run folder" in missing.stderr


def test_running_again_reads_no_shard(stored: str, study: str, server: int) -> None:
    trouble = Trouble()
    with proxy(server, trouble) as port:
        result = serial("simulate", study, uri(port, "runs/whole"))
    assert result.exit_code == 0, result.output
    assert trouble.numbers["PUT"] <= 4, "the probe, the lock, nothing else"


def test_an_altered_object_is_found_by_verify(stored: str, server: int) -> None:
    run = RunDirectory.at(stored)
    path = next(iter(run.dataset.rglob("*.parquet")))
    whole = path.read_bytes()
    write_whole(path, whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    result = CliRunner().invoke(main, ["verify", stored])
    write_whole(path, whole)
    assert result.exit_code == FAILED and "was altered" in result.output


def test_another_study_is_refused(stored: str, tmp_path: Path) -> None:
    result = serial("run", write_study(tmp_path / "other.toml", small(seed=5)), stored)
    assert result.exit_code == REFUSED
    assert "holds another study" in result.stderr and "seed: the run folder has 0" in result.stderr


def test_objects_cannot_be_set_aside(stored: str, study: str) -> None:
    result = serial("run", study, stored, "--fresh")
    assert result.exit_code == REFUSED and "choose another --run-dir" in result.stderr


def test_other_objects_are_refused(server: int, study: str) -> None:
    write_whole(places.place(uri(server, "papers/thesis.tex")), "x")
    result = serial("run", study, uri(server, "papers"))
    assert result.exit_code == REFUSED and "is not empty and holds no study.toml" in result.stderr


def test_a_bucket_that_is_not_there(server: int, study: str) -> None:
    result = serial("run", study, uri(server, "runs/x", bucket="nothing"))
    assert result.exit_code == REFUSED
    assert "there is no such bucket; make it first, or correct the URI" in result.stderr


def test_a_server_that_is_not_there(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow.storage.stores.START_PATIENCE", 0.1)
    result = serial("run", study, uri(1, "runs/x"))
    assert result.exit_code == REFUSED
    assert "the store has failed for" in result.stderr and "check that it can be reached" in result.stderr


def test_secrets_are_written_nowhere(stored: str, local: RunDirectory) -> None:
    run = RunDirectory.at(stored)
    for name in names(run):
        assert KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in (run.root / name).read_bytes()


def test_missing_permission_is_said_before_any_work(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as port:
        for name, value in reader(port).items():
            monkeypatch.setenv(name, value)
        result = serial("run", study, uri(port, "runs/x"))
        assert result.exit_code == REFUSED, result.output
        assert "these credentials are not permitted to read, write, list and delete there" in result.stderr


def test_missing_credentials_are_said_before_any_work(study: str, server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    with proxy(server, Trouble(refuses_strangers=True)) as port:
        result = serial("run", study, uri(port, "runs/x"))
    assert result.exit_code == REFUSED, result.output
    assert "no credentials were found; set AWS_ACCESS_KEY_ID in the environment" in result.stderr


def bursts(number: int) -> bool:
    """Eight requests in a row: more than one call of the S3 client tries again by itself."""
    return number % 60 < 8


@pytest.mark.slow
def test_a_failing_and_slow_server_is_survived(
    server: int, study: str, local: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_errors, "FIRST_PAUSE", 0.1)
    trouble = Trouble(
        fails=lambda number: number > 30 and (bursts(number) or number % 7 == 0),
        hangs_up=lambda number: number > 30 and number % 11 == 0,
        delay=lambda number: 2.0 if number % 50 == 0 else 0.0,
    )
    with proxy(server, trouble) as port:
        result = serial("run", study, uri(port, "runs/trouble"))
        assert result.exit_code == 0, result.output
        assert trouble.failed > 20
        same_results(uri(server, "runs/trouble"), local)


def test_a_server_that_stays_away_is_a_clear_stop(server: int, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_errors, "PATIENCE", 1.0)
    monkeypatch.setattr(storage_errors, "LITTLE_PATIENCE", 0.1)
    trouble = Trouble(fails=lambda number: trouble.numbers["PUT"] > 5)
    with proxy(server, trouble) as port:
        result = serial("simulate", study, uri(port, "runs/away"))
    assert result.exit_code == FAILED, result.output
    assert "the store has failed for" in result.stderr
    assert "finished work is kept; go on with\n  latentphase simulate" in result.stderr
    assert "Traceback" not in result.output


def killed_at(number: int, moment: str, server: int, study: str, address: str) -> int:
    """The exit code of a driver that is killed ``before_put`` or ``after_put`` of its object with this number."""
    running: list[subprocess.Popen[str]] = []

    def kill(count: int) -> None:
        if count == number:
            os.kill(running[0].pid, signal.SIGKILL)
            running[0].wait()

    trouble = Trouble()
    setattr(trouble, moment, kill)
    with proxy(server, trouble) as port:
        place = address.replace(str(server), str(port))
        running.append(start("run", study, "--run-dir", place, "--executor", "serial"))
        running[0].communicate(timeout=300)
    return running[0].returncode


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before_put", "after_put"])
def test_a_run_that_is_killed_again_and_again_ends_the_same(
    moment: str, server: int, study: str, local: RunDirectory
) -> None:
    """The driver is killed while its n-th object is under way, or just after the store has it."""
    address = uri(server, f"runs/killed-{moment}")
    codes = [killed_at(number, moment, server, study, address) for number in (4, 7, 10, 14)]
    assert codes.count(-signal.SIGKILL) >= 3 and set(codes) <= {0, -signal.SIGKILL}
    result = serial("run", study, address)
    assert result.exit_code == 0, result.output
    same_results(address, local)


KILLED = """
import os, signal
from models.training import epoch
from models.training.trainer import Trainer
from workflow.train.worker import Job
epoch.LOOK_SECONDS = 1e9
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 0.0
step, steps = Trainer._step, iter(range(1, 1000))
def deadly(self, *batch):
    if next(steps) > 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *batch)
Trainer._step = deadly
"""
"""Checkpoints after every epoch of three steps; killed in the third."""


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(server: int, study: str, local: RunDirectory) -> None:
    address = uri(server, "runs/checkpoint")
    process = start("run", study, "--run-dir", address, "--executor", "serial", program=KILLED)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    run = RunDirectory.at(address)
    (name,) = {path.parent.name for path in local.trainings.rglob("result.json")}
    assert "epoch-00002.safetensors" in {path.name for path in run.training(name).checkpoint.glob("*")}
    assert len(run.training(name).metrics.read_text().splitlines()) == 2
    result = serial("run", study, address)
    assert result.exit_code == 0, result.output
    assert f"is taken over: process {process.pid} has ended" in result.stderr
    assert run.training(name).weights.read_bytes() == local.training(name).weights.read_bytes()
    assert len(run.training(name).metrics.read_text().splitlines()) == 4
    same_results(address, local)


def test_one_driver_per_folder(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SETTLE", 0.5)
    file = places.place(uri(server, "runs/locked")) / "run.lock"
    with lock.held(file):
        with pytest.raises(FolderError, match=r"is in use by process \d+"), lock.held(file):
            pass
        assert file.exists()
    assert not file.exists()
    won: list[lock.Owner] = []

    def attempt() -> None:
        with contextlib.suppress(FolderError):
            won.append(lock.acquire(file))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and lock.read(file) == won[0]


def test_a_name_that_leads_out_of_the_folder_is_not_copied(server: int, local: RunDirectory, tmp_path: Path) -> None:
    study = (local.root / "study.toml").read_bytes()
    request(server, "PUT", "/bucket/runs/odd/study.toml", study, **{"Content-Type": "application/toml"})
    request(server, "PUT", "/bucket/runs/odd/analysis%2F..%2F..%2Fescaped", b"x")
    result = CliRunner().invoke(main, ["sync", uri(server, "runs/odd"), str(tmp_path / "copy")])
    assert result.exit_code == REFUSED
    assert "holds an object whose name leads out of a folder" in result.stderr
    assert not (tmp_path / "escaped").exists()


@pytest.mark.slow
@pytest.mark.ray
def test_ray_workers_read_and_write_objects(server: int, study: str, local: RunDirectory) -> None:
    address = uri(server, "runs/ray")
    process = start("run", study, "--run-dir", address, "--workers", "2")
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    run = RunDirectory.at(address)
    assert manifest.digest(manifest.rebuild(run)) == manifest.digest(manifest.rebuild(local))
    assert names(run) == names(local)


def test_sync_there_and_back(stored: str, local: RunDirectory, server: int, tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    done = invoke(main, ["sync", stored, str(tmp_path / "copy")])
    assert done.exit_code == 0, done.output
    copy = RunDirectory(tmp_path / "copy")
    assert names(copy) == names(local)
    assert manifest.digest(manifest.rebuild(copy)) == manifest.digest(manifest.rebuild(local))
    back = uri(server, "runs/back")
    assert invoke(main, ["sync", str(tmp_path / "copy"), back]).exit_code == 0
    again = invoke(main, ["sync", str(tmp_path / "copy"), back])
    assert again.output.startswith("0 files copied")
    assert contents(tmp_path / "copy") == {
        name: (RunDirectory.at(back).root / name).read_bytes() for name in names(RunDirectory.at(back))
    }
