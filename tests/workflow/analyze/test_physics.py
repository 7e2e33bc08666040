"""Analysis of every system's data: its own phases, distances between them, curves, and what latents hold of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contexts import Latents, analysis, context, posteriors
from numpy.typing import NDArray

from analysis.errors import Estimate
from analysis.orders import columns
from workflow.analyze import held_out
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import HeldOutSamples, held_out_samples, phases_of, training_rows
from workflow.analyze.parts import aligned, canonical, geometry, measured, probe, similarity
from workflow.analyze.parts.thermal import thermal_curves
from workflow.analyze.physics import physics
from workflow.analyze.sizes import SizeAnalysis, SizeJob, analyze_size, read_size
from workflow.dataset import shards
from workflow.dataset.origins import SimulationTask
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import simulation_tasks
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import from_json, to_json
from workflow.study.blocks import AnalyzeBlock, Study
from workflow.study.loading import parse

POINTS: dict[str, dict[str, Any]] = {
    "ising": {"coupling": 1.0, "temperature": [1.2, 4.0, 5.0]},
    "potts": {"states": 3, "coupling": 1.0, "temperature": [0.5, 3.0, 4.0]},
    "clock": {"states": 4, "coupling": 1.0, "temperature": [0.4, 3.0, 4.0]},
    "xy": {"coupling": 1.0, "temperature": [0.2, 3.0, 4.0]},
    "blume-capel": {"coupling": 1.0, "crystal_field": 0.0, "temperature": [0.6, 4.0, 5.0]},
    "phi4": {"quartic": 1.0, "hopping": [0.05, 0.1, 0.6]},
}
"""An ordered point and two disordered ones."""
ORDERED = {
    "ising": ("magnetization+", "magnetization-"),
    "potts": ("magnetization 0", "magnetization 1", "magnetization 2"),
    "clock": tuple(f"magnetization {d}" for d in range(4)),
    "xy": ("magnetization",),
    "blume-capel": ("magnetization+", "magnetization-"),
    "phi4": ("magnetization+", "magnetization-"),
}
ALGORITHM = "swendsen-wang"


class Simulated:
    """One system's data: run folder, tasks and held-out samples."""

    def __init__(self, system: str, root: Path, **changed: Any) -> None:
        block = {"system": system, "size": 6, "samples": 256, "algorithm": ALGORITHM, **POINTS[system], **changed}
        study: Study = parse({"name": system, "simulate": [block], "analyze": {"resamples": 50}})
        self.run: RunDirectory = begin_run(study, root / system)
        simulate(study, self.run, Execution(SerialExecutor(), quiet=True))
        self.tasks: tuple[SimulationTask, ...] = simulation_tasks(study)
        self.settings: AnalyzeBlock = study.analyze
        self.ids = tuple(task.task_id for task in self.tasks)

    def samples(self) -> HeldOutSamples:
        return held_out_samples(self.run, self.tasks, set(self.ids), 0.25)

    def sizes(self) -> SizeAnalysis:
        """What ``analyze_size`` writes."""
        job = SizeJob(self.tasks[0].system, 6, 0.25, self.ids, self.tasks, self.settings, 1)
        analyze_size(job, str(self.run.root))
        return read_size(self.run, job.name)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Simulated]:
    root = tmp_path_factory.mktemp("physics")
    return {system: Simulated(system, root) for system in POINTS}


@pytest.mark.parametrize("system", POINTS)
def test_the_phases_of_a_system_are_its_own(simulated: dict[str, Simulated], system: str) -> None:
    found = phases_of(simulated[system].samples(), 0.5)
    assert found.orders == (0,)
    assert {found.names[phase] for phase in found.present} == {*ORDERED[system], "disordered"}


@pytest.mark.parametrize("system", POINTS)
def test_input_space_is_analyzed_for_every_variable(simulated: dict[str, Simulated], system: str) -> None:
    result = simulated[system].sizes()
    assert result.phases is not None and result.phases[-1] == "disordered"
    (branch,) = result.thermal
    assert branch.order == "magnetization"
    assert branch.parameter == ("hopping" if system == "phi4" else "temperature")
    steps = [step.value for step in branch.neighbours.distance]
    # Folded, the step into or out of the ordered phase is large; between disordered points there is next to none.
    assert max(steps) > 0.4 > 3 * min(steps)


def test_potts_phases_are_a_centred_triangle_in_input_space(simulated: dict[str, Simulated]) -> None:
    result = simulated["potts"].sizes()
    assert result.distances is not None and result.phases is not None
    distance = {(d.first, d.second): d.distance.value for d in result.distances}
    names = result.phases
    disordered = names.index("disordered")
    ordered = [names.index(name) for name in ORDERED["potts"]]
    edges = [distance[pair] for pair in distance if set(pair) <= set(ordered)]
    spokes = [distance[pair] for pair in distance if disordered in pair and set(pair) & set(ordered)]
    # Means of finite samples, and small lattices that are never without order: a few per cent.
    assert np.mean(edges) / np.mean(spokes) == pytest.approx(np.sqrt(3), rel=0.05)


def described(data: Simulated, latents: Latents, width: float = 0.05) -> ModelContext:
    """Of latents that are a function of the order parameter, with a little noise."""
    samples = data.samples()
    rng = np.random.default_rng(0)
    trained_rows = training_rows(samples, data.ids)

    def mean(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        order_SK = held_out.components_at(samples.labelled, rows, samples.orders)
        return latents(order_SK) + width * rng.normal(size=(len(rows), 2))

    assert not set(trained_rows) & set(samples.rows)
    assert len(trained_rows) + len(samples.rows) == len(samples.labelled.shard)
    return context(
        samples,
        mean(samples.rows),
        data.tasks,
        phases=phases_of(samples, 0.5),
        units=(0, 1),
        width=width,
        training_posteriors=posteriors(mean(trained_rows), width),
        training_phases=phases_of(samples, 0.5, trained_rows),
    )


def test_latents_that_are_the_plane_of_the_potts_order_parameter(simulated: dict[str, Simulated]) -> None:
    plane = np.array([[1, 0], [-0.5, np.sqrt(3) / 2], [-0.5, -np.sqrt(3) / 2]])
    data = described(simulated["potts"], lambda order_SK: order_SK[:, :3] @ plane)
    assert [e.value > 0.98 for e in canonical.analyze(data)["magnetization"].squared] == [True, True]
    assert aligned.analyze(data) == {}
    shape = geometry.analyze(data)["magnetization"]
    assert shape.shape == "flat"
    assert shape.ratio is not None and shape.ratio.value == pytest.approx(np.sqrt(3), rel=0.05)
    cosines, probes = similarity.analyze(data), probe.analyze(data)
    assert cosines is not None and cosines.is_informative
    assert probes is not None and probes["means"].accuracy.value > 0.97
    assert probes["means"].classes == 4


def test_numbers_are_estimates_by_quantity(simulated: dict[str, Simulated]) -> None:
    data = described(simulated["clock"], lambda order_SK: order_SK[:, :2])
    parts = (canonical, aligned, geometry, similarity, probe)
    results = {part.PART.name: from_json(part.PART.result, to_json(data.result(part.PART))) for part in parts}
    finished = analysis(order_parameters=columns(data.samples.orders), **results)
    assert [quantity for part in parts for quantity, _ in part.numbers(finished)] == [
        "canonical_magnetization",
        "aligned_magnetization",
        "distance_ratio_magnetization",
        "unevenness_magnetization",
        "dimension_magnetization",
        "thickness_magnetization",
        "kl_total",
        "cosine_same",
        "cosine_other",
        "cosine_contrast",
        "probe_accuracy_means",
        "probe_accuracy_draws",
    ]
    assert all(isinstance(number, Estimate) for part in parts for _, number in part.numbers(finished))
    assert [number for part in parts for number in part.numbers(analysis())] == []


def test_latents_that_are_a_turned_vector(simulated: dict[str, Simulated]) -> None:
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    data = described(simulated["xy"], lambda order_SK: order_SK[:, :2] @ turn)
    assert aligned.analyze(data)["magnetization"].worst.value > 0.99
    assert canonical.analyze(data)["magnetization"].smallest.value > 0.98
    # One ordered phase and the disordered one have no shape.
    assert geometry.analyze(data) == {}


def test_latents_that_hold_only_a_length_pass_nothing(simulated: dict[str, Simulated]) -> None:
    """Negative control."""
    data = described(simulated["xy"], lambda order_SK: np.linalg.norm(order_SK[:, :2], axis=1)[:, None] * [1, 0])
    assert aligned.analyze(data)["magnetization"].worst.value < 0.5
    assert canonical.analyze(data)["magnetization"].smallest.value < 0.2


@pytest.mark.parametrize("system", ["potts", "phi4"])
def test_curves_of_vectors_are_of_lengths_and_those_of_signs_have_distances(
    simulated: dict[str, Simulated], system: str
) -> None:
    data = simulated[system]
    samples = data.samples()
    mean_SZ = samples.order_SK[:, :2].copy()
    (branch,) = thermal_curves(mean_SZ, samples, 50, np.random.default_rng(0))
    assert branch.columns[:2] == ("latent_0", "latent_1")
    rows = np.array([[e.value for e in row] for row in branch.scan.mean_TF])
    assert rows.shape == (3, len(branch.columns))
    if system == "potts":
        assert branch.neighbours is None
        assert branch.columns[-3:] == ("length_magnetization", "length_staggered_magnetization", "length_latent")
        lengths = rows[:, branch.columns.index("length_magnetization")]
        assert lengths[0] > 0.9 > 0.5 > lengths[1]
    else:
        assert branch.neighbours is not None and len(branch.neighbours.distance) == 2
        assert branch.columns[2:] == ("magnetization", "staggered_magnetization")


def test_spin_one_is_three_states_from_minus_one(simulated: dict[str, Simulated]) -> None:
    found = physics(simulated["blume-capel"].tasks[0]).variable
    assert (found.kind, found.states, found.lowest) == ("states", 3, -1)
    kinds = {system: physics(data.tasks[0]).variable.kind for system, data in simulated.items()}
    assert kinds == {
        "ising": "spins", "potts": "states", "clock": "states", "xy": "angles", "blume-capel": "states",
        "phi4": "values",
    }  # fmt: skip


def test_labels_that_came_with_the_data_are_the_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards without an order parameter and with a column of labels."""
    data = Simulated("ising", tmp_path)
    for k, task in enumerate(data.tasks):
        path = data.run.shard(task)
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[b"latentphase"]) | {"label_names": {str(k): "abc"[k]}}
        table = table.append_column("label", pa.array([k] * len(table), pa.int32()))
        pq.write_table(table.replace_schema_metadata({"latentphase": json.dumps(about)}), path)
    monkeypatch.setattr(held_out, "physics", lambda *task: physics(*task)._replace(orders=()))
    samples = data.samples()
    found = phases_of(samples, 0.5)
    assert (found.names, found.present, found.orders) == (("a", "b", "c"), (0, 1, 2), ())
    np.testing.assert_array_equal(found.label_S, samples.labelled.shard[samples.rows])
    result = data.sizes()
    assert result.phases == ("a", "b", "c")
    assert result.distances is not None and len(result.distances) == 3
    assert (result.thermal, result.isometry) == ([], {})
    labels = phases_of(samples, 0.5, training_rows(samples, data.ids))
    made = context(
        samples,
        np.eye(3)[found.label_S],
        data.tasks,
        phases=found,
        units=(0, 1, 2),
        training_posteriors=posteriors(np.eye(3)[labels.label_S]),
        training_phases=labels,
    )
    assert canonical.analyze(made) == {}
    unevenness, probes = geometry.analyze(made)["classes"].unevenness, probe.analyze(made)
    assert unevenness is not None and unevenness.value == pytest.approx(1)
    assert probes is not None and probes["means"].accuracy.value == 1


def test_latents_against_every_other_number_that_is_measured(simulated: dict[str, Simulated]) -> None:
    data = simulated["blume-capel"]
    samples = data.samples()
    loaded = [shards.read(data.run.shard(t)).columns for t in data.tasks]
    energy_S, share_S = (np.concatenate([c[name] for c in loaded])[samples.rows] for name in ("energy", "quadrupole"))
    noise = np.random.default_rng(0).normal(size=(3, len(energy_S)))
    mean_SZ = np.stack([noise[0], 2 - 3 * energy_S, share_S + 0.2 * noise[1], noise[2]], axis=1)
    found = measured.analyze(context(samples, mean_SZ, data.tasks, run=data.run, units=(0, 1, 2)))
    assert set(found) == {"energy", "quadrupole"}
    energy, share = found["energy"], found["quadrupole"]
    assert energy.unit == 1 and energy.alone.value == pytest.approx(1) and energy.together.value == pytest.approx(1)
    one = float(np.corrcoef(mean_SZ[:, share.unit], share_S)[0, 1] ** 2)
    assert share.alone.value == pytest.approx(one)
    design = np.column_stack([mean_SZ[:, :3], np.ones(len(share_S))])
    residual = share_S - design @ np.linalg.lstsq(design, share_S, rcond=None)[0]
    assert share.together.value == pytest.approx(1 - residual.var() / share_S.var())
    # Negative control: a latent of noise carries neither.
    none = measured.analyze(context(samples, mean_SZ, data.tasks, run=data.run, units=(0,)))
    assert max(held.together.value for held in none.values()) < 0.1


def test_couplings_of_both_signs_are_taken_out_of_the_energy(tmp_path: Path) -> None:
    """A latent that is the sum over bonds: all of it is found, and little of it in the energy."""
    data = Simulated("ising", tmp_path, coupling=[1.0, -1.0])
    samples = data.samples()
    loaded = [shards.read(data.run.shard(t)) for t in data.tasks]
    parts = [read.configurations().astype(float) for read in loaded]
    bonds_S = np.concatenate([(x * (np.roll(x, 1, -1) + np.roll(x, 1, -2))).mean((1, 2, 3)) for x in parts])
    mean_SZ = bonds_S[samples.rows, None]
    found = measured.analyze(context(samples, mean_SZ, data.tasks, run=data.run, units=(0,)))
    assert set(found) == {"energy", "bonds"}
    assert found["bonds"].alone.value == pytest.approx(1)
    assert found["energy"].alone.value < 0.1
