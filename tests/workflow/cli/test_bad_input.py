"""Every bad input and accident: the exit code, a message that says what to do, and nothing lost."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from studies import contents, serial, small, start, write_study

from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.plan.tasks import model_plans, simulation_tasks
from workflow.simulate import stage, worker
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

FAILED, REFUSED = 1, 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with its shards and nothing else."""
    folder = tmp_path_factory.mktemp("finished")
    assert serial("simulate", write_study(folder / "study.toml", small()), folder / "run").exit_code == 0
    return RunDirectory(folder / "run")


def digest(run: RunDirectory) -> str:
    return manifest.digest(manifest.rebuild(run))


def check(result: Result, code: int, *texts: str) -> None:
    assert result.exit_code == code, result.output
    for text in texts:
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit), "nothing but the exit code leaves the program"


BAD = [
    ({"spam": 1}, "spam: unknown key"),
    ({"train": [{"name": "a", "spam": 1}]}, "train.0.spam: unknown key"),
    ({"train": [{"name": "a", "select": {"temperature": 9.0}}]}, "train.0.select: matches no shard of this study"),
    ({"simulate": []}, "simulate: a study needs at least one [[simulate]] block"),
    ({"analyze": {"resamples": 1}}, "analyze.resamples: should be greater than or equal to 50, got 1"),
]


@pytest.mark.parametrize("command", ["run", "report"])
@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_a_bad_study_writes_nothing(command: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(**change))
    check(serial(command, study, tmp_path / "run"), REFUSED, "study.toml cannot be used", message)
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize("text", ["name = ", "\x00", "[[simulate]\n"])
def test_a_file_that_is_not_toml(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(text)
    check(serial("run", str(tmp_path / "study.toml"), tmp_path / "run"), REFUSED, "file: is not TOML")
    assert not (tmp_path / "run").exists()


def test_the_default_folder_is_not_made_for_a_bad_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "study.toml", small(spam=1))
    process = start("run", tmp_path / "study.toml")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == REFUSED
    assert "spam: unknown key" in errors
    assert not (tmp_path / "runs").exists()


def test_another_study_is_refused_and_fresh_sets_it_aside(tmp_path: Path) -> None:
    first = write_study(tmp_path / "first.toml", small(train=[]))
    other = write_study(tmp_path / "other.toml", small(train=[], seed=5))
    assert serial("simulate", first, tmp_path / "run").exit_code == 0
    before = contents(tmp_path / "run")
    refused = serial("simulate", other, tmp_path / "run")
    check(refused, REFUSED, "holds another study", "seed: the run folder has 0, the study has 5", "--fresh")
    assert contents(tmp_path / "run") == before
    assert serial("simulate", other, tmp_path / "run", "--fresh").exit_code == 0
    assert contents(tmp_path / "run.1") == before
    assert digest(RunDirectory(tmp_path / "run")) != digest(RunDirectory(tmp_path / "run.1"))


def test_a_seed_from_the_command_line_is_another_study(finished: RunDirectory) -> None:
    before = contents(finished.root)
    study = str(finished.root.parent / "study.toml")
    check(serial("run", study, finished.root, "--seed", "9"), REFUSED, "seed: the run folder has 0, the study has 9")
    assert contents(finished.root) == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    study = write_study(tmp_path / "study.toml", small())
    check(serial("run", study, tmp_path / "file" / "run"), REFUSED, "cannot be written")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    (tmp_path / "run").mkdir(mode=0o500)
    check(serial("run", study, tmp_path / "run"), REFUSED, "cannot be written")


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    study = write_study(tmp_path / "small.toml", small())
    check(serial("run", study, tmp_path), REFUSED, "is not empty and holds no study.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


NO_ROOM = """
import resource, signal, workflow.dataset.shards as shards
# A file that grows past the limit is refused as on a full disk.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
whole = shards.write
def limited(task, samples, path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
    return whole(task, samples, path)
shards.write = limited
"""


def test_a_file_that_cannot_grow(finished: RunDirectory, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    process = start("simulate", study, "--run-dir", tmp_path / "run", "--executor", "serial", program=NO_ROOM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == FAILED
    assert os.strerror(errno.EFBIG) in errors
    assert "go on with" in errors
    assert "Traceback" not in errors
    run = RunDirectory(tmp_path / "run")
    assert not [path for path in run.dataset.rglob("*") if path.is_file()], "neither shards nor parts of them"
    assert serial("simulate", study, run.root).exit_code == 0
    assert digest(run) == digest(finished)


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for some shards of ``small`` and not for all."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=28k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(finished: RunDirectory, little_disk: Path, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    check(serial("simulate", study, little_disk / "run"), FAILED, os.strerror(errno.ENOSPC), "go on with")
    run = RunDirectory(little_disk / "run")
    kept = manifest.rebuild(run)
    assert 0 < len(kept) < 4
    assert len([path for path in run.dataset.rglob("*") if path.is_file()]) == len(kept), "no parts of shards"
    subprocess.run(["mount", "-o", "remount,size=4m", little_disk], check=True)
    assert serial("simulate", study, run.root).exit_code == 0
    assert digest(run) == digest(finished)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def lose(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "complaint"), [(cut, "truncated or altered"), (alter, "was altered"), (lose, "is missing")]
)
def test_a_spoiled_shard_is_named_and_made_again(
    finished: RunDirectory, tmp_path: Path, spoil: Any, complaint: str
) -> None:
    study = write_study(tmp_path / "study.toml", small())
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    path = sorted(run.dataset.rglob("*.parquet"))[1]
    others = {p: p.stat().st_mtime_ns for p in run.dataset.rglob("*.parquet") if p != path}
    spoil(path)
    again = serial("simulate", study, run.root)
    assert again.exit_code == 0
    assert path.stem in again.stderr and complaint in again.stderr and "simulating it again" in again.stderr
    assert digest(run) == digest(finished)
    assert {p: p.stat().st_mtime_ns for p in others} == others


FIRST = [
    ("train", 0, "train needs 4 whole shards not there, first ising at size = 4", "carry out simulate first"),
    ("encode", 1, "encode needs 1 model not there, first phases: shallow, L = 4", "carry out train first"),
    ("analyze", 0, "analyze needs 4 shards not there", "carry out simulate first"),
    ("analyze", 1, "analyze needs 1 encoded model not there", "carry out encode first"),
    ("report", 1, "summary.json is missing", "the analyze stage has not been carried out"),
]


@pytest.mark.parametrize(("stage", "done", "what", "before"), FIRST)
def test_a_stage_without_the_one_before(
    stage: str, done: int, what: str, before: str, finished: RunDirectory, tmp_path: Path
) -> None:
    root = finished.root if done else tmp_path / "run"
    study = write_study(tmp_path / "study.toml", small())
    check(serial(stage, study, root), FAILED, what, before)


DIVERGING = {"name": "diverging", "epochs": 4, "learning_rate": 1e30}


def test_a_training_that_diverges_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    raw = small(train=[{"name": "good", "epochs": 4}, DIVERGING])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    result = serial("train", study, run.root)
    texts = ("train: 1 of 2 failed: diverging: shallow, L = 4", "loss is not finite at step 2 of epoch 1", "seed 0")
    check(result, FAILED, *texts, str(run.failures))
    good, diverging = model_plans(parse(raw))
    assert run.training(good.train_id).result.exists()
    assert not run.training(diverging.train_id).result.exists()
    text = (run.failures / f"{diverging.train_id}.txt").read_text()
    assert "Traceback" in text and "TrainingDiverged" in text
    before = run.training(good.train_id).weights.stat().st_mtime_ns
    check(serial("train", study, run.root), FAILED, "train: 1 of 1 failed")
    assert run.training(good.train_id).weights.stat().st_mtime_ns == before


def test_the_rest_of_a_stack_survives_a_member_that_diverges(tmp_path: Path) -> None:
    raw = small(train=[{"name": "sweep", "epochs": 4, "beta": [5.0, 1e39]}])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    check(serial("train", study, run.root), FAILED, "train: 1 of 2 failed: sweep: shallow, L = 4, beta = 1e+39")
    good, _ = model_plans(parse(raw))
    assert run.training(good.train_id).result.exists()


def test_a_task_that_fails_is_named_and_the_others_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_study(tmp_path / "study.toml", small())
    tasks = simulation_tasks(parse(small()))
    whole = worker.run_job

    def fragile(job: Any, root: str) -> Any:
        if job.tasks == (tasks[1],):
            raise ArithmeticError("a bug in a kernel")
        return whole(job, root)

    with monkeypatch.context() as patched:
        patched.setattr(stage, "run_job", fragile)
        result = serial("simulate", study, tmp_path / "run")
    check(result, FAILED, f"simulate: 1 of 4 failed: {tasks[1].task_id} ({tasks[1]}): ArithmeticError: a bug")
    run = RunDirectory(tmp_path / "run")
    assert set(load_records(run)) == {task.task_id for task in tasks} - {tasks[1].task_id}
    text = (run.failures / f"{tasks[1].task_id}.txt").read_text()
    assert "Traceback" in text and str(tasks[1]) in text
    assert serial("simulate", study, run.root).exit_code == 0
    assert len(load_records(run)) == 4
