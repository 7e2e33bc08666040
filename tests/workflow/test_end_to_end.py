"""One study through every stage: each file of a run folder, a page that stands alone, and a second run that does
nothing. Then the same with a system that only exists in a temporary folder."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from examples import FREE_SPINS
from pages import parsed
from safetensors.numpy import load_file
from studies import TINY, serial, small, write_study

import simulators.systems
from workflow.cli.main import main
from workflow.execution.failures import note_failure
from workflow.execution.run_folder import begin_run
from workflow.plan.tasks import model_plans, shard_tasks, simulation_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

STUDY = TINY | {"analyze": {"resamples": 50, "generated": 64}}
TASKS, RUNS = simulation_tasks(parse(STUDY)), model_plans(parse(STUDY))
STAGES = ("simulate", "train", "encode", "analyze", "report")
NUMBERS = {"quantity", "system", "size", "beta", "seed", "estimate", "error", "samples", "method"}
"""What every record of summary.json has."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Result]:
    folder = tmp_path_factory.mktemp("whole")
    result = serial("run", write_study(folder / "study.toml", STUDY), folder / "run")
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / "run"), result


@pytest.fixture(scope="module")
def run(outcome: tuple[RunDirectory, Result]) -> RunDirectory:
    return outcome[0]


def test_every_file_of_the_contract_is_there(run: RunDirectory) -> None:
    assert run.study.exists()
    assert len(run.manifest.read_text().splitlines()) == len(TASKS)
    for task in TASKS:
        assert run.shard(task).exists()
    for item in RUNS:
        training = run.training(item.train_id)
        names = {"config.json", "metrics.jsonl", "weights.safetensors", "result.json"}
        assert {path.name for path in training.root.iterdir()} == names
        assert len(training.metrics.read_text().splitlines()) == item["epochs"]
        assert load_file(training.weights)
        mine = [task.task_id for task in TASKS if task.size == item.size]
        assert sorted(path.stem for path in run.latents(item.train_id).iterdir()) == sorted(mine)
        assert (run.analysis / f"{item.train_id}.json").exists()
    assert run.summary.exists() and run.verdict.exists() and run.page.exists()
    assert list(run.figures.glob("*.svg"))
    assert not list(run.root.rglob("*.tmp"))
    assert not run.failures.exists()


def test_latents_have_the_columns_of_the_contract(run: RunDirectory) -> None:
    for path in run.latents(RUNS[0].train_id).iterdir():
        table = pq.read_table(path)
        named = ["task_id", "row", "mean_0", "std_0", "mean_1", "std_1", "reconstruction", "held_out"]
        assert table.column_names == named
        assert table.column("task_id").unique().to_pylist() == [path.stem]
        assert table.column("row").to_pylist() == list(range(256))
        assert sum(table.column("held_out").to_pylist()) == 64, "a quarter of the chains"


def test_every_number_of_the_summary_has_its_error_and_method(run: RunDirectory) -> None:
    records = json.loads(run.summary.read_text())
    assert records
    for record in records:
        assert set(record) >= NUMBERS
        assert record["system"] == "ising"
        assert isinstance(record["estimate"], int | float | None)
        assert isinstance(record["error"], int | float | None)
        assert record["samples"] >= 0 and record["method"]
    found = {record["quantity"] for record in records}
    headline = {"kl_0", "kl_1", "active_units", "psi4", "reconstruction", "cross_correlation", "angle", "accuracy"}
    assert headline <= found
    assert {"correlation_magnetization", "correlation_staggered_magnetization"} <= found
    for quantity in ("kl_0", "accuracy"):
        models = [record["train_id"] for record in records if record["quantity"] == quantity]
        assert sorted(models) == sorted(item.train_id for item in RUNS)


def test_the_verdict_is_printed(outcome: tuple[RunDirectory, Result]) -> None:
    run, result = outcome
    for size in (4, 8):
        assert f"phases: shallow, L = {size}, " in result.stdout
    assert f"report: {run.page}" in result.stdout
    for stage in STAGES:
        assert f"{stage:>10}  " in result.stderr
    settings = json.loads(run.verdict.read_text())
    assert len(settings) == 4
    assert {verdict["expected"] for verdict in settings} == {"order parameters", "collapse"}


def test_the_page_stands_alone(run: RunDirectory) -> None:
    text = run.page.read_text()
    page = parsed(text)
    assert page.open == [], "every element is closed"
    assert page.loads == []
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "img"}
    assert "@import" not in text
    assert "url(http" not in text and "url('http" not in text and 'url("http' not in text
    assert {path.stem for path in run.figures.glob("*.svg")} <= page.ids, "every figure is in the page"
    for name in ("Verdict", "Figures", "Models", "Certificates", "Cost", "Study"):
        assert f"<h2>{name}</h2>" in text


def test_a_page_that_loads_something_would_be_noticed() -> None:
    """Negative control."""
    page = parsed('<p><img src="https://example.org/x.png"><a href="#here">here</a></p><script src="x.js"></script>')
    assert page.loads == ["img src=https://example.org/x.png", "script src=x.js"]


def test_figures_are_whole_images(run: RunDirectory) -> None:
    for path in run.figures.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_running_again_does_nothing(outcome: tuple[RunDirectory, Result]) -> None:
    """Nothing is touched but the pages that gather results; these come out the same."""
    run, first = outcome
    gathered = (run.summary, run.verdict, run.report)

    def state() -> dict[Path, int]:
        files = (path for path in run.root.rglob("*") if path.is_file())
        return {path: path.stat().st_mtime_ns for path in files if not any(map(path.is_relative_to, gathered))}

    costs = {stage: line for line in run.stages.read_text().splitlines() if (stage := json.loads(line)["stage"])}
    summary, before = run.summary.read_bytes(), state()
    again = serial("run", str(run.root.parent / "study.toml"), run.root)
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    assert run.summary.read_bytes() == summary
    after = state()
    del before[run.stages], after[run.stages]
    assert after == before
    lines = [json.loads(line)["stage"] for line in run.stages.read_text().splitlines()]
    assert [stage for stage in lines if stage != "report"] == [stage for stage in costs if stage != "report"]


def test_the_run_passes_verify_and_its_status_is_done(run: RunDirectory) -> None:
    verified = CliRunner().invoke(main, ["verify", str(run.root)])
    assert verified.exit_code == 0, verified.output
    lines = CliRunner().invoke(main, ["status", str(run.root)]).output.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(STAGES)
    assert all(line.split()[-1] == "done" for line in lines)


def test_what_is_done_after_all_has_no_failure_noted(tmp_path: Path) -> None:
    """Of any stage: the note would make `status` count it as failed for ever."""
    raw = small()
    study = write_study(tmp_path / "study.toml", raw)
    (task, *_), (item,) = shard_tasks(parse(raw)), model_plans(parse(raw))
    run = begin_run(parse(raw), tmp_path / "run")
    for name in (
        task.task_id,
        item.train_id,
        f"encode-{item.train_id}",
        f"analyze-{item.train_id}",
        "analyze-ising-L=4",
    ):
        note_failure(run, name, "the node was lost")
    status = CliRunner().invoke(main, ["status", str(run.root)]).output
    assert [line.split()[3] for line in status.splitlines()[1:5]] == ["1"] * 4
    assert serial("run", study, run.root).exit_code == 0
    assert list(run.failures.glob("*")) == []
    status = CliRunner().invoke(main, ["status", str(run.root)]).output
    assert [line.split()[3] for line in status.splitlines()[1:]] == ["0"] * 5


@pytest.fixture
def free_spins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A system outside the checkout: one file, and nothing else is told of it."""
    folder = tmp_path / "elsewhere" / "simulators" / "systems"
    folder.mkdir(parents=True)
    (folder / "free_spins.py").write_text(FREE_SPINS)
    monkeypatch.setattr(simulators.systems, "__path__", [*simulators.systems.__path__, str(folder)])
    yield folder / "free_spins.py"
    forget_free_spins()


def forget_free_spins() -> None:
    """The next use of the system reads its file again."""
    sys.modules.pop("simulators.systems.free_spins", None)
    vars(simulators.systems).pop("free_spins", None)


def test_a_new_system_is_one_file(tmp_path: Path, free_spins: Path) -> None:
    block = {"system": "free-spins", "size": 4, "field": [-2.0, 2.0], "temperature": [1.0, 40.0], "samples": 128}
    raw = small(simulate=[block], train=[{"name": "fields", "beta": 0.5, "epochs": 4}])
    result = serial("run", write_study(tmp_path / "study.toml", raw), tmp_path / "run")
    assert result.exit_code == 0, result.output
    run = RunDirectory(tmp_path / "run")
    assert len(list((run.dataset / "free-spins" / "L=4").glob("*.parquet"))) == 4
    records = json.loads(run.summary.read_text())
    found = {record["quantity"]: record["estimate"] for record in records}
    # Two states of m = -+ tanh 2 on sixteen sites: any latent that carries something follows them.
    assert abs(found["correlation_magnetization"]) > 0.9
    page = parsed(run.page.read_text())
    assert page.open == [] and page.loads == []
    assert "free-spins" in run.page.read_text()
    assert f"{-2 * math.tanh(2):.5f}" in run.page.read_text(), "the exact energy beside the measured one"
    verified = CliRunner().invoke(main, ["verify", str(run.root)])
    assert verified.exit_code == 0, verified.output
    assert "4 energies agree with the exact finite-lattice values" in verified.output
    again = serial("run", str(tmp_path / "study.toml"), run.root)
    assert again.exit_code == 0, again.output
    assert len(list((run.dataset / "free-spins" / "L=4").glob("*.parquet"))) == 4


def test_a_wrong_exact_energy_fails_verify(tmp_path: Path, free_spins: Path) -> None:
    """Negative control: it is the energy in the system's file that ``verify`` compares with."""
    block = {"system": "free-spins", "size": 4, "field": 2.0, "temperature": 4.0, "samples": 1024}
    study = write_study(tmp_path / "study.toml", small(simulate=[block], train=[]))
    assert serial("simulate", study, tmp_path / "run").exit_code == 0
    verify = ["verify", str(tmp_path / "run")]
    assert CliRunner().invoke(main, verify).exit_code == 0
    # 10 % off: 20 standard errors of the 1024 samples of 16 spins.
    free_spins.write_text(FREE_SPINS.replace("ExactEnergy(-spec.field", "ExactEnergy(-0.9 * spec.field"))
    forget_free_spins()
    result = CliRunner().invoke(main, verify)
    assert result.exit_code == 1
    assert "standard errors from its exact value" in result.output
