"""Which data a [[train]] block means, and what it may not mean."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import expect_tiny_mnist, spin_file, spins, write_idx, write_parquet
from studies import small

from workflow.plan.tasks import model_plans, shard_tasks
from workflow.study.blocks import Study
from workflow.study.loading import StudyError, parse

SYNTHETIC = {"name": "synthetic", "source": "multinomial", "size": 4, "samples": 64}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Spins on 4 x 8 sites at two temperatures, and some whose split is their own."""
    for seed, temperature in enumerate((1.5, 4.0)):
        spin_file(tmp_path / "files" / f"{seed}.parquet", seed, temperature)
    spin_file(tmp_path / "split" / "train.parquet", 3, 1.5, part="train", held_out=np.zeros(40, bool))
    spin_file(tmp_path / "split" / "test.parquet", 4, 1.5, part="test", held_out=np.ones(40, bool))
    return tmp_path


def both(select: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A study that simulates Ising spins and brings data."""
    data = [{"name": "elsewhere", "path": "files"}, {"name": "split", "path": "split"}]
    return small(train=[{"name": "phases", "select": select, "epochs": 4}], data=data, **top)


def chosen(study: Study) -> set[str]:
    """Which data and parameters the runs are trained on."""
    by_id = {task.task_id: task for task in shard_tasks(study)}
    found = {by_id[task_id] for run in model_plans(study) for task_id in run.task_ids}
    return {f"{task.system} {dict(task.spec).get('temperature')}" for task in found}


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ({}, {"ising 1.2", "ising 4.5"}),
        ({"system": "ising", "temperature": 1.2}, {"ising 1.2"}),
        ({"data": "elsewhere"}, {"elsewhere 1.5", "elsewhere 4.0"}),
        ({"data": "elsewhere", "temperature": {"start": 3.0, "stop": 5.0}}, {"elsewhere 4.0"}),
        ({"data": "split"}, {"split 1.5"}),
    ],
)
def test_what_is_selected(select: dict[str, Any], expected: set[str], folder: Path) -> None:
    study = parse(both(select), folder=folder)
    assert chosen(study) == expected
    (run,) = model_plans(study)
    assert (run.system, run.size) == (next(iter(expected)).split()[0], 4)


def test_data_alone_need_no_name(folder: Path) -> None:
    raw = {"name": "s", "data": [{"name": "elsewhere", "path": "files"}], "train": [{"name": "a"}]}
    assert chosen(parse(raw, folder=folder)) == {"elsewhere 1.5", "elsewhere 4.0"}


BAD = [
    ({"data": "spam"}, "train.0.select: matches no shard of this study"),
    ({"data": ["elsewhere", "split"]}, 'train.0.select: must choose one system; add data = "..."'),
    ({"data": "elsewhere", "system": "ising"}, "train.0.select: must name a system or data, not both"),
    ({"data": {"start": 1, "stop": 2}}, "train.0.select.data: must be a name or a list of names"),
    ({"data": 3}, "train.0.select.data: must be a value"),
    ({"data": "split", "part": "train"}, "train.0.select: leaves no held-out sample"),
    ({"data": "split", "part": "test"}, "train.0.select: leaves no training sample"),
    ({"data": "split", "part": {"start": 1, "stop": 2}}, "train.0.select: matches no shard of this study"),
    ({"data": "split", "spam": 1}, "train.0.select.spam: unknown field; there are coupling, data, field"),
]


@pytest.mark.parametrize(("select", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_selected(select: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(StudyError) as caught:
        parse(both(select), folder=folder)
    assert message in str(caught.value)


def test_data_need_a_likelihood_that_fits() -> None:
    block = {"name": "a", "select": {"data": "synthetic"}, "likelihood": "bernoulli"}
    with pytest.raises(StudyError, match=r"train.0.likelihood: .*multinomial"):
        parse({"name": "s", "data": [SYNTHETIC], "train": [block]})
    (run,) = model_plans(parse({"name": "s", "data": [SYNTHETIC], "train": [{"name": "a"}]}))
    assert run["likelihood"] == "multinomial"


def test_data_need_a_network_that_fits(tmp_path: Path) -> None:
    """Both sides of a rectangle count."""
    write_parquet(tmp_path / "files" / "a.parquet", spins(1, shape=(1, 4, 6)), "bits")
    raw = {"name": "s", "data": [{"name": "a", "path": "files"}], "train": [{"name": "a", "network": "table-1"}]}
    with pytest.raises(StudyError, match=r"train.0.*4 x 6|train.0.*6"):
        parse(raw, folder=tmp_path)


def test_mnist_is_selected_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(folder / "idx", expect_tiny_mnist(monkeypatch))
    block = {"name": "digits", "source": "mnist", "path": "idx"}
    train = {"name": "a", "select": {"data": "digits"}}
    (run,) = model_plans(parse({"name": "s", "data": [block], "train": [train]}, folder=folder))
    assert (run.system, run.size, run["likelihood"], len(run.task_ids)) == ("digits", 28, "gaussian", 2)
    part = {"name": "a", "select": {"data": "digits", "part": "train"}}
    with pytest.raises(StudyError, match=r"train.0.select: leaves no held-out sample"):
        parse({"name": "s", "data": [block], "train": [part]}, folder=folder)


def test_every_size_needs_both_parts(tmp_path: Path) -> None:
    """Each size trains a network of its own; sizes that are not trained do not count."""
    for name, shape, out in (("a", (1, 4, 4), False), ("b", (1, 4, 4), True), ("c", (1, 8, 8), False)):
        held_out = np.full(40, out)
        write_parquet(tmp_path / "files" / f"{name}.parquet", spins(ord(name), shape=shape), "bits", held_out=held_out)
    raw = {"name": "s", "data": [{"name": "sizes", "path": "files"}], "train": [{"name": "a"}]}
    with pytest.raises(StudyError, match=r"train.0.select: leaves no held-out sample"):
        parse(raw, folder=tmp_path)
    raw["train"] = [{"name": "a", "size": 4}]
    assert len(model_plans(parse(raw, folder=tmp_path))) == 1


def test_no_data_changes_nothing() -> None:
    """Run folders of studies without data keep their studies and ids."""
    assert "data" not in parse(small()).resolved
    with pytest.raises(StudyError, match=r"needs at least one .*simulate.* block, or a .*data.* block"):
        parse(small(simulate=[]))
