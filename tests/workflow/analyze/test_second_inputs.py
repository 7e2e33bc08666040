"""Networks of what is stored beside a configuration: Green's functions of auxiliary fields, from shards to the page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from studies import FIELDS, serial, write_study

from models import inference
from models.data.samples import samples_of
from workflow.cli.main import main
from workflow.dataset import shards
from workflow.dataset.reading import training_data
from workflow.encode import shards_of
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table
from workflow.study.loading import StudyError, parse
from workflow.train.trained import load_model

BLOCK = FIELDS | {"measure": ["green"]}
STUDY: dict[str, Any] = {
    "name": "second",
    "allow_uncertified": True,
    "simulate": [BLOCK],
    "train": [
        {"name": "matrix", "input": "green", "epochs": 2, "batch": 32},
        {"name": "field", "select": {"temperature": 0.5}, "input": ["raw", "green"], "epochs": 2, "batch": 32},
    ],
    "analyze": {"resamples": 50, "generated": 16},
}
COLUMN = "configuration_green"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Every stage of ``STUDY``."""
    folder = tmp_path_factory.mktemp("second")
    result = serial("run", write_study(folder / "study.toml", STUDY), folder / "run")
    assert result.exit_code == 0, result.output
    return RunDirectory(folder / "run")


def refusal(block: dict[str, Any], train: dict[str, Any]) -> str:
    blocks = [BLOCK | block] if "temperature" not in block else [BLOCK | {"temperature": 0.5}, BLOCK | block]
    with pytest.raises(StudyError) as caught:
        parse({**STUDY, "simulate": blocks, "train": [{"name": "wrong", "input": "green", "epochs": 2} | train]})
    return str(caught.value)


def test_what_a_study_may_not_ask_for() -> None:
    missing = refusal({"measure": ["pairs"]}, {})
    assert 'train.0.input: "green" is not stored beside every selected configuration' in missing
    assert "is not stored beside" in refusal({"temperature": 2.0, "measure": []}, {}), "nor beside all of them"
    lattice = refusal({}, {"augment": True})
    assert 'train.0.augment: turns samples on their lattice, which input = "green" is not on; take false' in lattice
    shapes = refusal({"temperature": 2.0, "chemical_potential": -0.5}, {})
    assert shapes.endswith(
        "configurations of one shape per size, got 1 x 16 x 16 and 2 x 16 x 16; take a block for each"
    )
    assert 'likelihood: must be "gaussian" for values' in refusal({}, {"likelihood": "bernoulli"})


def test_shards_without_it_stay_as_they_were() -> None:
    """And who trains on fields reads shards with it and without it alike."""
    blocks = [BLOCK | {"temperature": 0.5}, BLOCK | {"temperature": 0.5, "interaction": 6.0, "measure": []}]
    study = parse({**STUDY, "simulate": blocks, "train": [{"name": "field", "epochs": 2}]})
    (item,) = model_plans(study)
    assert len(item.task_ids) == 2
    assert [task.info.second_inputs for task in shard_tasks(study)] == [(("green", (1, 16, 16)),), ()]


def test_a_matrix_for_every_temperature(run: RunDirectory) -> None:
    """What training and encoding read is the stored column; the latents are those of it."""
    study = parse(STUDY)
    tasks = shard_tasks(study)
    matrix, raw, cold = model_plans(study)
    assert [(item.input_name, item["likelihood"], item.network_input.shape) for item in (matrix, raw, cold)] == [
        ("green", "gaussian", (1, 16, 16)),
        ("raw", "bernoulli", (8, 4, 4)),
        ("green", "gaussian", (1, 16, 16)),
    ]
    assert shards_of(matrix, tasks) == shards_of(cold, tasks) == list(tasks)
    stored = [shards.read(run.shard(t), columns=(COLUMN, "chain")) for t in tasks]
    by_task = dict(zip([t.task_id for t in tasks], stored, strict=True))
    expected = [by_task[name].columns[COLUMN][by_task[name].columns["chain"] < 12] for name in matrix.task_ids]
    data = training_data(run, "hubbard", 4, matrix.task_ids, 0.25, input_name="green")
    np.testing.assert_array_equal(data.configurations_SN, np.concatenate(expected).reshape(-1, 256))
    assert data.shape == (1, 16, 16) and data.stored == ("values", 2, 0)
    for task, shard in zip(tasks, stored, strict=True):
        given = shard.columns[COLUMN]
        found = inference.encode(load_model(run, matrix), samples_of(given.reshape(-1, 256), (1, 16, 16), "values"))
        table = read_table(run.latents(matrix.train_id) / f"{task.task_id}.parquet")
        np.testing.assert_allclose(table.column("mean_0").to_numpy(), found.mean[:, 0], atol=1e-6)


def test_nothing_is_read_off_it_as_if_it_were_a_lattice(run: RunDirectory) -> None:
    matrix, raw, _ = model_plans(parse(STUDY))
    content, field = (json.loads((run.analysis / f"{item.train_id}.json").read_text()) for item in (matrix, raw))
    assert (content["input"], content["input_space"]) == ("green", "hubbard-L=4-green")
    assert content["generated"] is None and content["fluctuations"] == []
    assert field["fluctuations"], "of the field there are"
    assert json.loads((run.analysis / "hubbard-L=4-green.json").read_text())["thermal"] == []
    # Correlations with what was measured need no lattice.
    structure = content["squares"]["spin_structure"]["baselines"]
    assert structure["principal_component"]["value"] > structure["staggered_field"]["value"] > 0.5
    page = run.page.read_text()
    assert "shallow on green" in page and "mean Green&#39;s functions G_ij decoded" in page.replace("'", "&#39;")


def test_plan_says_what_is_read(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["plan", write_study(tmp_path / "study.toml", STUDY)])
    assert "train matrix: input = green, 1 x 16 x 16 values, gaussian" in result.output
