"""Runs of a stack that collapse end early, if the study asks for it; the others are as if they had been alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import small

from models.training.trainer import Trainer
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import model_plans
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse
from workflow.train.stage import train
from workflow.train.watching import TrainingProgress

EPOCHS, PATIENCE = 16, 3


def study(**more: Any) -> dict[str, Any]:
    """One run that lives and one far above the collapse, in one stack."""
    block = {"name": "phases", "beta": ["0.2 lam", "50 lam"], "epochs": EPOCHS, "batch": 32, "axes": "none"}
    return small(train=[block | more])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stop") / "run"
    parsed = parse(study())
    simulate(parsed, begin_run(parsed, root), Execution(SerialExecutor(), quiet=True))
    return root


def trained(raw: dict[str, Any], simulated: Path, root: Path) -> tuple[RunDirectory, list[dict[str, Any]]]:
    """The run folder and what ``result.json`` says of each training, by beta."""
    parsed = parse(raw)
    run = begin_run(parsed, root)
    if not run.dataset.exists():
        shutil.copytree(simulated / "dataset", root / "dataset")
        (root / "manifest.jsonl").write_bytes((simulated / "manifest.jsonl").read_bytes())
    done = train(parsed, run, Execution(SerialExecutor(), quiet=True))
    results = [json.loads(run.training(train_id).result.read_text()) for train_id in done]
    return run, sorted(results, key=lambda result: result["beta"])


def lines(run: RunDirectory, train_id: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in run.training(train_id).metrics.read_text().splitlines()]


def test_a_collapsed_run_ends_and_the_other_goes_on(simulated: Path, tmp_path: Path) -> None:
    run, (alive, over) = trained(study(stop_collapsed=PATIENCE), simulated, tmp_path / "run")
    assert alive["epoch"] == EPOCHS and sum(alive["kl"]) > 0.3
    seen = [sum(line["kl"]) for line in lines(run, over["train_id"])]
    assert over["epoch"] == len(seen) < EPOCHS
    assert all(kl < 1e-3 for kl in seen[-PATIENCE:]), "it has been quiet for as long as was asked"
    assert len(seen) == PATIENCE or seen[-PATIENCE - 1] >= 1e-3, "and not for longer"
    assert run.training(over["train_id"]).weights.exists()
    runs = model_plans(parse(study(stop_collapsed=PATIENCE)))
    assert TrainingProgress(run, runs).percent() == 100


def test_without_being_asked_for_none_ends(simulated: Path, tmp_path: Path) -> None:
    _, results = trained(study(), simulated, tmp_path / "run")
    assert [result["epoch"] for result in results] == [EPOCHS, EPOCHS]


def test_the_other_is_as_if_it_had_been_alone(simulated: Path, tmp_path: Path) -> None:
    run, (alive, _) = trained(study(stop_collapsed=PATIENCE), simulated, tmp_path / "both")
    only, (alone,) = trained(study(stop_collapsed=PATIENCE, beta="0.2 lam"), simulated, tmp_path / "alone")
    assert alone["train_id"] == alive["train_id"]
    losses = [[line["reconstruction"] for line in lines(folder, alive["train_id"])] for folder in (run, only)]
    # Products of a stack have another order of summation: every step may add a rounding error of single precision.
    steps = EPOCHS * -(-alive["samples"] // 32)
    np.testing.assert_allclose(losses[0], losses[1], rtol=steps * float(np.finfo(np.float32).eps))
    assert len(losses[0]) == EPOCHS


def test_one_that_was_interrupted_ends_at_the_same_epoch(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, results = trained(study(stop_collapsed=PATIENCE), simulated, tmp_path / "whole")
    end = results[1]["epoch"]
    step, steps = Trainer._step, iter(range(10_000))

    def interrupted(self: Trainer, *batch: Any) -> Any:
        # Within the last epoch of the run that collapses.
        if next(steps) == (end - 1) * self.steps_per_epoch + 1:
            raise KeyboardInterrupt
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(study(stop_collapsed=PATIENCE), simulated, tmp_path / "cut")
    monkeypatch.setattr(Trainer, "_step", step)
    cut, again = trained(study(stop_collapsed=PATIENCE), simulated, tmp_path / "cut")
    assert [result["epoch"] for result in again] == [result["epoch"] for result in results]
    for result in results:
        names = [folder.training(result["train_id"]).weights for folder in (whole, cut)]
        assert names[0].read_bytes() == names[1].read_bytes()
