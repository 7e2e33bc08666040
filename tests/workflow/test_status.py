"""What a user asks before and during a run: plan, status, presets; none of them touches anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from studies import TINY, contents, serial, small, write_study

from workflow.cli.main import main
from workflow.plan.tasks import model_plans
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse, preset_names, preset_text


def ask(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result


def rows(run_dir: Path) -> dict[str, list[str]]:
    """Cells of the status table by stage."""
    header, *lines = ask("status", str(run_dir)).output.splitlines()
    assert header.split() == ["stage", "done", "left", "failed", "core-hours", "time", "left"]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_plan_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = write_study(tmp_path / "study.toml", TINY)
    before = contents(tmp_path)
    text = ask("plan", study, "--workers", "4").output
    assert contents(tmp_path) == before
    assert "tiny: 2,048 samples at 8 points" in text
    for cell in ("8 shards", "8 models", "32 files", "core-hours", "on 4 cores", "disk", "memory/worker"):
        assert cell in text


def test_a_bad_study_has_no_plan(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["plan", write_study(tmp_path / "study.toml", small(spam=1))])
    assert result.exit_code == 2
    assert "spam: unknown key" in result.stderr


def test_status_before_during_and_after(tmp_path: Path) -> None:
    raw = small(train=[{"name": "good", "epochs": 4}, {"name": "bad", "epochs": 4, "learning_rate": 1e30}])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    assert serial("train", study, run.root).exit_code == 1, "nothing is simulated"
    assert rows(run.root)["simulate"] == ["0", "4", "0", "?"]
    assert serial("simulate", study, run.root).exit_code == 0
    assert serial("train", study, run.root).exit_code == 1, "one of them diverges"
    before = contents(run.root)
    table = rows(run.root)
    assert contents(run.root) == before
    assert (table["simulate"][:3], table["simulate"][-1]) == (["4", "0", "0"], "done")
    assert float(table["simulate"][3]) >= 0
    assert table["train"][:3] == ["1", "1", "1"]
    assert table["encode"] == ["0", "2", "0", "?"]
    assert table["report"] == ["0", "1", "0", "?"]
    assert len(model_plans(parse(raw))) == 2


def test_status_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no run folder" in result.stderr


def test_presets_are_listed_and_printed(tmp_path: Path) -> None:
    listed = ask("presets").output.splitlines()
    assert [line.split()[0] for line in listed] == list(preset_names())
    assert "quickstart" in preset_names()
    for line in listed:
        assert len(line.split()) > 3, "a name and what it is"
    for name in preset_names():
        assert ask("presets", name).output == preset_text(name)


def test_a_printed_preset_is_a_study(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ask("presets", "quickstart").output)
    from_file = ask("plan", str(tmp_path / "mine.toml")).output
    assert from_file == ask("plan", "quickstart").output


def test_a_preset_that_is_not_there() -> None:
    result = CliRunner().invoke(main, ["presets", "no-such"])
    assert result.exit_code == 2
    assert "there is no preset 'no-such'; there are " in result.stderr
