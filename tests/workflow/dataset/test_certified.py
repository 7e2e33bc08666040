"""Shards without proof of equilibration: listed, and refused by what would use them unless the study allows it."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from studies import serial, small, write_study

from workflow.cli.main import main
from workflow.dataset import shards
from workflow.dataset.origins import SimulationTask
from workflow.plan.tasks import simulation_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

CRITICAL = 2.269
UNMIXED = {
    "R-hat of energy": {"chains": 16, "thermalization": 0, "spacing": 1},
    "effective samples, fewer than 100": {"chains": 4, "thermalization": 200, "spacing": 1},
    "hot and ordered starts differ in abs_magnetization": {"temperature": 2.6, "thermalization": 0, "spacing": 1},
}
"""Ways to simulate L = 32 for too short, and what the certificate says of each."""


def study(**block: Any) -> dict[str, Any]:
    unmixed = {"system": "ising", "size": 32, "coupling": 1.0, "temperature": CRITICAL, "samples": 128}
    good = {"system": "ising", "size": 32, "coupling": 1.0, "temperature": 5.0, "samples": 128}
    return small(simulate=[{**unmixed, "algorithm": "metropolis", **block}, good])


def simulated(folder: Path, raw: dict[str, Any]) -> tuple[RunDirectory, Result]:
    return RunDirectory(folder / "run"), serial("simulate", write_study(folder / "study.toml", raw), folder / "run")


def reasons(run: RunDirectory, task: SimulationTask) -> list[str]:
    certificate = shards.read_metadata(run.shard(task))["certificate"]
    assert certificate["certified"] == (not certificate["reasons"])
    return list(certificate["reasons"])


@pytest.mark.parametrize("reason", UNMIXED)
def test_each_rule_marks_a_shard(reason: str, tmp_path: Path) -> None:
    raw = study(**UNMIXED[reason])
    run, result = simulated(tmp_path, raw)
    assert result.exit_code == 0
    assert "1 of 2 shards are not certified" in result.output
    bad, good = simulation_tasks(parse(raw))
    assert any(reason in text for text in reasons(run, bad))
    assert reasons(run, good) == [], "negative control"


@pytest.fixture
def unmixed(tmp_path: Path) -> tuple[RunDirectory, dict[str, Any]]:
    raw = study(**UNMIXED["R-hat of energy"])
    return simulated(tmp_path, raw)[0], raw


@pytest.mark.parametrize("stage", ["train", "run"])
def test_training_refuses_it_and_says_which(
    stage: str, unmixed: tuple[RunDirectory, dict[str, Any]], tmp_path: Path
) -> None:
    run, raw = unmixed
    result = serial(stage, str(tmp_path / "study.toml"), run.root)
    bad = simulation_tasks(parse(raw))[0]
    assert result.exit_code == 1
    assert f"train refuses 1 shard that is not certified:\n  {bad.task_id} (ising at size = 32" in result.stderr
    assert "R-hat of energy" in result.stderr
    assert "allow_uncertified = true" in result.stderr
    assert not (run.root / "training").exists()


def test_analysis_refuses_what_training_did_not_use(
    unmixed: tuple[RunDirectory, dict[str, Any]], tmp_path: Path
) -> None:
    """Trained on the certified shard only; the other would enter the analysis."""
    _, raw = unmixed
    raw["train"] = [{"name": "phases", "epochs": 2, "select": {"temperature": 5.0}}]
    path = write_study(tmp_path / "other.toml", raw)
    for stage in ("simulate", "train", "encode"):
        assert serial(stage, path, tmp_path / "other").exit_code == 0
    result = serial("analyze", path, tmp_path / "other")
    assert result.exit_code == 1
    assert "analyze refuses 1 shard that is not certified" in result.stderr
    assert not (tmp_path / "other" / "analysis").exists()


def test_a_study_may_allow_it_and_keeps_its_run_folder(
    unmixed: tuple[RunDirectory, dict[str, Any]], tmp_path: Path
) -> None:
    run, raw = unmixed
    allowed = write_study(tmp_path / "allowed.toml", raw | {"allow_uncertified": True})
    before = {path.name: path.stat().st_mtime_ns for path in run.dataset.rglob("*.parquet")}
    result = serial("run", allowed, run.root)
    assert result.exit_code == 0, result.output
    assert {path.name: path.stat().st_mtime_ns for path in run.dataset.rglob("*.parquet")} == before


def test_verify_lists_it(unmixed: tuple[RunDirectory, dict[str, Any]]) -> None:
    run, raw = unmixed
    result = CliRunner().invoke(main, ["verify", str(run.root)])
    bad = simulation_tasks(parse(raw))[0]
    assert result.exit_code == 1
    assert f"FAILED  {bad.task_id} ({bad}) is not certified: R-hat of energy" in result.output
