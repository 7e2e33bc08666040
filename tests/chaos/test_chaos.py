"""The checks of the chaos runs notice what they are for; a short chaos run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from studies import finished_small, serial, small, write_study

from tests.chaos import checks, kills, processes
from tests.chaos.runs import Chaos
from workflow.dataset.records import load_records
from workflow.plan.tasks import model_plans
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

STUDY = parse(small())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return finished_small(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def run(reference: RunDirectory, tmp_path: Path) -> RunDirectory:
    shutil.copytree(str(reference.root), tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def shards(run: RunDirectory) -> list[Path]:
    return sorted(Path(str(path)) for path in run.dataset.rglob("*.parquet"))


def delete_a_shard(run: RunDirectory) -> None:
    shards(run)[0].unlink()


def change_a_shard(run: RunDirectory) -> None:
    path = shards(run)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def add_a_shard(run: RunDirectory) -> None:
    shutil.copy(shards(run)[0], shards(run)[0].with_stem("0123456789abcdef"))


def double_a_line(run: RunDirectory) -> None:
    text = run.manifest.read_text()
    Path(str(run.manifest)).write_text(text + text.splitlines()[0] + "\n")


def forget_a_line(run: RunDirectory) -> None:
    Path(str(run.manifest)).write_text("".join(run.manifest.read_text().splitlines(keepends=True)[1:]))


def swap_two_shards(run: RunDirectory) -> None:
    """Each is whole, under the name of the other."""
    first, second, *_ = shards(run)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def leave_half_a_file(run: RunDirectory) -> None:
    (shards(run)[0].parent / ".x.parquet.abcdefgh.tmp").write_bytes(b"PAR1")


def leave_a_checkpoint(run: RunDirectory) -> None:
    folder = Path(str(run.training(model_plans(STUDY)[0].train_id).checkpoint))
    folder.mkdir()
    (folder / "epoch-00002.safetensors").write_bytes(b"x")


def change_a_weight(run: RunDirectory) -> None:
    path = str(run.training(model_plans(STUDY)[0].train_id).weights)
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + np.float32(0.01)
    save_file(tensors, path)


def note_an_epoch_twice(run: RunDirectory) -> None:
    path = Path(str(run.training(model_plans(STUDY)[0].train_id).metrics))
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


def change_a_result(run: RunDirectory) -> None:
    path = Path(str(run.training(model_plans(STUDY)[0].train_id).result))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"reconstruction": content["reconstruction"] + 0.05}))


def change_the_summary(run: RunDirectory) -> None:
    content = json.loads(run.summary.read_text())
    Path(str(run.summary)).write_text(json.dumps(content[:-1]))


VIOLATIONS: dict[Callable[[RunDirectory], None], str] = {
    delete_a_shard: "is lost",
    change_a_shard: "was altered",
    add_a_shard: "is not in the plan",
    double_a_line: "is there 2 times",
    forget_a_line: "manifest: shard .* is lost",
    swap_two_shards: "files: digest",
    leave_half_a_file: "tmp was left behind",
    leave_a_checkpoint: "epoch-00002.safetensors was left behind",
    change_a_weight: "0.01 off",
    note_an_epoch_twice: "epochs",
    change_a_result: "reconstruction is",
    change_the_summary: "summary.json",
}


def complaints(run: RunDirectory, reference: RunDirectory, tolerance: float) -> str:
    return "\n".join(checks.complaints(run, reference, STUDY, tolerance))


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
def test_a_copy_is_as_the_reference(run: RunDirectory, reference: RunDirectory, tolerance: float) -> None:
    assert complaints(run, reference, tolerance) == ""


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
@pytest.mark.parametrize("violate", VIOLATIONS, ids=lambda function: function.__name__)
def test_a_violation_is_noticed(
    run: RunDirectory, reference: RunDirectory, violate: Callable[[RunDirectory], None], tolerance: float
) -> None:
    """Negative control of everything that the checks are for."""
    violate(run)
    assert re.search(VIOLATIONS[violate], complaints(run, reference, tolerance))


def test_rounding_is_told_from_the_same_bits(run: RunDirectory, reference: RunDirectory) -> None:
    path = str(run.training(model_plans(STUDY)[0].train_id).weights)
    tensors = load_file(path)
    save_file({name: values * np.float32(1 + 2e-7) for name, values in tensors.items()}, path)
    assert "off" in complaints(run, reference, 0.0)
    assert complaints(run, reference, 1e-3) == ""


def test_another_seed_is_no_rounding(reference: RunDirectory, tmp_path: Path) -> None:
    """Negative control of the tolerance."""
    other = small(train=[{**small()["train"][0], "seed": 1}])
    assert serial("run", write_study(tmp_path / "study.toml", other), tmp_path / "run").exit_code == 0
    run = RunDirectory(tmp_path / "run")
    ((mine,), (expected,)) = (model_plans(parse(one)) for one in (other, small()))
    Path(str(run.training(mine.train_id).root)).rename(str(run.training(expected.train_id).root))
    assert any(" off" in text for text in checks.of_trainings(run, reference, STUDY, 1e-3))


def test_the_stage_under_way_is_seen_from_the_files(run: RunDirectory, reference: RunDirectory) -> None:
    root, complete = Path(str(run.root)), checks.names(Path(str(reference.root)))
    assert kills.stage_of(root, complete) is None
    for stage, folder in reversed(kills.STAGES.items()):
        shutil.rmtree(root / folder)
        assert kills.stage_of(root, complete) == stage


def test_every_kind_of_kill_is_drawn_before_any_comes_again() -> None:
    drawn = kills.draw(Random(1), 3 * len(kills.KINDS))
    for i in range(3):
        part = drawn[i * len(kills.KINDS) : (i + 1) * len(kills.KINDS)]
        assert {(kill.stage, kill.victim) for kill in part} == set(kills.KINDS)
    assert kills.draw(Random(1), 5) == drawn[:5] != kills.draw(Random(2), 5)


def test_only_living_members_of_the_family_are_hit() -> None:
    """Negative control of the counting of hits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert child.pid in processes.descendants(os.getpid())
        assert not processes.kill(child.pid, lambda: child.pid in processes.descendants(child.pid))
        assert child.poll() is None
        assert processes.kill(child.pid, lambda: child.pid in processes.descendants(os.getpid()))
        # Not yet waited for: a zombie.
        assert child.pid not in processes.parents()
        assert not processes.kill(child.pid, lambda: child.pid in processes.descendants(os.getpid()))
    finally:
        child.kill()
        assert child.wait(10) == -9
    assert not processes.kill(child.pid, lambda: True)


@pytest.mark.ray
@pytest.mark.slow
def test_two_runs_with_kills_end_as_undisturbed(tmp_path: Path) -> None:
    with Chaos(tmp_path, 2, print) as chaos:
        outcomes = chaos.all(runs=2, kills=4)
    assert [outcome.complaints for outcome in outcomes] == [[]] * len(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"own", "two nodes"}
    assert sum(len(outcome.hits) for outcome in outcomes) >= 4
    assert load_records(chaos.reference)
