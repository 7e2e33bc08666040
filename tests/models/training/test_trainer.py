"""What a trainer promises: reproducible, resumable, independent members, and errors that say what is wrong."""

from collections.abc import Callable

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.training import epoch as epoch_module
from models.training.trainer import Epoch, Trainer, TrainingDiverged

SHALLOW = ModelConfig(shape=(1, 4, 4), hidden=16)
TABLE1 = ModelConfig(shape=(1, 4, 4), network="table-1")
CONFIG = TrainConfig(epochs=4, batch=64)
MEMBERS = [Member(2.0, 5), Member(0.5, 5), Member(2.0, 6)]


def train(
    samples: PackedSamples, model: ModelConfig = SHALLOW, members: list[Member] = MEMBERS
) -> tuple[Trainer, list[Epoch]]:
    trainer = Trainer(samples, model, CONFIG, members)
    return trainer, list(trainer.epochs())


def equal(first: list[dict[str, Tensor]], second: list[dict[str, Tensor]]) -> bool:
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in zip(first, second, strict=True)
    )


def test_an_epoch_reports_every_run(samples: PackedSamples) -> None:
    trainer, epochs = train(samples)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    for epoch in epochs:
        assert epoch.reconstruction.shape == (3,) and epoch.kl.shape == (3, 2) and epoch.active.shape == (3,)
        assert (epoch.kl > 0).all() and (epoch.reconstruction > 0).all()
        assert epoch.samples_per_second > 0 and 0 < epoch.loader_share < 1
    assert (epochs[-1].reconstruction < epochs[0].reconstruction).all()
    assert list(trainer.epochs()) == []


def test_kicks_come_after_half_and_nine_tenths(samples: PackedSamples) -> None:
    trainer, epochs = train(samples)
    assert [epoch.psi4 is not None for epoch in epochs] == [False, True, True, False]
    np.testing.assert_array_equal(epochs[2].psi4, trainer.psi4_R)
    steps = {int(value) for state in trainer.states() for name, value in state.items() if "adam.step" in name}
    assert steps == {trainer.steps_per_epoch}, "Adam counts from the last kick"


@pytest.mark.parametrize(("epochs", "kicks"), [(2, (1,)), (3, (1, 2)), (6, (3, 5)), (30, (15, 27))])
def test_training_goes_on_after_every_kick(epochs: int, kicks: tuple[int, ...]) -> None:
    assert TrainConfig(epochs=epochs).kick_epochs == kicks
    assert TrainConfig(epochs=epochs, axes="none").kick_epochs == ()


def test_without_axes_nothing_is_kicked(samples: PackedSamples) -> None:
    trainer = Trainer(samples, SHALLOW, TrainConfig(epochs=4, batch=64, axes="none"), MEMBERS)
    assert all(epoch.psi4 is None for epoch in trainer.epochs())
    assert np.isnan(trainer.psi4_R).all()


@pytest.mark.usefixtures("double_precision")
def test_a_stack_trains_as_its_runs_do_alone(samples: PackedSamples) -> None:
    stack, epochs = train(samples)
    for index, member in enumerate(MEMBERS):
        alone, alone_epochs = train(samples, members=[member])
        for name, tensor in alone.weights()[0].items():
            torch.testing.assert_close(tensor, stack.weights()[index][name])
        np.testing.assert_allclose(alone_epochs[-1].kl[0], epochs[-1].kl[index])
    # Negative control: seed and beta do matter.
    first, other_beta, other_seed = stack.weights()
    for other in (other_beta, other_seed):
        assert not torch.allclose(first["decoder.fields.bias"], other["decoder.fields.bias"], rtol=1e-2)


def test_a_stack_agrees_with_single_runs_in_single_precision(samples: PackedSamples) -> None:
    """In the first epoch, before training amplifies rounding: the error of a sum over 16 sites in float32."""
    tolerance = 16 * torch.finfo(torch.float32).eps
    stacked = next(Trainer(samples, SHALLOW, CONFIG, MEMBERS).epochs())
    for index, member in enumerate(MEMBERS):
        alone = next(Trainer(samples, SHALLOW, CONFIG, [member]).epochs())
        np.testing.assert_allclose(alone.reconstruction[0], stacked.reconstruction[index], rtol=tolerance)


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
@pytest.mark.parametrize(("model", "members"), [(SHALLOW, MEMBERS), (TABLE1, MEMBERS[:1])], ids=["shallow", "table-1"])
def test_resuming_ends_with_the_very_same_weights(
    samples: PackedSamples, model: ModelConfig, members: list[Member], stop: int
) -> None:
    whole, epochs = train(samples, model, members)
    interrupted = Trainer(samples, model, CONFIG, members)
    for _, _epoch in zip(range(stop), interrupted.epochs(), strict=False):
        pass
    saved = [safetensors.torch.load(safetensors.torch.save(state)) for state in interrupted.states()]
    assert int(saved[0]["epoch"]) == stop
    resumed = Trainer(samples, model, CONFIG, members)
    resumed.restore(saved)
    rest = list(resumed.epochs())
    assert [epoch.epoch for epoch in rest] == list(range(stop + 1, 5))
    assert equal(resumed.weights(), whole.weights())
    np.testing.assert_array_equal(resumed.psi4_R, whole.psi4_R)
    np.testing.assert_array_equal(rest[-1].kl, epochs[-1].kl)


@pytest.mark.parametrize("part", [1, 5, 6, 13])
@pytest.mark.parametrize(("model", "members"), [(SHALLOW, MEMBERS), (TABLE1, MEMBERS[:1])], ids=["shallow", "table-1"])
def test_resuming_between_steps_changes_no_digit(
    samples: PackedSamples, model: ModelConfig, members: list[Member], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of weights and of the metrics of the epoch that was cut; four steps an epoch, a state after each."""
    whole, epochs = train(samples, model, members)
    monkeypatch.setattr(epoch_module, "LOOK_SECONDS", 0.0)
    interrupted = Trainer(samples, model, CONFIG, members)
    for _, _part in zip(range(part), interrupted.parts(), strict=False):
        pass
    assert (interrupted.epoch, interrupted.step) == divmod(part, interrupted.steps_per_epoch)
    saved = [safetensors.torch.load(safetensors.torch.save(state)) for state in interrupted.states()]
    monkeypatch.undo()
    resumed = Trainer(samples, model, CONFIG, members)
    resumed.restore(saved)
    rest = list(resumed.epochs())
    assert equal(resumed.weights(), whole.weights())
    for mine, other in zip(rest, epochs[-len(rest) :], strict=True):
        np.testing.assert_array_equal(mine.reconstruction, other.reconstruction)
        np.testing.assert_array_equal(mine.kl, other.kl)
    # Negative control: noise of the wrong step.
    wrong = Trainer(samples, model, CONFIG, members)
    wrong.restore([state | {"step": torch.tensor((int(state["step"]) + 1) % 4)} for state in saved])
    list(wrong.epochs())
    assert not equal(wrong.weights(), whole.weights())


def test_states_of_older_programs_are_of_whole_epochs(samples: PackedSamples) -> None:
    whole, _ = train(samples)
    first = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    next(first.epochs())
    states = [{name: t for name, t in one.items() if name not in ("step", "sums")} for one in first.states()]
    resumed = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    resumed.restore(states)
    list(resumed.epochs())
    assert equal(resumed.weights(), whole.weights())


def test_the_moments_of_adam_matter(samples: PackedSamples) -> None:
    """Negative control for the test above."""
    whole, _ = train(samples)
    resumed = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    next(resumed.epochs())
    states = resumed.states()
    for state in states:
        for name in state:
            if name.startswith("adam.exp_avg."):
                state[name] = torch.zeros_like(state[name])
    resumed.restore(states)
    list(resumed.epochs())
    assert not equal(resumed.weights(), whole.weights())


@pytest.mark.usefixtures("double_precision")
def test_a_run_can_be_resumed_in_another_stack(samples: PackedSamples) -> None:
    whole, _ = train(samples)
    first = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    next(first.epochs())
    other = Trainer(samples, SHALLOW, CONFIG, [MEMBERS[2], MEMBERS[0]])
    states = first.states()
    other.restore([states[2], states[0]])
    list(other.epochs())
    for name, tensor in other.weights()[0].items():
        torch.testing.assert_close(tensor, whole.weights()[2][name])


def test_states_are_copies(samples: PackedSamples) -> None:
    trainer = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    states = trainer.states()
    before = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
    next(trainer.epochs())
    for state in (*states, *before):
        assert state.pop("psi4").isnan()
    assert equal(states, before)
    assert not equal(trainer.states(), before)
    assert all(tensor.is_contiguous() for state in states for tensor in state.values())


def _drop(states: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    return states[:2]


def _mix_epochs(states: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    states[0]["epoch"] = torch.tensor(1)
    return states


def _swap(states: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    return states[::-1]


def _lose(states: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    del states[1]["model.encoder.hidden.weight"]
    return states


def _reshape(states: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    states[1]["model.encoder.hidden.weight"] = torch.zeros(2, 2)
    return states


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop, "one state per member, 3, got 2"),
        (_mix_epochs, r"of one epoch, got \[0, 1\]"),
        (_swap, "state 0 is of Member"),
        (_lose, "state lacks model.encoder.hidden.weight"),
        (_reshape, r"must have shape \(16, 16\), got \(2, 2\)"),
    ],
)
def test_states_that_do_not_fit_are_refused(samples: PackedSamples, spoil: Callable, message: str) -> None:
    trainer = Trainer(samples, SHALLOW, CONFIG, MEMBERS)
    with pytest.raises(ValueError, match=message):
        trainer.restore(spoil(trainer.states()))


def test_fewer_samples_than_a_batch_make_one_batch(samples: PackedSamples) -> None:
    trainer = Trainer(samples, SHALLOW, TrainConfig(batch=1000), MEMBERS)
    assert (trainer.batch, trainer.steps_per_epoch) == (300, 1)


def test_the_learning_rate_is_held_and_then_falls_to_zero(samples: PackedSamples) -> None:
    trainer = Trainer(samples, SHALLOW, TrainConfig(epochs=5, batch=30), MEMBERS)
    rates = [trainer.rate_at(step) for step in range(50)]
    assert rates[:31] == [3e-3] * 31
    np.testing.assert_allclose(np.diff(rates[30:]), -3e-3 / 20)
    assert rates[-1] == pytest.approx(3e-3 / 20)


def test_divergence_names_the_member(samples: PackedSamples) -> None:
    config = TrainConfig(epochs=4, batch=64, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"epoch 1 of member 0 \(beta 2, seed 5\).*lower learning rate"):
        list(Trainer(samples, SHALLOW, config, MEMBERS).epochs())


@pytest.mark.parametrize(
    ("model", "members", "batch", "message"),
    [
        (ModelConfig(shape=(1, 2, 8)), MEMBERS, 64, r"samples have shape \(1, 4, 4\), but the model \(1, 2, 8\)"),
        (SHALLOW, [Member(1.0, 0), Member(0.0, 1)], 64, "beta must be positive and finite, got 0.0 in member 1"),
        (SHALLOW, [Member(1.0, -1)], 64, "seed must be at least 0"),
        (SHALLOW, [], 64, "at least one member"),
        (TABLE1, MEMBERS, 64, "one member at a time, got 3"),
        (TABLE1, MEMBERS[:1], 1, "batch of at least 2, got 1"),
    ],
)
def test_bad_arguments_are_refused(
    samples: PackedSamples, model: ModelConfig, members: list[Member], batch: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Trainer(samples, model, TrainConfig(batch=batch), members)
