"""The plan noted in the run folder: what status reads, made anew where it is not of this study or program."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from studies import CHECKOUT, TINY, changed, contents, small

from workflow.execution.run_folder import begin_run
from workflow.plan import planned
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.status import status_table
from workflow.study.loading import parse

STUDY = parse(changed("train", 0, "restarts", to=2))


def test_the_driver_notes_what_it_plans(tmp_path: Path) -> None:
    run = begin_run(STUDY, tmp_path / "run")
    tasks = shard_tasks(STUDY)
    found = planned.read(run)
    assert found == planned.of(tasks, model_plans(STUDY, tasks))
    assert found.shards == [[task.task_id for task in tasks if task.size == size] for size in (4, 8)]
    assert [item.kinds for item in found.models] == [[0]] * 8 + [[1]] * 8
    assert len(found.models) == 16
    assert sum(item.train_id == item.first for item in found.models) == 8


def test_it_is_written_once(tmp_path: Path) -> None:
    run = begin_run(STUDY, tmp_path / "run")
    before = contents(run.root)
    begin_run(STUDY, tmp_path / "run")
    assert contents(run.root) == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"program": "0"}'])
def test_a_damaged_plan_is_none_and_made_anew(tmp_path: Path, damage: str) -> None:
    run = begin_run(STUDY, tmp_path / "run")
    table, whole = status_table(run.root), run.plan.read_text()
    run.plan.write_text(damage)
    assert planned.read(run) is None
    assert status_table(run.root) == table
    assert run.plan.read_text() == damage, "status touches nothing"
    begin_run(STUDY, tmp_path / "run")
    assert run.plan.read_text() == whole


def test_a_plan_in_an_older_format_is_made_anew(tmp_path: Path) -> None:
    run = begin_run(STUDY, tmp_path / "run")
    whole = run.plan.read_text()
    older = json.loads(whole)
    del older["format"]
    run.plan.write_text(json.dumps(older))
    assert planned.read(run) is None
    begin_run(STUDY, tmp_path / "run")
    assert run.plan.read_text() == whole


def test_the_plan_of_another_study_counts_for_nothing(tmp_path: Path) -> None:
    run = begin_run(STUDY, tmp_path / "run")
    run.study.write_text(run.study.read_text() + "\n# edited\n")
    assert planned.read(run) is None


def test_a_new_version_of_a_system_is_planned_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from simulators import contract

    study = parse(small())
    run = begin_run(study, tmp_path / "run")
    before = planned.read(run)
    newer = dataclasses.replace(contract.load("ising"), version=10**6)
    monkeypatch.setattr(contract, "load", lambda name: newer)
    begin_run(study, tmp_path / "run")
    after = planned.read(run)
    assert before and after
    assert not set(before.shards[0]) & set(after.shards[0])


def test_status_imports_neither_simulators_nor_networks(tmp_path: Path) -> None:
    run = begin_run(parse(TINY), tmp_path / "run")
    heavy = {"numba", "numpy", "torch", "pyarrow", "ray", "simulators", "models", "analysis"}
    program = (
        "import sys; from workflow.cli.main import main; main(['status', sys.argv[1]], standalone_mode=False);"
        f" print(*sorted({{name.split('.')[0] for name in sys.modules}} & {heavy}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(run.root)], cwd=CHECKOUT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    *lines, imported = done.stdout.splitlines()
    assert lines[1].split() == ["simulate", "0", "8", "0", "?"]
    assert imported == ""
