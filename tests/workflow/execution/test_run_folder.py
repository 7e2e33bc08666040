"""Run folders: whole files, other studies refused, old folders set aside, costs added up."""

import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
import tomli_w
from studies import TINY, changed, small

from workflow.execution import failures
from workflow.execution.run_folder import begin_run, opened
from workflow.execution.stage_costs import costs_so_far, timed
from workflow.storage.errors import FolderError
from workflow.storage.whole_files import write_whole
from workflow.study.loading import parse


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_whole(path, "first")

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "second")
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_folder_opens_again_for_the_same_study(tmp_path: Path) -> None:
    study = parse(TINY)
    assert begin_run(study, tmp_path / "run") == begin_run(study, tmp_path / "run")


def test_another_study_is_refused_naming_the_fields(tmp_path: Path) -> None:
    begin_run(parse(TINY), tmp_path / "run")
    other = parse(changed("simulate", 0, "temperature", to=[1.3, 4.5]))
    with pytest.raises(FolderError) as caught:
        begin_run(other, tmp_path / "run")
    text = str(caught.value)
    assert "simulate.0.temperature: the run folder has [1.2, 4.5], the study has [1.3, 4.5]" in text
    assert "--fresh" in text


def test_fresh_sets_the_old_folder_aside_and_deletes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "run"
    run = begin_run(parse(TINY), root)
    (run.root / "precious").write_text("data")
    begin_run(parse(changed("seed", to=9)), root, fresh=True)
    begin_run(parse(changed("seed", to=10)), root, fresh=True)
    assert (tmp_path / "run.1" / "precious").read_text() == "data"
    assert (tmp_path / "run.2" / "study.toml").exists()
    assert not (root / "precious").exists()


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FolderError, match="is not empty and holds no study"):
        begin_run(parse(TINY), tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match="cannot be written"):
        begin_run(parse(TINY), tmp_path / "file" / "run")


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    run = begin_run(parse(TINY), tmp_path / "run")
    run.study.write_text("name = ")
    with pytest.raises(FolderError, match="is damaged"):
        begin_run(parse(TINY), tmp_path / "run")


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """By the driver that comes next, and at its end what its own workers left; nothing else is touched."""
    root = tmp_path / "run"
    run = begin_run(parse(TINY), root)
    half = root / "dataset" / ".shard.parquet.a1b2c3d4.tmp"
    for path in (half, root / ".study.toml.a1b2c3d4.tmp", root / "notes.tmp", root / ".hidden"):
        write_whole(path, "half")
    before = {path for path in root.rglob("*") if path.is_file()}
    with opened(parse(TINY), root):
        assert not half.exists() and not (root / ".study.toml.a1b2c3d4.tmp").exists()
        write_whole(half, "half")
    assert before - {path for path in root.rglob("*") if path.is_file()} == {half, root / ".study.toml.a1b2c3d4.tmp"}
    assert run.study.exists()


def test_failures_are_forgotten_by_name(tmp_path: Path) -> None:
    run = begin_run(parse(TINY), tmp_path / "run")
    failures.forget_failures(run, ["a"])
    for name in ("a", "b"):
        failures.note_failure(run, name, "the disk was full")
    failures.forget_failures(run, ["a", "c"])
    assert [path.name for path in run.failures.glob("*")] == ["b.txt"]


def test_costs_add_up_over_interrupted_runs(tmp_path: Path) -> None:
    run = begin_run(parse(TINY), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), timed(run, "simulate") as cost:
        cost["core_seconds"], cost["done"] = 2.0, 3
        raise KeyboardInterrupt
    with timed(run, "simulate") as cost:
        cost["core_seconds"], cost["done"] = 1.5, 1
    assert costs_so_far(run)["simulate"].core_seconds == pytest.approx(3.5)
    assert costs_so_far(run)["simulate"].done == 4


def test_only_run_folders_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FolderError, match=r"holds no study\.toml"):
        begin_run(parse(TINY), tmp_path, fresh=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_cut_line_of_costs_is_passed_over(tmp_path: Path) -> None:
    run = begin_run(parse(TINY), tmp_path / "run")
    run.stages.write_text('{"stage": "simulate", "wall_seconds": 1.0, "core_seconds": 2.0, "done": 3}\n{"stage": "tr')
    assert list(costs_so_far(run)) == ["simulate"]


def test_a_folder_of_an_older_program_is_the_same_study(tmp_path: Path) -> None:
    """Its study.toml lacks what that program did not know; every such key is at its default."""
    study = parse(small())
    run = begin_run(study, tmp_path / "run")
    old = tomllib.loads(run.study.read_text())
    for key in ("variance", "hidden", "restarts", "free_energy"):
        del old["train"][0][key]
    del old["analyze"]["ideal"]
    run.study.write_text(tomli_w.dumps(old))
    assert begin_run(study, tmp_path / "run") == run
    old["analyze"]["correlation"] = 0.9
    run.study.write_text(tomli_w.dumps(old))
    assert begin_run(study, tmp_path / "run") == run, "what the verdict asks for changes no result"
    old["train"][0]["latent"] = 3
    run.study.write_text(tomli_w.dumps(old))
    with pytest.raises(FolderError, match=r"train.0.latent: the run folder has 3, the study has 2"):
        begin_run(study, tmp_path / "run")


def test_workers_may_change_in_a_run_folder_but_not_the_precision(tmp_path: Path) -> None:
    """The folder keeps the latest word on how trainings are carried out."""
    begin_run(parse(TINY), tmp_path)
    study = deepcopy(TINY)
    study["train"][0] |= {"workers": "auto", "compile": True}
    run = begin_run(parse(study), tmp_path)
    assert tomllib.loads(run.study.read_text())["train"][0]["workers"] == "auto"
    study["train"][0] |= {"precision": "bfloat16"}
    with pytest.raises(
        FolderError, match=r"train\.0\.precision: the run folder has 'float32', the study has 'bfloat16'"
    ):
        begin_run(parse(study), tmp_path)
