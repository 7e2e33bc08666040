"""The examples of docs/extending.md do what the page says, without an edit elsewhere (the system: test_end_to_end)."""

import json
import sys
from collections.abc import Iterator
from math import log
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from examples import SPREAD, examples
from scipy.integrate import quad
from scipy.stats import kstest
from studies import serial, small, write_study

from models import inference, vae
from models.config import Member as StackMember
from models.config import ModelConfig, TrainConfig
from models.data.samples import samples_of
from models.training.trainer import Trainer
from workflow.analyze import parts, results
from workflow.analyze.registry import IncompletePart, all_parts
from workflow.storage.run_directory import RunDirectory


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of analyses outside the checkout."""
    folder = tmp_path / "elsewhere" / "workflow" / "analyze" / "parts"
    folder.mkdir(parents=True)
    monkeypatch.setattr(parts, "__path__", [*parts.__path__, str(folder)])
    yield folder
    forget()


def forget() -> None:
    """The next use of the analysis reads its file again."""
    sys.modules.pop("workflow.analyze.parts.spread", None)
    vars(parts).pop("spread", None)


def test_an_analysis_is_one_file(elsewhere: Path, tmp_path: Path) -> None:
    """Also of models that were analyzed before: these are analyzed again, and nothing else is done again."""
    study, run = write_study(tmp_path / "study.toml", small()), RunDirectory(tmp_path / "run")
    assert serial("run", study, run.root).exit_code == 0
    files = [path for folder in (run.dataset, run.trainings) for path in folder.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    old = json.loads(run.summary.read_text())
    (elsewhere / "spread.py").write_text(SPREAD)
    result = serial("run", study, run.root)
    assert result.exit_code == 0, result.output
    assert {path: path.read_bytes() for path in before} == before
    records = json.loads(run.summary.read_text())
    assert [record for record in records if not record["quantity"].startswith("spread_")] == old
    spread = {record["quantity"]: record for record in records if record["quantity"].startswith("spread_")}
    assert set(spread) == {"spread_0", "spread_1"}
    assert all(record["estimate"] > 0 and record["error"] > 0 for record in spread.values())
    page = run.page.read_text()
    assert "<h2>Spread of the latents</h2>" in page and 'id="spread-shallow"' in page
    assert (run.figures / "spread-shallow.svg").exists()
    written = [path for path in run.analysis.glob("*.json") if path not in (run.summary, run.verdict)]
    times = {path: path.stat().st_mtime_ns for path in written}
    assert serial("analyze", study, run.root).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in written} == times, "now it is done"


GATED = (
    SPREAD.replace("    figures=figures,\n", "    figures=figures,\n    gates=GATES,\n    version=2,\n")
    .replace(
        "PART = Part(",
        'GATES = {SIGNS: (Gate("spread", lambda name: name.startswith("spread_"), 0.0, 0.5),)}\nPART = Part(',
    )
    .replace("from workflow.storage", "from workflow.verdict.gates import SIGNS, Gate\nfrom workflow.storage")
)
"""The same with a condition of the verdict, and as a later program would have it."""


def test_a_part_brings_its_gate_and_a_raised_version_is_analyzed_again(elsewhere: Path, tmp_path: Path) -> None:
    study, run = write_study(tmp_path / "study.toml", small()), RunDirectory(tmp_path / "run")
    (elsewhere / "spread.py").write_text(SPREAD)
    assert serial("run", study, run.root).exit_code == 0
    (path,) = [path for path in run.analysis.glob("*.json") if path.stem in {p.name for p in run.trainings.iterdir()}]
    before, usual = json.loads(path.read_text()), json.loads(run.verdict.read_text())
    assert "versions" not in before and "spread" not in {gate["words"] for gate in usual[0]["judgements"]}
    (elsewhere / "spread.py").write_text(GATED)
    forget()
    assert serial("analyze", study, run.root).exit_code == 0
    assert json.loads(path.read_text()) == before | {"versions": {"spread": 2}}
    (verdict,) = json.loads(run.verdict.read_text())
    (gate,) = [gate for gate in verdict["judgements"] if gate["words"] == "spread"]
    # Latents of phases are spread more than that.
    assert gate["bounds"] == "0 to 0.5" and not gate["holds"]


def test_the_order_of_parts_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, run = write_study(tmp_path / "study.toml", small()), RunDirectory(tmp_path / "run")
    assert serial("run", study, run.root).exit_code == 0
    files = [path for path in run.analysis.iterdir() if path not in (run.summary, run.verdict)]
    before = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    monkeypatch.setattr(results, "all_parts", lambda: tuple(reversed(all_parts())))
    assert serial("analyze", study, run.root).exit_code == 0
    assert {path: path.read_bytes() for path in files} == before


def test_a_file_that_offers_no_analysis_is_named(elsewhere: Path) -> None:
    (elsewhere / "spread.py").write_text("PART = None\n")
    with pytest.raises(IncompletePart, match=r"spread\.py: an analysis ends with PART = Part\(name=\"spread\""):
        all_parts()


def test_a_likelihood_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the example: normalized, sampled from what it says, and a network learns with it."""
    module = ModuleType("laplace")
    exec(examples()["models/likelihoods/laplace.py"], vars(module))
    likelihood = module.Laplace()

    def density(x: float) -> float:
        return float(torch.exp(likelihood.log_probability(torch.tensor([[x]]), torch.tensor([[0.3]]))))

    assert sum(quad(density, *bounds)[0] for bounds in ((-30, 0.3), (0.3, 30))) == pytest.approx(1, abs=1e-5)
    drawn = likelihood.sample(torch.full((20_000, 1), 0.3), torch.Generator().manual_seed(1)).numpy()[:, 0]
    # Chance that a correct sampler fails.
    assert kstest(drawn, "laplace", args=(0.3,)).pvalue > 1e-6
    assert kstest(drawn, "laplace", args=(0.36,)).pvalue < 1e-6, "negative control"
    monkeypatch.setattr(vae, "build_likelihood", lambda config, members=1: module.Laplace(config.shape[0]))
    rng = np.random.default_rng(1)
    order = rng.choice([-3.0, 3.0], 512)
    x_SN = (order[:, None] + rng.laplace(size=(512, 16))).astype(np.float32)
    config = ModelConfig(shape=(1, 4, 4), variable="values", likelihood="gaussian")
    samples = samples_of(x_SN, (1, 4, 4), "values", 2, 0)
    trainer = Trainer(samples, config, TrainConfig(epochs=10, batch=64), [StackMember(1.0, 0)])
    losses = [float(epoch.reconstruction[0]) for epoch in trainer.epochs()]
    # The noise itself costs 1 + ln 2 a site.
    assert losses[-1] < 0.7 * losses[0] and losses[-1] < 1.3 * 16 * (1 + log(2))
    model = inference.from_tensors(config, trainer.weights()[0])
    mean_SZ = inference.encode(model, samples).mean
    assert max(abs(np.corrcoef(mean_SZ[:, unit], order)[0, 1]) for unit in range(2)) > 0.9
