"""Analysis reweights with the column ``sign`` of shards that have one, and says what the average sign is worth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contexts import context
from data_files import spins, write_parquet
from studies import serial, write_study

from workflow.analyze.held_out import HeldOutSamples, held_out_samples, phases_of
from workflow.analyze.parts import information, measured, sign, thermal
from workflow.analyze.results import read_analysis, read_models
from workflow.analyze.summary import lost_signs
from workflow.dataset import shards
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse
from workflow.verdict.records import read_records

ROWS = 400
STUDY: dict[str, Any] = {
    "name": "signed",
    "data": [{"name": "elsewhere", "path": "files"}],
    "train": [{"name": "field", "epochs": 2, "batch": 64}],
    "analyze": {"resamples": 50, "generated": 16, "ordered_above": 0.3},
}


def signed_file(path: Path, seed: int, temperature: float, plus: float) -> None:
    """Random spins whose order parameter depends on the sign, of which the share ``plus`` is +1."""
    rng = np.random.default_rng(seed)
    sign = np.where(rng.random(ROWS) < plus, 1.0, -1.0)
    order = np.where(sign > 0, 0.2, 0.5) * rng.choice([-1.0, 1.0], ROWS)
    write_parquet(path, spins(seed, ROWS), "bits", temperature=temperature, magnetization=order, sign=sign)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Average signs .6 and 0 (by chance within an error or two)."""
    folder = tmp_path_factory.mktemp("signed")
    signed_file(folder / "files" / "a.parquet", 1, 1.0, 0.8)
    signed_file(folder / "files" / "b.parquet", 2, 2.0, 0.5)
    for stage in ("simulate", "train", "encode", "analyze"):
        result = serial(stage, write_study(folder / "study.toml", STUDY), folder / "run")
        assert result.exit_code == 0, result.output
    return RunDirectory(folder / "run")


def held(run: RunDirectory) -> tuple[Any, HeldOutSamples]:
    study = parse(STUDY, folder=run.root.parent)  # type: ignore[arg-type]  # a path here
    (item,) = model_plans(study)
    return study, held_out_samples(run, shard_tasks(study), set(item.task_ids), item["held_out"])


def test_thermal_averages_have_the_signs_as_weights(run: RunDirectory) -> None:
    _, samples = held(run)
    sign = samples.labelled.sign
    assert sign is not None and set(sign) == {-1.0, 1.0}
    weight_S = samples.thermal.weight_S
    assert weight_S is not None and samples.chains.weight_S is None
    # 200 held-out rows of one file after the other, whose sign is told by the order parameter.
    np.testing.assert_array_equal(weight_S, np.where(np.abs(samples.order_SK[:, 0]) < 0.3, 1.0, -1.0))


def test_what_is_ordered_is_a_thermal_average(run: RunDirectory) -> None:
    """<|m|> of the first file is near (.8 x .2 - .2 x .5) / .6 = .1; without the sign it would be .26."""
    _, samples = held(run)
    first = samples.labelled.shard[samples.rows] == samples.labelled.points.index({"size": 4, "temperature": 1.0})
    assert set(phases_of(samples, 0.2).label_S[first]) == {2}
    ignoring = samples._replace(labelled=_without_signs(samples))
    assert set(phases_of(ignoring, 0.2).label_S[first]) == {0, 1}, "negative control"


def _without_signs(samples: HeldOutSamples) -> Any:
    labelled = samples.labelled
    return type(labelled)(**{n: getattr(labelled, n) for n in labelled.__slots__} | {"sign": None})


def test_curves_are_reweighted(run: RunDirectory) -> None:
    study, samples = held(run)
    (item,) = model_plans(study)
    result = read_analysis(run, item.train_id)
    (branch,) = result[thermal.PART] or []
    column = branch.columns.index("magnetization")
    for point, temperature in enumerate(branch.scan.temperature):
        rows = np.array([p["temperature"] == temperature for p in samples.labelled.points])
        chosen = rows[samples.labelled.shard[samples.rows]]
        weight_S, length_S = samples.thermal.weight_S[chosen], np.abs(samples.order_SK[chosen, 0])  # type: ignore[index]
        mean = branch.scan.mean_TF[point][column]
        assert mean.value == pytest.approx((weight_S * length_S).sum() / weight_S.sum())
        assert mean.method.endswith("weighted by the sign")
    divergence = information.of(result).divergence
    assert not divergence[0].method.endswith("sign"), "KL is of what the network sees"


def test_average_signs_are_told_with_what_they_are_worth(run: RunDirectory) -> None:
    study, samples = held(run)
    (item,) = model_plans(study)
    averages = read_analysis(run, item.train_id)[sign.PART]
    assert averages is not None
    found = {point.point["temperature"]: point.average for point in averages}
    assert found[1.0].value == pytest.approx(0.6, abs=0.2)
    section = sign.section(read_models(run, [item], shard_tasks(study)))
    assert section is not None
    assert {row[2]: row[4].endswith("✗") for row in section.table.rows} == {
        "size = 4, temperature = 1": False,
        "size = 4, temperature = 2": True,
    }
    everything = read_records(run.summary)
    assert len(lost_signs(everything)) == 1 and "less than 5 errors" in lost_signs(everything)[0]
    estimates = [record.estimate for record in everything if record.quantity == "average_sign"]
    assert estimates == [found[2.0]], "the point that is worth least"
    assert len(samples.rows) == 2 * ROWS // 4


def test_measured_columns_are_correlated_with_reweighted_covariances(tmp_path: Path) -> None:
    """On real columns of the Hubbard model, with signs and latents drawn here; the sign itself keeps |weight|."""
    block = {"system": "hubbard", "size": 2, "temperature": 1.0, "interaction": 4.0, "chemical_potential": -0.5}
    block |= {"trotter_step": 0.25, "samples": 256, "chains": 16, "thermalization": 4, "spacing": 1}
    study = parse({"name": "h", "simulate": [block], "allow_uncertified": True})
    run = begin_run(study, tmp_path / "run")
    simulate(study, run, Execution(SerialExecutor(), quiet=True))
    tasks = shard_tasks(study)
    samples = held_out_samples(run, tasks, {tasks[0].task_id}, 0.5)
    rng = np.random.default_rng(1)
    sign_S = rng.choice([-1.0, 1.0], len(samples.labelled.chain), p=[0.2, 0.8])
    labelled = type(samples.labelled)(
        **{n: getattr(samples.labelled, n) for n in samples.labelled.__slots__} | {"sign": sign_S}
    )
    signed = samples._replace(labelled=labelled)
    columns = shards.read(run.shard(tasks[0])).columns
    value_S, weight_S = columns["spin_structure"][samples.rows], sign_S[samples.rows]
    mean_SZ = (value_S + 0.3 * rng.standard_normal(len(value_S)) + 0.2 * weight_S)[:, None]

    def squared(weight_S: Any) -> float:
        cov = np.cov(mean_SZ[:, 0], value_S, aweights=weight_S) if weight_S is None else _covariance(weight_S)
        return float(cov[0, 1] ** 2 / (cov[0, 0] * cov[1, 1]))

    def _covariance(weight_S: Any) -> Any:
        x_SD = np.stack([mean_SZ[:, 0], value_S], axis=1)
        mean = weight_S @ x_SD / weight_S.sum()
        return (weight_S[:, None] * (x_SD - mean)).T @ (x_SD - mean) / weight_S.sum()

    found, ignoring = (
        measured.analyze(context(some, mean_SZ, tasks, run=run, units=(0,)))["spin_structure"]
        for some in (signed, samples)
    )
    assert found.alone.value == pytest.approx(squared(weight_S), rel=1e-6)
    assert ignoring.alone.value == pytest.approx(squared(None), rel=1e-6)
    assert abs(found.alone.value - ignoring.alone.value) > 1e-3, "negative control"
    assert "sign" in found.alone.method and "sign" not in ignoring.alone.method
