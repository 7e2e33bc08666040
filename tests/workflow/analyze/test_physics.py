"""Analysis of every system's data: its own phases, distances between them, curves, and what latents hold of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow.analyze import held_out
from workflow.analyze.held_out import Samples, held_out_samples, phases_of, training_rows
from workflow.analyze.latents import Latents, describe
from workflow.analyze.measured import measured
from workflow.analyze.model import thermal_curves
from workflow.analyze.physics import physics
from workflow.analyze.results import plain
from workflow.analyze.sizes import SizeJob, analyze_size
from workflow.dataset import shards
from workflow.dataset.origins import SimulationTask
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import simulation_tasks
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import AnalyzeBlock, Study
from workflow.study.loading import parse
from workflow.verdict.latent_records import latent_records

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

    def samples(self) -> Samples:
        return held_out_samples(self.run, self.tasks, set(self.ids), 0.25)

    def sizes(self) -> dict[str, Any]:
        """What ``analyze_size`` writes."""
        job = SizeJob(self.tasks[0].system, 6, 0.25, self.ids, self.tasks, self.settings, 1)
        analyze_size(job, str(self.run.root))
        return dict(json.loads((self.run.analysis / f"{job.name}.json").read_text()))


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
    content = simulated[system].sizes()
    assert content["phases"][-1] == "disordered"
    (branch,) = content["thermal"]
    assert branch["order"] == "magnetization"
    assert branch["parameter"] == ("hopping" if system == "phi4" else "temperature")
    steps = [step["value"] for step in branch["neighbours"]["distance"]]
    # Folded, the step into or out of the ordered phase is large; between disordered points there is next to none.
    assert max(steps) > 0.4 > 3 * min(steps)


def test_potts_phases_are_a_centred_triangle_in_input_space(simulated: dict[str, Simulated]) -> None:
    content = simulated["potts"].sizes()
    distance = {(d["first"], d["second"]): d["distance"]["value"] for d in content["distances"]}
    names = content["phases"]
    disordered = names.index("disordered")
    ordered = [names.index(name) for name in ORDERED["potts"]]
    edges = [distance[pair] for pair in distance if set(pair) <= set(ordered)]
    spokes = [distance[pair] for pair in distance if disordered in pair and set(pair) & set(ordered)]
    # Means of finite samples, and small lattices that are never without order: a few per cent.
    assert np.mean(edges) / np.mean(spokes) == pytest.approx(np.sqrt(3), rel=0.05)


def described(data: Simulated, latents: Any, width: float = 0.05) -> dict[str, Any]:
    """Results for latents that are a function of the order parameter, with a little noise."""
    samples = data.samples()
    rng = np.random.default_rng(0)
    seen = training_rows(samples, data.ids)

    def posterior(rows: Any) -> Latents:
        found = phases_of(samples, 0.5, rows)
        order_SK = held_out.components_at(samples.labelled, rows, samples.orders)
        mean_SZ = latents(order_SK) + width * rng.normal(size=(len(rows), 2))
        return Latents(mean_SZ, np.full_like(mean_SZ, width), found)

    assert not set(seen) & set(samples.rows)
    assert len(seen) + len(samples.rows) == len(samples.labelled.shard)
    return describe(posterior(samples.rows), samples, posterior(seen), [0, 1], 50, 1, "test")


def test_latents_that_are_the_plane_of_the_potts_order_parameter(simulated: dict[str, Simulated]) -> None:
    plane = np.array([[1, 0], [-0.5, np.sqrt(3) / 2], [-0.5, -np.sqrt(3) / 2]])
    found = described(simulated["potts"], lambda order_SK: order_SK[:, :3] @ plane)
    assert [e.value > 0.98 for e in found["canonical"]["magnetization"].squared] == [True, True]
    assert found["aligned"] == {}
    geometry = found["geometry"]["magnetization"]
    assert geometry.shape == "flat"
    assert geometry.ratio.value == pytest.approx(np.sqrt(3), rel=0.05)
    assert found["similarity"].is_informative
    assert found["probe"]["means"].accuracy.value > 0.97
    assert found["probe"]["means"].classes == 4


def test_records_are_estimates_by_quantity(simulated: dict[str, Simulated]) -> None:
    content = json.loads(json.dumps(plain(described(simulated["clock"], lambda order_SK: order_SK[:, :2]))))
    found = dict(latent_records(content))
    assert list(found) == [
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
    assert all({"value", "error", "samples", "method"} <= set(estimate) for estimate in found.values())
    assert latent_records({}) == []


def test_latents_that_are_a_turned_vector(simulated: dict[str, Simulated]) -> None:
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    found = described(simulated["xy"], lambda order_SK: order_SK[:, :2] @ turn)
    assert found["aligned"]["magnetization"].worst.value > 0.99
    assert found["canonical"]["magnetization"].smallest.value > 0.98
    # One ordered phase and the disordered one have no shape.
    assert found["geometry"] == {}


def test_latents_that_hold_only_a_length_pass_nothing(simulated: dict[str, Simulated]) -> None:
    """Negative control."""
    found = described(simulated["xy"], lambda order_SK: np.linalg.norm(order_SK[:, :2], axis=1)[:, None] * [1, 0])
    assert found["aligned"]["magnetization"].worst.value < 0.5
    assert found["canonical"]["magnetization"].smallest.value < 0.2


@pytest.mark.parametrize("system", ["potts", "phi4"])
def test_curves_of_vectors_are_of_lengths_and_those_of_signs_have_distances(
    simulated: dict[str, Simulated], system: str
) -> None:
    data = simulated[system]
    samples = data.samples()
    mean_SZ = samples.order_SK[:, :2].copy()
    (branch,) = thermal_curves(mean_SZ, samples, data.settings, np.random.default_rng(0))
    assert branch["columns"][:2] == ["latent_0", "latent_1"]
    rows = np.array([[e.value for e in row] for row in branch["scan"].mean_TF])
    assert rows.shape == (3, len(branch["columns"]))
    if system == "potts":
        assert branch["neighbours"] is None
        assert branch["columns"][-3:] == ["length_magnetization", "length_staggered_magnetization", "length_latent"]
        lengths = rows[:, branch["columns"].index("length_magnetization")]
        assert lengths[0] > 0.9 > 0.5 > lengths[1]
    else:
        assert len(branch["neighbours"].distance) == 2
        assert branch["columns"][2:] == ["magnetization", "staggered_magnetization"]


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
    content = data.sizes()
    assert content["phases"] == ["a", "b", "c"]
    assert len(content["distances"]) == 3
    assert (content["thermal"], content["isometry"]) == ([], {})
    mean_SZ = np.eye(3)[found.label_S]
    latents = Latents(mean_SZ, np.full_like(mean_SZ, 0.1), found)
    seen = training_rows(samples, data.ids)
    labels = phases_of(samples, 0.5, seen)
    training = Latents(np.eye(3)[labels.label_S], np.full((len(seen), 3), 0.1), labels)
    described = describe(latents, samples, training, [0, 1, 2], 50, 1, "test")
    assert described["canonical"] == {}
    assert described["geometry"]["classes"].unevenness.value == pytest.approx(1)
    assert described["probe"]["means"].accuracy.value == 1


def test_latents_against_every_other_number_that_is_measured(simulated: dict[str, Simulated]) -> None:
    data = simulated["blume-capel"]
    samples = data.samples()
    loaded = [shards.read(data.run.shard(t)).columns for t in data.tasks]
    energy_S, share_S = (np.concatenate([c[name] for c in loaded])[samples.rows] for name in ("energy", "quadrupole"))
    noise = np.random.default_rng(0).normal(size=(3, len(energy_S)))
    mean_SZ = np.stack([noise[0], 2 - 3 * energy_S, share_S + 0.2 * noise[1], noise[2]], axis=1)
    found = measured(data.run, data.tasks[0], samples, mean_SZ, [0, 1, 2], 50, 0, "a")
    assert set(found) == {"energy", "quadrupole"}
    energy, share = found["energy"], found["quadrupole"]
    assert energy.unit == 1 and energy.alone.value == pytest.approx(1) and energy.together.value == pytest.approx(1)
    one = float(np.corrcoef(mean_SZ[:, share.unit], share_S)[0, 1] ** 2)
    assert share.alone.value == pytest.approx(one)
    design = np.column_stack([mean_SZ[:, :3], np.ones(len(share_S))])
    residual = share_S - design @ np.linalg.lstsq(design, share_S, rcond=None)[0]
    assert share.together.value == pytest.approx(1 - residual.var() / share_S.var())
    # Negative control: a latent of noise carries neither.
    none = measured(data.run, data.tasks[0], samples, mean_SZ, [0], 50, 0, "a")
    assert max(held.together.value for held in none.values()) < 0.1


def test_couplings_of_both_signs_are_taken_out_of_the_energy(tmp_path: Path) -> None:
    """A latent that is the sum over bonds: all of it is found, and little of it in the energy."""
    data = Simulated("ising", tmp_path, coupling=[1.0, -1.0])
    samples = data.samples()
    loaded = [shards.read(data.run.shard(t)) for t in data.tasks]
    parts = [read.configurations().astype(float) for read in loaded]
    bonds_S = np.concatenate([(x * (np.roll(x, 1, -1) + np.roll(x, 1, -2))).mean((1, 2, 3)) for x in parts])
    mean_SZ = bonds_S[samples.rows, None]
    found = measured(data.run, data.tasks[0], samples, mean_SZ, [0], 50, 0, "a")
    assert set(found) == {"energy", "bonds"}
    assert found["bonds"].alone.value == pytest.approx(1)
    assert found["energy"].alone.value < 0.1
