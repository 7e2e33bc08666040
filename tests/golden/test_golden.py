"""The studies of this folder come to what the list says, on any processor; what changes numbers is noticed.

Kept right by ``python -m tests.golden tests/golden/list.json --portable`` (CONTRIBUTING.md, "Numbers").
"""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from data_files import expect_tiny_mnist, write_idx

from models.config import Likelihood, Network
from models.config import Model as ModelKind
from models.training import trainer
from simulators import contract
from simulators.contract import TEMPERING
from simulators.discrete import ising_metropolis
from tests.golden.comparison import EIGENVALUE, SHARE, STEP, compare
from tests.golden.portable import Portable, portable
from tests.golden.recording import WITHOUT_PAGE, carried_out
from tests.golden.studies import STUDIES, write_inputs
from workflow.dataset.inputs import Input
from workflow.plan.tasks import SimulationJob, model_plans
from workflow.study.data_blocks import KINDS
from workflow.study.loading import parse

LIST = json.loads((Path(__file__).parent / "list.json").read_text())
QUICK = ("samplers-ising", "samplers-blume-capel", "rest", "gaussian")
"""Studies of a second or two; the others are run by ``make test-slow``."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STUDIES]
)
def test_numbers_are_those_of_the_list(name: str, tmp_path: Path) -> None:
    run = carried_out(STUDIES[name], tmp_path, commands=WITHOUT_PAGE)
    differences = compare(LIST["studies"][name], portable(run))
    assert not differences, "\n".join(map(str, differences))


def test_every_study_is_in_the_list() -> None:
    assert list(LIST["studies"]) == list(STUDIES)


SMALL: dict[str, Any] = {
    **STUDIES["ising"],
    "simulate": [{"system": "ising", "size": 4, "coupling": 1.0, "temperature": [1.2, 4.5], "samples": 64}],
    "train": [{"name": "small", "epochs": 2, "batch": 16, "hidden": 16}],
    "analyze": {"resamples": 50, "generated": 16},
}
"""Trained by a few steps."""


def small(folder: Path) -> Portable:
    folder.mkdir()
    return portable(carried_out(SMALL, folder, commands=WITHOUT_PAGE))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Portable:
    return small(tmp_path_factory.mktemp("before") / "small")


def places(before: Portable, folder: Path) -> str:
    return "\n".join(map(str, compare(before, small(folder))))


def test_the_same_again_is_the_same(before: Portable, tmp_path: Path) -> None:
    assert not compare(before, small(tmp_path / "again"), same_machine=True)


def test_other_random_numbers_of_a_simulation_are_noticed(
    before: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulationJob, "generator", lambda job: np.random.default_rng(5))
    text = places(before, tmp_path / "small")
    assert text.count(" exact: ") == 2 and "first_loss" in text


def test_a_constant_of_a_kernel_is_noticed(before: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One per cent in the exponents of the Metropolis rule."""
    right = ising_metropolis.thresholds
    monkeypatch.setattr(ising_metropolis, "thresholds", lambda exponents: right([x * 101 / 100 for x in exponents]))
    assert " exact: " in places(before, tmp_path / "small")


def test_other_random_numbers_of_a_training_are_noticed(
    before: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = trainer.stream
    monkeypatch.setattr(trainer, "stream", lambda seed, *purpose: right(seed + 1, *purpose))
    text = places(before, tmp_path / "small")
    assert "exact" not in text and "first_loss" in text and "kl_0" in text


def test_a_constant_of_the_training_is_noticed(
    before: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learning rate is the whole one for 70 % of the steps instead of 60 %."""
    monkeypatch.setattr(trainer, "HOLD", 0.7)
    text = places(before, tmp_path / "small")
    assert "exact" not in text and "last_loss" in text and "first_loss" not in text


def scaled(listing: Portable, share: float) -> Portable:
    """With a number, a loss and a beta that are off by this share of what they may be off."""
    other: Portable = json.loads(json.dumps(listing))
    (model,) = other["models"].values()
    value, error = model["numbers"]["kl_0"]
    model["numbers"]["kl_0"] = [value + share * SHARE * error, error]
    model["last_loss"] *= 1 + share * STEP * model["steps"]
    model["beta"] *= 1 + share * EIGENVALUE
    return other


def test_rounding_is_not_noticed_and_what_is_larger_is(before: Portable) -> None:
    assert not compare(before, scaled(before, 0.9))
    assert len(compare(before, scaled(before, 1.1))) == 3


def test_the_studies_touch_everything_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systems = {name: contract.load(name) for name in contract.names()}
    algorithms = {(name, by) for name, system in systems.items() for by in (*system.algorithms, TEMPERING, "auto")}
    blocks = [block for study in STUDIES.values() for block in study.get("simulate", [])]
    assert {(block["system"], block.get("algorithm", "auto")) for block in blocks} == algorithms
    write_inputs(tmp_path)
    write_idx(tmp_path / "idx", expect_tiny_mnist(monkeypatch))
    plans = [plan for study in STUDIES.values() for plan in model_plans(parse(study, folder=tmp_path))]
    assert {plan.network for plan in plans} == set(get_args(Network))
    for name, choices in (("likelihood", Likelihood), ("model", ModelKind)):
        assert {plan[name] for plan in plans} == set(get_args(choices)), name
    assert {plan.input_name for plan in plans} == set(get_args(Input))
    sources = {block.get("source") for study in STUDIES.values() for block in study.get("data", [])}
    assert sources == {None, *KINDS}
