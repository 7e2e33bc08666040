"""Restarts: other streams, the same model without them, and the best one alone goes on."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from studies import serial, small, write_study

from models.vae import VAEOutput, objective
from workflow.plan.tasks import model_plans
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse
from workflow.train.restarts import best_restarts

FAILED = 1
STEPS = 3
"""Of an epoch: 4 shards of 96 samples that are not held out, in batches of 128."""


def test_the_first_restart_is_the_run_without_restarts() -> None:
    alone = model_plans(parse(small(train=[{"name": "a", "epochs": 4, "seed": [0, 1]}])))
    several = model_plans(parse(small(train=[{"name": "a", "epochs": 4, "seed": [0, 1], "restarts": 3}])))
    assert [item.train_id for item in several if item.restart == 0] == [item.train_id for item in alone]
    assert len({item.train_id for item in several}) == len({item.training_seed for item in several}) == 6
    assert len({item.stack for item in several}) == 1, "they train as one stack"


def test_what_has_most_directions_and_then_the_lowest_loss_goes_on(tmp_path: Path) -> None:
    raw = small(train=[{"name": "a", "epochs": 4, "restarts": 3}])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    runs = model_plans(parse(raw))
    with pytest.raises(
        FileNotFoundError, match=r"restart 1 has not been trained|has not been trained, so its restarts"
    ):
        best_restarts(runs, run)
    assert serial("simulate", study, run.root).exit_code == 0
    assert serial("train", study, run.root).exit_code == 0
    for item, (active, rank, loss) in zip(runs, [(2, 1, 5.0), (2, 2, 7.0), (2, 2, 6.5)], strict=True):
        path = run.training(item.train_id).result
        result = json.loads(path.read_text())
        assert {"active_units", "rank", "loss"} <= set(result)
        path.write_text(json.dumps(result | {"active_units": active, "rank": rank, "loss": loss}))
    assert best_restarts(runs, run) == (runs[2],)
    for stage in ("encode", "analyze", "report"):
        outcome = serial(stage, study, run.root)
        assert outcome.exit_code == 0, outcome.output
    assert {path.name for path in (run.root / "latents").iterdir()} == {runs[2].train_id}
    records = json.loads(run.summary.read_text())
    assert {r["train_id"] for r in records if "train_id" in r} == {runs[2].train_id}


def test_a_training_that_diverges_leaves_its_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss turns to nan in the second step of the fourth epoch, of three steps each."""
    raw = small(train=[{"name": "a", "epochs": 6, "axes": "none"}])
    study = write_study(tmp_path / "study.toml", raw)
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    calls = itertools.count(1)

    def poisoned(output: VAEOutput, beta_R: torch.Tensor) -> torch.Tensor:
        if next(calls) == 3 * STEPS + 2:
            output.reconstruction_RB.detach().fill_(float("nan"))
        return objective(output, beta_R)

    monkeypatch.setattr("models.training.trainer.objective", poisoned)
    result = serial("train", study, run.root)
    assert result.exit_code == FAILED and "loss is not finite at step 2 of epoch 4" in result.stderr
    (item,) = model_plans(parse(raw))
    folder = run.training(item.train_id)
    state = load_file(folder.checkpoint / "epoch-00003.safetensors")
    assert int(state["epoch"]) == len(folder.metrics.read_text().splitlines()) == 3
    assert all(bool(tensor.isfinite().all()) for name, tensor in state.items() if name != "psi4")
    monkeypatch.undo()
    assert serial("train", study, run.root).exit_code == 0, "training goes on from there"
    assert json.loads(folder.result.read_text())["epoch"] == 6
