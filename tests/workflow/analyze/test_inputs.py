"""What networks are given of stored configurations: the transforms, and all who read configurations for a model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from contexts import context
from data_files import spins, write_parquet
from studies import FIELDS, changed, serial, small, write_study

from analysis.decoder.mean_fields import components
from analysis.encodings import Variable
from analysis.orders import OrderParameter
from models import inference
from models.data.samples import samples_of
from simulators import contract
from workflow.analyze.held_out import held_out_samples
from workflow.analyze.parts.fluctuations import _Curves, squared_norm
from workflow.analyze.sizes import SizeJob, _configurations
from workflow.cli.main import main
from workflow.dataset import codec, inputs, shards
from workflow.dataset.info import DatasetInfo, simulated
from workflow.dataset.inputs import Input, as_stored, network_input, objection, signs, transform
from workflow.dataset.reading import configurations, numbers, training_data
from workflow.dataset.variables import SiteValues
from workflow.encode import shards_of
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.status import status_table
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table
from workflow.study.loading import StudyError, parse
from workflow.train.trained import load_model

SPINS = DatasetInfo(shape=(5, 4, 4), encoding="bits", variable="spins")
KNOWN_ID = "cbc92ea31fa71e01"
"""Of the model of ``small``."""
TWO_TEMPERATURES: dict[str, Any] = {
    "name": "two",
    "allow_uncertified": True,
    "simulate": [FIELDS | {"measure": ["imaginary-time"]}],
    "train": [
        {"name": "average", "input": "tau-average", "augment": True, "epochs": 2, "batch": 32},
        {"name": "field", "select": {"temperature": 0.5}, "input": ["raw", "staggered"], "epochs": 2, "batch": 32},
    ],
    "analyze": {"resamples": 50, "generated": 16},
}
"""Eight slices and four; one network of their averages, two of the longer one."""


def shard_of(x_SCHW: Any, encoding: str) -> shards.Shard:
    packed_SB = codec.encode(x_SCHW, encoding)
    return shards.Shard(packed_SB=packed_SB, encoding=encoding, shape=x_SCHW.shape[1:], columns={}, metadata={})


def test_what_the_transforms_are() -> None:
    x_SCHW = spins(1, samples=7, shape=(5, 4, 4))
    assert transform(x_SCHW, "raw") is x_SCHW
    average = transform(x_SCHW, "tau-average")
    assert average.shape == (7, 1, 4, 4) and average.dtype == np.float32
    np.testing.assert_array_equal(average[:, 0], (x_SCHW.sum(axis=1) / 5).astype(np.float32))
    staggered = transform(x_SCHW, "staggered")
    assert staggered.dtype == np.int8
    for row, column in np.ndindex(4, 4):
        np.testing.assert_array_equal(staggered[..., row, column], (-1) ** (row + column) * x_SCHW[..., row, column])
    np.testing.assert_array_equal(transform(staggered, "staggered"), x_SCHW)
    both = transform(x_SCHW, "staggered-tau-average")
    np.testing.assert_array_equal(both, transform(staggered, "tau-average"))


@pytest.mark.parametrize("name", ["raw", "tau-average", "staggered", "staggered-tau-average"])
def test_what_is_given_is_what_is_announced(name: Input, monkeypatch: pytest.MonkeyPatch) -> None:
    x_SCHW = spins(2, samples=9, shape=(5, 4, 4))
    shard, given = shard_of(x_SCHW, "bits"), network_input(SPINS, name)
    rows = np.array([8, 1, 4])
    read = configurations(shard, name, rows)
    assert read.shape[1:] == given.shape
    np.testing.assert_array_equal(read, transform(x_SCHW[rows], name))
    samples = samples_of(numbers(shard, name, rows), given.shape, *given.stored)
    features = samples.unpack(torch.arange(3)).numpy()
    np.testing.assert_array_equal(features, read.reshape(3, -1).astype(np.float32))
    assert (numbers(shard, name).dtype == np.uint8) == (not inputs.is_averaged(name)), "bits stay bits"
    monkeypatch.setattr("workflow.dataset.reading.SITES_AT_ONCE", 200)
    np.testing.assert_array_equal(configurations(shard, name), transform(x_SCHW, name))
    assert configurations(shard, name, np.zeros(9, bool)).shape == (0, *given.shape)
    assert numbers(shard, name, np.zeros(9, bool)).shape == (0, numbers(shard, name).shape[1])


def test_raw_is_the_very_bytes() -> None:
    shard = shard_of(spins(3, samples=4, shape=(5, 4, 4)), "bits")
    assert numbers(shard, "raw").base is shard.packed_SB or numbers(shard, "raw") is shard.packed_SB
    assert network_input(SPINS, "raw") is SPINS


@pytest.mark.parametrize(
    ("info", "name", "text"),
    [
        (
            DatasetInfo(shape=(1, 4, 4), encoding="int8", variable="states", states=3),
            "tau-average",
            "which states are not",
        ),
        (
            DatasetInfo(shape=(1, 4, 4), encoding="int8", variable="states", states=3),
            "staggered",
            "do not have; take raw",
        ),
        (DatasetInfo(shape=(1, 4, 4), encoding="float32", variable="angles"), "staggered", "which angles do not have"),
        (DatasetInfo(shape=(1, 5, 4), encoding="bits", variable="spins"), "staggered", r"even rows and columns"),
    ],
)
def test_what_does_not_fit_says_what_does(info: DatasetInfo, name: Input, text: str) -> None:
    assert text in str(objection(info, name))
    with pytest.raises(ValueError, match="input = "):
        network_input(info, name)
    assert objection(info, "raw") is None


def test_spins_of_three_states_can_be_staggered() -> None:
    system = contract.load("blume-capel")
    info = simulated(system, system.example)
    assert objection(info, "staggered") is None and network_input(info, "staggered") == info
    x_SCHW = np.random.default_rng(1).integers(-1, 2, (6, *info.shape)).astype(np.int8)
    assert transform(x_SCHW, "staggered").dtype == np.int8
    one_hot = (x_SCHW == np.array([-1, 0, 1])[None, :, None, None]).astype(float)
    staggered = transform(x_SCHW, "staggered")
    given = (staggered == np.array([-1, 0, 1])[None, :, None, None]).astype(float)
    np.testing.assert_array_equal(as_stored(given, info.stored, "staggered"), one_hot)


@pytest.mark.parametrize("variable", ["spins", "values"])
def test_order_parameters_are_read_in_the_frame_of_what_is_stored(variable: Any) -> None:
    x_SCHW = np.random.default_rng(2).choice([-1.0, 1.0], (6, 1, 4, 4))
    kind = SiteValues(variable, 2, 0)
    given = transform(x_SCHW, "staggered")
    decoded = (1 + given) / 2 if variable == "spins" else given
    order = OrderParameter("staggered_magnetization", ("staggered_magnetization",))
    found = components(as_stored(decoded, kind, "staggered"), Variable(variable), order)[:, 0]
    np.testing.assert_allclose(found, (x_SCHW * signs((4, 4))).mean((1, 2, 3)), atol=1e-12)
    wrong = components(decoded, Variable(variable), order)[:, 0]
    assert not np.allclose(wrong, found), "negative control: what is decoded is another configuration"


def test_the_default_likelihood_follows_and_others_are_refused_with_those_that_fit() -> None:
    study = parse(TWO_TEMPERATURES)
    assert [(r.input_name, r["likelihood"], r.network_input.shape) for r in model_plans(study)] == [
        ("tau-average", "gaussian", (1, 4, 4)),
        ("raw", "bernoulli", (8, 4, 4)),
        ("staggered", "bernoulli", (8, 4, 4)),
    ]
    mixed = {**TWO_TEMPERATURES, "train": [{**TWO_TEMPERATURES["train"][1], "input": ["raw", "tau-average"]}]}
    assert [r["likelihood"] for r in model_plans(parse(mixed))] == ["bernoulli", "gaussian"]
    mixed["train"][0]["likelihood"] = "bernoulli"
    with pytest.raises(StudyError, match=r'train.0.likelihood: must be "gaussian" for values, got "bernoulli", with'):
        parse(mixed)


def refusal(**entries: Any) -> str:
    with pytest.raises(StudyError) as caught:
        parse({**TWO_TEMPERATURES, "train": [{"name": "wrong", "epochs": 2, **entries}]})
    return str(caught.value)


def test_what_a_study_may_not_ask_for() -> None:
    shape = refusal()
    assert "train.0.select: must choose configurations of one shape per size, got 8 x 4 x 4 and 4 x 4 x 4" in shape
    assert 'or input = "tau-average"' in shape
    assert "train.0.input" in refusal(input="tau")
    assert "must name at least one value, each once" in refusal(input=["tau-average", "tau-average"])
    assert "train.0.sign: must be \"ignore\", got 'weight'" in refusal(input="tau-average", sign="weight")
    ising = changed("train", 0, "input", to="tau-average")
    with pytest.raises(StudyError, match=r'train.0.input: "tau-average" averages channels, of which there is only one'):
        parse(ising)
    potts = {"system": "potts", "states": 3, "size": 4, "coupling": 1.0, "temperature": 1.0, "samples": 64}
    with pytest.raises(StudyError, match=r'train.0.input: "staggered" changes the sign .*, which states do not have'):
        parse({"name": "p", "simulate": [potts], "train": [{"name": "a", "input": "staggered"}]})


def test_data_from_elsewhere_are_not_augmented(tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", spins(1), "bits", temperature=1.0)
    study = {
        "name": "s",
        "data": [{"name": "elsewhere", "path": "files"}],
        "train": [{"name": "a", "augment": True}],
    }
    with pytest.raises(StudyError, match=r"train.0.augment: turns samples by the exact symmetries of their weights"):
        parse(study, folder=tmp_path)


def test_ids_of_what_is_trained_as_stored_stay_as_they_were() -> None:
    """Of a program that knew no inputs."""
    ids = [run.train_id for run in model_plans(parse(small()))]
    assert ids == [KNOWN_ID]
    spelled = small(train=[{"name": "phases", "epochs": 4, "input": "raw", "augment": False, "sign": "ignore"}])
    assert [run.train_id for run in model_plans(parse(spelled))] == ids
    for entry in ({"input": "staggered"}, {"augment": True}):
        other = small(train=[{"name": "phases", "epochs": 4, **entry}])
        assert model_plans(parse(other))[0].train_id != ids[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Every stage of ``TWO_TEMPERATURES``."""
    folder = tmp_path_factory.mktemp("two")
    result = serial("run", write_study(folder / "study.toml", TWO_TEMPERATURES), folder / "run")
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / "run")


def test_one_network_of_averages_reads_every_temperature(run: RunDirectory) -> None:
    study = parse(TWO_TEMPERATURES)
    tasks = shard_tasks(study)
    average, raw, staggered = model_plans(study)
    assert len(average.task_ids) == 2 and shards_of(average, tasks) == list(tasks)
    data = training_data(run, "hubbard", 4, average.task_ids, 0.25, input_name="tau-average")
    assert data.shape == (1, 4, 4) and data.configurations_SN.dtype == np.float32
    assert len(data.configurations_SN) == 2 * 96
    for item in (raw, staggered):
        assert [task.info.shape for task in shards_of(item, tasks)] == [(8, 4, 4)]
        assert len(list(run.latents(item.train_id).glob("*.parquet"))) == 1


def test_latents_are_of_what_the_network_was_trained_on(run: RunDirectory) -> None:
    """Encoded again from configurations that are transformed here, by the definitions."""
    study = parse(TWO_TEMPERATURES)
    parity = (-1) ** np.indices((4, 4)).sum(0)
    by_hand: dict[str, Any] = {
        "raw": lambda x: x,
        "staggered": lambda x: x * parity,
        "tau-average": lambda x: x.mean(axis=1, keepdims=True),
    }
    for item in model_plans(study):
        for task in shards_of(item, shard_tasks(study)):
            x_SCHW = shards.read(run.shard(task)).configurations()
            given = by_hand[item.input_name](x_SCHW.astype(float))
            packed = np.packbits(given.reshape(len(given), -1) > 0, axis=1)
            content = packed if item.input_name != "tau-average" else given.reshape(len(given), -1)
            samples = samples_of(content, given.shape[1:], *item.network_input.stored)
            expected = inference.encode(load_model(run, item), samples)
            table = read_table(run.latents(item.train_id) / f"{task.task_id}.parquet")
            np.testing.assert_allclose(table.column("mean_0").to_numpy(), expected.mean[:, 0], atol=1e-6)
            np.testing.assert_allclose(table.column("reconstruction").to_numpy(), expected.reconstruction, rtol=1e-6)


def test_analysis_in_input_space_is_of_the_same(run: RunDirectory) -> None:
    study = parse(TWO_TEMPERATURES)
    names = {path.name for path in run.analysis.glob("hubbard-L=4*.json")}
    assert "hubbard-L=4-tau-average.json" in names
    average = model_plans(study)[0]
    content = json.loads((run.analysis / f"{average.train_id}.json").read_text())
    assert (content["input"], content["input_space"]) == ("tau-average", "hubbard-L=4-tau-average")
    assert content["sign"] is None, "half filling has no sign"
    tasks = shard_tasks(study)
    held = held_out_samples(run, tasks, set(average.task_ids), 0.25, "tau-average")
    job = SizeJob("hubbard", 4, 0.25, average.task_ids, tasks, study.analyze, 0, "tau-average")
    given = _configurations(run, job, held.rows)
    staggered = (given * signs((4, 4))).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(staggered, held.order_SK[:, 0], atol=1e-6)
    assert held.physics.variable == Variable("values")


def test_the_page_and_the_summary_tell_inputs_apart(run: RunDirectory) -> None:
    records = json.loads(run.summary.read_text())
    assert {record.get("input") for record in records if "train_id" in record} == {"raw", "staggered", "tau-average"}
    verdicts = json.loads(run.verdict.read_text())
    assert [(v["name"], v["input"], v["seeds"]) for v in verdicts] == [
        ("average", "tau-average", 1),
        ("field", "raw", 1),
        ("field", "staggered", 1),
    ]
    assert "shallow on tau-average" in run.page.read_text()


def test_plan_and_status_know_what_is_read(run: RunDirectory, tmp_path: Path) -> None:
    text = serial_plan(tmp_path)
    assert "train average: input = tau-average, 1 x 4 x 4 values, gaussian; every sample turned at random by tr" in text
    assert "train field: input = staggered, 8 x 4 x 4 spins, bernoulli" in text
    assert [line.split()[1:3] for line in text.splitlines() if line.startswith("encode")] == [["4", "files"]]
    lines = {line.split()[0]: line.split() for line in status_table(run.root).splitlines()[1:]}
    assert lines["encode"][1:3] == ["3", "0"]


def serial_plan(folder: Path) -> str:
    result = CliRunner().invoke(main, ["plan", write_study(folder / "study.toml", TWO_TEMPERATURES)])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_a_decoder_of_staggered_input_draws_has_the_energies_of_the_data(tmp_path: Path) -> None:
    """In the frame that the network sees, an ordered ferromagnet would be drawn with energy +2 instead of -2."""
    block = {"system": "ising", "size": 4, "coupling": [1.0, -1.0], "temperature": 1.2, "samples": 256}
    train = {"name": "turned", "input": "staggered", "epochs": 30, "latent": 2, "batch": 32}
    study = small(simulate=[block], train=[train])
    for stage in ("simulate", "train", "encode", "analyze"):
        result = serial(stage, write_study(tmp_path / "study.toml", study), tmp_path / "run")
        assert result.exit_code == 0, result.output
    run = RunDirectory(tmp_path / "run")
    (item,) = model_plans(parse(study))
    content = json.loads((run.analysis / f"{item.train_id}.json").read_text())
    for point in content["energies"]["points"]:
        assert point["data"]["energy"]["value"] == pytest.approx(-1.95, abs=0.1)
        assert point["posterior"]["energy"]["value"] < -1
    for name, reading in content["readings"].items():
        # m(z) rises with the order parameter: slope 1 where the decoder is right.
        assert reading["deviation"]["value"] < 0.3, name


def test_fields_of_other_programs_at_two_temperatures_train_one_network(tmp_path: Path) -> None:
    for name, slices, temperature in (("cold", 6, 1.0), ("hot", 3, 2.0)):
        x_SCHW = spins(slices, samples=64, shape=(slices, 4, 4))
        write_parquet(tmp_path / "files" / f"{name}.parquet", x_SCHW, "bits", temperature=temperature)
    study: dict[str, Any] = {"name": "brought", "data": [{"name": "fields", "path": "files"}]}
    train: dict[str, Any] = {"name": "average", "epochs": 2, "batch": 16}
    with pytest.raises(StudyError, match=r"one shape per size, got 6 x 4 x 4 and 3 x 4 x 4; .* or input = "):
        parse({**study, "train": [train]}, folder=tmp_path)
    study["train"] = [train | {"input": "tau-average"}]
    for stage in ("simulate", "train", "encode"):
        result = serial(stage, write_study(tmp_path / "study.toml", study), tmp_path / "run")
        assert result.exit_code == 0, result.output
    (item,) = model_plans(parse(study, folder=tmp_path))
    assert len(item.task_ids) == 2 and item.network_input.shape == (1, 4, 4)
    assert len(list(RunDirectory(tmp_path / "run").latents(item.train_id).glob("*.parquet"))) == 2


def test_squares_beside_their_baselines(run: RunDirectory) -> None:
    study = parse(TWO_TEMPERATURES)
    _, raw, staggered = model_plans(study)
    tasks = shards_of(raw, shard_tasks(study))
    contents = [
        json.loads((run.analysis / f"{item.train_id}.json").read_text())["squares"] for item in (raw, staggered)
    ]
    (task,) = tasks
    held = held_out_samples(run, tasks, set(raw.task_ids), 0.25)
    columns = shards.read(run.shard(task)).columns
    structure, field = (columns[name][held.rows] for name in ("spin_structure", "staggered_field"))
    expected = np.corrcoef((field - field.mean()) ** 2, structure)[0, 1]
    baselines = [content["spin_structure"]["baselines"] for content in contents]
    assert baselines[0]["staggered_field"]["value"] == pytest.approx(expected, rel=1e-9)
    # Staggering turns the space of inputs, so the first principal component stays what it was.
    found = [baseline["principal_component"]["value"] for baseline in baselines]
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert 0 < found[0] < 1
    assert set(contents[0]["spin_structure"]) == {"latent", "unit", "baselines"}
    assert "sign" not in contents[0] and "staggered_field" not in contents[0]
    assert {f"squared_staggered_field_{name}" for name in ("spin_structure", "energy")} <= {
        record["quantity"] for record in json.loads(run.summary.read_text())
    }


def test_what_squares_say_at_every_point(run: RunDirectory) -> None:
    """By hand from the shards, but for the latents: networks of two epochs follow nothing yet."""
    study = parse(TWO_TEMPERATURES)
    for item in model_plans(study):
        tasks = shards_of(item, shard_tasks(study))
        content = json.loads((run.analysis / f"{item.train_id}.json").read_text())
        whole, single = content["fluctuations"]
        assert [(curve["column"], curve["by_channel"]) for curve in (whole, single)] == [
            ("spin_susceptibility", False),
            ("spin_structure", True),
        ]
        held = held_out_samples(run, tasks, set(item.task_ids), 0.25)
        middle = held.order_SK[:, 0].mean()
        for h, task in enumerate(tasks):
            rows = held.rows[held.labelled.shard[held.rows] == h] - int(np.searchsorted(held.labelled.shard, h))
            shard = shards.read(run.shard(task))
            columns = {name: values[rows] for name, values in shard.columns.items()}
            known = contract.load("hubbard").fluctuations(task.point)[0]
            square = ((columns["staggered_field"] - middle) ** 2).mean()
            expected = (
                known.scale * square + known.offset + known.terms["local_moment"] * columns["local_moment"].mean()
            )
            assert whole["points"][h]["order"]["read"]["value"] == pytest.approx(expected, rel=1e-6)
            for curve in (whole, single):
                direct = curve["points"][h]["latent"]["direct"]["value"]
                assert direct == pytest.approx(columns[curve["column"]].mean(), rel=1e-9)
            assert single["points"][h]["line"]["off"] is not None and whole["points"][h]["line"] is None
            assert float(task.point.temperature) == whole["points"][h]["point"]["temperature"]
    assert "Fluctuations from latents" in run.page.read_text()


def test_the_direction_of_a_latent_is_applied_to_single_times(run: RunDirectory) -> None:
    """By hand, with the network's derivative: of the staggered input in its own frame."""
    study = parse(TWO_TEMPERATURES)
    _, raw, staggered = model_plans(study)
    parity = (-1) ** np.indices((4, 4)).sum(0)
    for item, frame in ((raw, 1), (staggered, parity)):
        tasks = shards_of(item, shard_tasks(study))
        held = held_out_samples(run, tasks, set(item.task_ids), 0.25, item.input_name)
        mean_SZ = np.zeros((len(held.rows), item["latent"]))
        curves = _Curves(context(held, mean_SZ, tasks, run=run, model=item, units=(0, 1)))
        weight_CHW = curves._direction(1)
        linear_S, square_S, norm = curves._of_channels(weight_CHW.sum(axis=0))
        (task,) = tasks
        x_SCHW = shards.read(run.shard(task)).configurations()[held.rows] * frame
        given = samples_of(np.packbits(x_SCHW.reshape(len(x_SCHW), -1) > 0, axis=1), x_SCHW.shape[1:], "spins")
        direction_HW = inference.response(load_model(run, item), given, 1).sum(axis=0)
        part_SC = (x_SCHW * direction_HW).sum(axis=(2, 3))
        np.testing.assert_allclose(linear_S, part_SC.mean(axis=1), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(square_S, (part_SC**2).mean(axis=1), rtol=1e-3)
        assert norm == squared_norm(weight_CHW.sum(axis=0)) == pytest.approx(16 * (direction_HW**2).sum(), rel=1e-3)
