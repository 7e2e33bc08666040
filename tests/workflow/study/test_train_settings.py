"""Every entry of a ``[[train]]`` block is declared once, and what takes it has a field of that name."""

from dataclasses import dataclass, fields, replace

import pytest
from studies import TINY

from models.config import ModelConfig, TrainConfig
from workflow.plan.model_plan import ModelPlan
from workflow.plan.tasks import model_plans
from workflow.study.blocks import TrainBlock
from workflow.study.loading import parse
from workflow.study.train_settings import OTHERS, SETTINGS, Taker, entries_of


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def undeclared(block: type) -> set[str]:
    """Entries of a block that are declared nowhere."""
    return names(block) - set(SETTINGS) - set(OTHERS)


def test_every_entry_is_declared_once() -> None:
    assert undeclared(TrainBlock) == set()
    assert set(SETTINGS) | set(OTHERS) == names(TrainBlock)
    assert not set(SETTINGS) & set(OTHERS)


def test_a_new_entry_that_is_declared_nowhere_is_noticed() -> None:
    """Negative control."""

    @dataclass(frozen=True, kw_only=True)
    class Longer(TrainBlock):
        dropout: float = 0.0

    assert undeclared(Longer) == {"dropout"}


def test_networks_get_all_that_they_can_be_told() -> None:
    """The rest follows from the data and the sweep."""
    assert names(ModelConfig) == {*entries_of(Taker.NETWORK), "network", "shape", "variable", "states"}


def test_trainings_get_all_that_they_can_be_told() -> None:
    assert names(TrainConfig) == {*entries_of(Taker.TRAINING), "compile"}


def test_a_plan_has_the_settings_in_the_order_of_the_table() -> None:
    (first, *_) = model_plans(parse(TINY))
    assert [name for name, _ in first.settings] == list(SETTINGS)


def test_a_plan_has_a_field_for_all_that_the_sweep_spans_but_the_number_of_restarts() -> None:
    assert {*entries_of(Taker.SWEEP), *entries_of(Taker.EXECUTION)} - names(ModelPlan) == {"restarts"}


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.left_out])
def test_settings_at_their_first_value_leave_the_train_id_as_it_is(name: str) -> None:
    """As for a model of before there was the setting; any other value is another model."""
    (model, *_) = model_plans(parse(TINY))
    settings = dict(model.settings)
    (value,) = SETTINGS[name].left_out
    first = replace(model, settings=tuple((settings | {name: value}).items()))
    older = replace(model, settings=tuple((key, value) for key, value in settings.items() if key != name))
    other = replace(model, settings=tuple((settings | {name: "other"}).items()))
    assert first.train_id == older.train_id != other.train_id
