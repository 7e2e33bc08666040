"""Run folders opened for reading: the tables say what the files say, and nothing is locked or written."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from studies import contents, finished_small, serial, small, write_study

from workflow.runs import MANIFEST, PLAN, SUMMARY, Run, open_run
from workflow.storage import lock
from workflow.storage.errors import FolderError
from workflow.storage.run_directory import RunDirectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return finished_small(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def run(folder: RunDirectory) -> Run:
    return open_run(str(folder.root))


def columns(property_name: str) -> list[str]:
    """The columns that the documentation of a table names, in its order."""
    text = getattr(Run, property_name).__doc__
    bullets = [line.split(":")[0] for line in text.splitlines() if line.strip().startswith("* ``")]
    return [name.strip("`, ") for bullet in bullets for name in bullet.strip(" *").split(", ")]


@pytest.mark.parametrize(("name", "schema"), [("manifest", MANIFEST), ("plan", PLAN), ("summary", SUMMARY)])
def test_tables_have_the_documented_columns(name: str, schema: pa.Schema, run: Run) -> None:
    table = getattr(run, name)
    assert table.schema == schema
    assert table.num_rows > 0
    table.validate(full=True)
    assert columns(name) == schema.names


def test_the_manifest_is_that_of_the_file(run: Run, folder: RunDirectory) -> None:
    assert run.manifest.to_pylist() == [json.loads(line) for line in folder.manifest.read_text().splitlines()]


def test_the_summary_is_that_of_the_file(run: Run, folder: RunDirectory) -> None:
    """No entry of a record is left out, and none is invented."""
    records = json.loads(folder.summary.read_text())
    assert {name for record in records for name in record} == set(SUMMARY.names)
    assert run.summary.to_pylist() == [{name: record.get(name) for name in SUMMARY.names} for record in records]


def test_the_plan_tells_what_is_finished(tmp_path: Path) -> None:
    train = {"name": "phases", "epochs": 2, "restarts": 2}
    study = write_study(tmp_path / "study.toml", small(train=[train]))
    assert serial("simulate", study, tmp_path / "run").exit_code == 0
    run = open_run(tmp_path / "run")
    plan = run.plan
    assert plan["stage"].to_pylist() == ["simulate"] * 4 + ["train"] * 2
    assert plan["finished"].to_pylist() == [True] * 4 + [False] * 2
    assert plan["id"].to_pylist()[:4] == run.manifest["task_id"].to_pylist()
    first, again = plan["id"].to_pylist()[4:]
    assert plan["restart_of"].to_pylist() == [None] * 5 + [first] and again != first
    assert serial("train", study, tmp_path / "run").exit_code == 0
    assert pc.all(run.plan["finished"]).as_py(), "read anew"


def test_reading_takes_no_lock_and_writes_nothing(run: Run, folder: RunDirectory) -> None:
    with lock.held(folder.lock):
        before = contents(Path(str(folder.root)))
        for table in (run.manifest, run.plan, run.summary):
            assert table.num_rows
        assert contents(Path(str(folder.root))) == before


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("")
    run = open_run(tmp_path)
    assert run.manifest.num_rows == 0 and run.manifest.schema == MANIFEST
    with pytest.raises(FolderError, match=r"has no analysis/summary\.json yet: latentphase analyze makes it"):
        _ = run.summary
    assert str(run) == str(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"quantity": 1}]', '[{"quantity": "kl_0"}]', "{}"])
def test_a_damaged_summary_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("")
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "summary.json").write_text(text)
    with pytest.raises(FolderError, match=r"summary\.json is damaged"):
        _ = open_run(tmp_path).summary


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no-such-folder", "no-such-folder is no run folder: it has no study.toml"),
        (".", "is no run folder: it has no study.toml"),
        ("ftp://host/run", "there is no such kind of storage"),
    ],
)
def test_what_is_no_run_folder(place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderError, match=said):
        open_run(place)
