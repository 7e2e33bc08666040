"""What the groups make of their measurements; the measurements themselves are not tested for speed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workflow.bench import GROUPS, fanout, kernels, physics, run_bench, training, workflow
from workflow.bench._figure import Figure, Report, SkippedFigure
from workflow.plan.tasks import simulation_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse
from workflow.verdict import gates

INSTALLED: Mapping[str, ModuleType | None] = {kernels.MCISING: np, kernels.PEAPODS: np}


def rates(mcising: float) -> dict[str, NDArray[np.float64]]:
    """Three rounds on a machine that slows down."""
    slower = np.array([4.0, 2.0, 1.0])
    return {kernels.OURS: 60 * slower, kernels.MCISING: mcising * slower, kernels.SCALAR: slower}


@pytest.fixture
def no_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers need not be installed where the arithmetic is tested."""
    monkeypatch.setattr(kernels.importlib.metadata, "version", lambda name: "1")


@pytest.mark.usefixtures("no_versions")
@pytest.mark.parametrize("size", [32, 128, 512])
def test_metropolis_is_gated_against_mcising(size: int) -> None:
    slow, scalar = list(kernels.compared("metropolis", size, rates(1.0), INSTALLED))
    assert isinstance(slow, Figure) and isinstance(scalar, Figure)
    assert (slow.value, slow.spread) == (60.0, (60.0, 60.0))
    assert slow.holds
    assert scalar.gate is None
    # Negative control: a peer of which ours is only 29.9 times as fast.
    fast = next(kernels.compared("metropolis", size, rates(60 / 29.9), INSTALLED))
    assert isinstance(fast, Figure)
    assert not fast.holds


@pytest.mark.usefixtures("no_versions")
def test_swendsen_wang_has_no_gate() -> None:
    figures = list(kernels.compared("swendsen-wang", 32, rates(1e6), INSTALLED))
    assert all(isinstance(figure, Figure) and figure.holds for figure in figures)


def test_a_missing_peer_is_skipped_with_what_would_help() -> None:
    without = {kernels.OURS: np.array([6.0]), kernels.SCALAR: np.array([1.0])}
    found = list(kernels.compared("metropolis", 32, without, {kernels.MCISING: None, kernels.PEAPODS: None}))
    skipped = [item for item in found if isinstance(item, SkippedFigure)]
    assert [item.name for item in skipped] == ["metropolis L=32 / mcising", "metropolis L=32 / peapods"]
    assert all("pip install 'latentphase[bench]'" in item.reason for item in skipped)
    assert len(found) == 3


def test_only_the_documented_trainer_of_pythae_is_gated() -> None:
    slower = np.array([4.0, 2.0, 1.0])
    rates = {training.PYTHAE: 100 * slower, training.BARE: 200 * slower}
    documented, bare = training.against_pythae("ours", 120 * slower, rates, training.TABLE1_GATE)
    assert isinstance(documented, Figure) and isinstance(bare, Figure)
    assert (documented.value, documented.spread) == (1.2, (1.2, 1.2))
    assert documented.holds
    assert (bare.value, bare.gate) == (0.6, None)
    # Negative control: one per cent slower.
    slow = next(training.against_pythae("ours", 118.8 * slower, rates, training.TABLE1_GATE))
    assert isinstance(slow, Figure)
    assert not slow.holds


def test_without_pythae_the_comparison_is_left_out_with_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "peer", lambda name: None)
    model = training.ModelConfig(shape=(1, 4, 4))
    samples = training.PackedSamples(np.zeros((1, 2), dtype=np.uint8), model.shape)
    rates = {name: np.array([1.0]) for name in training._pythae(samples, model)}
    (skipped,) = training.against_pythae("ours", np.array([1.0]), rates, None)
    assert isinstance(skipped, SkippedFigure)
    assert skipped.name == "ours / pythae"
    assert "pip install 'latentphase[bench]'" in skipped.reason


def test_a_package_that_is_not_installed_is_no_peer() -> None:
    assert kernels.peer("no_package_has_this_name") is None
    assert kernels.peer("numpy") is np


def test_updates_are_chains_times_sites_times_sweeps() -> None:
    certificate: Any = SimpleNamespace(chains=64, thermalization=100, spacing=10, measurements=20)
    assert workflow.updates_done([certificate, certificate], 8) == 2 * 64 * 64 * 300


def test_the_stage_is_made_as_long_as_wanted() -> None:
    """Samples times the expected spacing are the updates that two workers do in a minute, to the rounding."""
    for size, spacing in workflow.SPACINGS.items():
        tasks = simulation_tasks(workflow.stage_study(size, 60.0, 1e10))
        updates = sum(task.samples for task in tasks) * spacing * size**2
        assert updates == pytest.approx(60.0 * 1e10, rel=0.01)
        assert all(task.chains == workflow.CHAINS for task in tasks)


@pytest.mark.parametrize(("correlation", "good"), [(0.99, True), (0.9, False)])
def test_the_verdict_is_gated_on_the_worst_seed(tmp_path: Path, correlation: float, good: bool) -> None:
    common = {"name": "phases", "network": "shallow", "size": 16, "beta_setting": "auto", "beta": 20.0}
    common |= {"system": "ising", "input": "raw", "subject": gates.SIGNS}
    quantities = {"kl_0": (1.0, 0.9), "correlation_magnetization": (0.999, correlation), "isometry_fm": (2.0, 1.95)}
    records = [
        {"quantity": quantity, **common, "beta_over_lam": 0.2, "seed": seed, "train_id": str(seed)}
        | {"estimate": values[seed], "error": 0.001, "samples": 100, "method": ""}
        for seed in (0, 1)
        for quantity, values in quantities.items()
    ]
    run = RunDirectory(tmp_path)
    run.analysis.mkdir()
    run.summary.write_text(json.dumps(records))
    by_words = {figure.name.removeprefix("phases: "): figure for figure in physics.verdict(run)}
    assert list(by_words) == [gate.words for gate in gates.DISENTANGLED]
    figure = by_words["|corr| on its own axis"]
    assert figure.value == correlation
    assert figure.holds is good
    assert by_words["isometry ratio"].holds
    # What the analysis did not give cannot have been good.
    assert not by_words["cluster accuracy"].holds


def plain_energy_z(temperature: float) -> float:
    """Distance of the plain kernel's energy, run at ``temperature``, from the exact one at T_c, in its own errors.

    64 independent lattices of L = 8: from 200 sweeps on, well above twenty autocorrelation times.
    """
    rng = np.random.default_rng(1)
    bits_P = kernels.multispin.thresholds([Decimal(cost / temperature) for cost in (4, 8)]).bits_P
    means = []
    for generator_V in kernels.multispin.generators(rng, 64):
        spins_IJ = np.ones((8, 8), dtype=np.int8)
        kernels.scalar_sweeps(spins_IJ, generator_V, bits_P, 200)
        energies = []
        for _ in range(50):
            kernels.scalar_sweeps(spins_IJ, generator_V, bits_P, 5)
            energies.append(-(spins_IJ * (np.roll(spins_IJ, 1, 0) + np.roll(spins_IJ, 1, 1))).mean())
        means.append(np.mean(energies))
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    return float((np.mean(means) - physics.exact.ising(8, 8, kernels.T_C).energy) / error)


def test_the_plain_kernel_is_an_ising_model() -> None:
    """Otherwise it would be no reference. False alarm 1.7e-4 (Student's t, 63 degrees of freedom)."""
    assert abs(plain_energy_z(kernels.T_C)) < 4


def test_a_three_per_cent_wrong_temperature_of_the_plain_kernel_is_noticed() -> None:
    """Negative control."""
    assert abs(plain_energy_z(1.03 * kernels.T_C)) > 4


@pytest.mark.slow
@pytest.mark.ray
def test_every_group_runs(tmp_path: Path) -> None:
    """About two minutes; gates on speed may fail on a busy machine, but nothing may break off."""
    output = tmp_path / "bench.json"
    run_bench(tuple(GROUPS), quick=True, output=output, say=print)
    report = Report.from_json(output.read_text())
    # Without a GPU, the group gpu says so and no more.
    assert {item.group for item in (*report.figures, *report.skipped)} == set(GROUPS)
    assert set(GROUPS) - {figure.group for figure in report.figures} <= {"gpu"}
    assert set(report.failed) <= {figure.title for figure in report.figures}
    assert not [title for title in report.failed if title.startswith("physics")]


def test_the_fan_out_is_as_many_tasks_as_are_asked_for() -> None:
    tasks = simulation_tasks(parse(fanout.small_points(600)))
    assert len({task.task_id for task in tasks}) == 600
    assert {(task.size, task.algorithm, task.spacing) for task in tasks} == {(4, "metropolis", 10)}


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(RuntimeError, match=r"latentphase status nowhere ended with 2: (.|\n)*is no run folder"):
        fanout.command("status", "nowhere")


def test_a_command_is_timed_with_its_memory() -> None:
    found = fanout.command("--help")
    assert found.seconds > 0
    # The interpreter alone takes about ten.
    assert 4 * fanout.MEBIBYTE < found.bytes < 1000 * fanout.MEBIBYTE
