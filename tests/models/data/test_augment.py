"""Augmentation: the whole group on small lattices, sublattices and states, and one turn per sample whoever trains."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from models.config import Member, ModelConfig, TrainConfig, Variable
from models.data.augment import Augmentation
from models.data.samples import PackedSamples, batches
from models.training.trainer import Trainer

ALL = ("translations", "point-group", "time", "flip")
SHAPE = (3, 4, 4)


def model(shape: tuple[int, int, int] = SHAPE, variable: Variable = "values", states: int = 2) -> ModelConfig:
    likelihood = {"spins": "bernoulli", "values": "gaussian", "states": "multinomial", "angles": "von-mises"}[variable]
    return ModelConfig(shape=shape, variable=variable, states=states, likelihood=likelihood)  # type: ignore[arg-type]


def turned(augmentation: Augmentation, x_MF: Tensor, element_M: Tensor) -> Tensor:
    out_MF = torch.full_like(x_MF, torch.nan)
    augmentation.turn(x_MF, element_M, out_MF)
    return out_MF


def orbit(symmetries: Sequence[str], x_F: Tensor, config: ModelConfig) -> Tensor:
    """The images of one sample under every element."""
    augmentation = Augmentation(symmetries, config)
    return turned(augmentation, x_F.repeat(augmentation.order, 1), torch.arange(augmentation.order))


def as_set(x_MF: Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in x_MF.tolist()}


def written_out(x_CHW: np.ndarray) -> set[tuple[float, ...]]:
    """The same images by numpy, from the definition of each symmetry."""
    images = []
    for down, right in np.ndindex(x_CHW.shape[1:]):
        moved = np.roll(x_CHW, (down, right), axis=(1, 2))
        for turns in range(4):
            for mirrored in (False, True):
                turn = np.rot90(moved[:, ::-1] if mirrored else moved, turns, axes=(1, 2))
                for later in range(len(x_CHW)):
                    shifted = np.roll(turn, later, axis=0)
                    images += [sign * part for part in (shifted, shifted[::-1]) for sign in (1, -1)]
    return {tuple(image.ravel().tolist()) for image in images}


def test_the_group_is_that_of_shifts_rotations_mirrors_slices_and_signs() -> None:
    x_F = torch.randn(48, generator=torch.Generator().manual_seed(1)).double()
    images = orbit(ALL, x_F, model())
    assert Augmentation(ALL, model()).order == len(images) == 16 * 8 * 6 * 2
    found = as_set(images)
    assert len(found) == len(images), "no element occurs twice"
    assert found == written_out(x_F.view(SHAPE).numpy())


@pytest.mark.parametrize(
    ("symmetries", "order"),
    [(("translations",), 16), (("point-group",), 8), (("time",), 6), (("flip",), 2), (("time", "flip"), 12)],
)
def test_each_symmetry_alone_is_a_group(symmetries: tuple[str, ...], order: int) -> None:
    x_F = torch.randn(48, generator=torch.Generator().manual_seed(2))
    images = orbit(symmetries, x_F, model())
    assert len(as_set(images)) == len(images) == order
    assert as_set(images) <= as_set(orbit(ALL, x_F, model()))
    assert as_set(orbit(symmetries, images[-1], model())) == as_set(images)
    assert tuple(x_F.tolist()) in as_set(images)


def test_a_staggered_configuration_changes_its_sign_with_its_sublattice() -> None:
    """Turning what is staggered is the same as staggering what is turned; plain translations are not."""
    stagger = torch.from_numpy(1 - 2 * (np.indices((4, 4)).sum(0) % 2)).flatten().repeat(3).float()
    x_F = torch.randn(48, generator=torch.Generator().manual_seed(3))
    expected = as_set(orbit(("translations", "point-group"), x_F, model()) * stagger)
    assert as_set(orbit(("staggered-translations", "point-group"), x_F * stagger, model())) == expected
    assert as_set(orbit(("translations", "point-group"), x_F * stagger, model())) != expected


def test_states_are_counted_from_the_other_end() -> None:
    config = model((1, 2, 2), "states", 3)
    states = torch.tensor([[0, 1, 2, 2]])
    one_hot = torch.nn.functional.one_hot(states, 3).permute(0, 2, 1).flatten().float()
    same, flipped = orbit(("flip",), one_hot, config).view(2, 3, 4).argmax(1)
    assert same.tolist() == [0, 1, 2, 2] and flipped.tolist() == [2, 1, 0, 0]


def test_angles_turn_by_half_a_circle_and_keep_their_vectors_together() -> None:
    config = model((2, 2, 2), "angles")
    angle_CN = torch.rand(2, 4, generator=torch.Generator().manual_seed(4)) * 6
    x_F = torch.stack([angle_CN.cos(), angle_CN.sin()], dim=1).flatten()
    images = orbit(ALL, x_F, config).view(-1, 2, 2, 4)
    length = images.square().sum(2)
    torch.testing.assert_close(length, torch.ones_like(length))
    assert as_set(orbit(("flip",), x_F, config)) == as_set(torch.stack([x_F, -x_F]))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="point group needs as many rows as columns, got 4 and 6"):
        Augmentation(("point-group",), model((1, 4, 6)))
    with pytest.raises(ValueError, match="staggered translations need even rows and columns, got 3 and 3"):
        Augmentation(("staggered-translations",), model((1, 3, 3)))
    with pytest.raises(ValueError, match=r"augment must be some of translations, .*, got .'spin',."):
        TrainConfig(augment=("spin",))


def test_elements_are_those_of_seed_and_epoch_and_occur_alike() -> None:
    augmentation = Augmentation(("point-group", "flip"), model())
    drawn = augmentation.elements(16_000, 5, 2)
    assert torch.equal(drawn, augmentation.elements(16_000, 5, 2))
    assert not torch.equal(drawn, augmentation.elements(16_000, 5, 3))
    assert not torch.equal(drawn, augmentation.elements(16_000, 6, 2))
    # Chi-square with 15 degrees of freedom: false alarm 1e-6 beyond 56 (the seed is fixed).
    assert float(((torch.bincount(drawn, minlength=16) - 1000.0) ** 2 / 1000).sum()) < 56


def packed(samples: int = 22) -> PackedSamples:
    bits = np.random.default_rng(1).integers(0, 256, (samples, 6), dtype=np.uint8)
    return PackedSamples(bits, SHAPE)


def test_workers_and_resumed_epochs_turn_the_same_samples_alike() -> None:
    augmentation = Augmentation(ALL, model(variable="spins"))
    arguments = packed(), [0, 4], 2, 7
    whole = [x.clone() for x in batches(*arguments, augmentation=augmentation)]
    assert len(whole) == 3
    for rank in range(3):
        share = [x.clone() for x in batches(*arguments, rank, 3, augmentation=augmentation)]
        assert all(torch.equal(mine, all_of[:, rank::3]) for mine, all_of in zip(share, whole, strict=True))
    resumed = [x.clone() for x in batches(*arguments, first=2, augmentation=augmentation)]
    assert len(resumed) == 1 and torch.equal(resumed[0], whole[2])
    plain = [x.clone() for x in batches(*arguments)]
    assert not torch.equal(plain[0], whole[0]), "negative control: without augmentation they are others"
    # Each is an image of the sample that is there without.
    for before, after in zip(plain[0][0], whole[0][0], strict=True):
        assert tuple(after.tolist()) in as_set(orbit(ALL, before, model(variable="spins")))


def test_large_samples_are_turned_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    augmentation = Augmentation(ALL, model())
    x_MF = torch.randn(9, 48, generator=torch.Generator().manual_seed(5))
    element_M = torch.arange(9) * 100
    whole = turned(augmentation, x_MF, element_M)
    monkeypatch.setattr("models.data.augment.rows_at_once", lambda most, features: 2)
    assert torch.equal(turned(augmentation, x_MF, element_M), whole)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_that_goes_on_ends_as_one_that_never_stopped(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(epochs=2, batch=7, augment=ALL)
    runs = [Member(0.5, 1), Member(0.2, 2)]
    network = ModelConfig(shape=SHAPE, hidden=8)
    whole = Trainer(packed(), network, config, runs)
    list(whole.epochs())
    monkeypatch.setattr("models.training.epoch.LOOK_SECONDS", 0)
    first = Trainer(packed(), network, config, runs)
    parts = first.parts()
    for _ in range(steps):
        next(parts)
    second = Trainer(packed(), network, config, runs)
    second.restore(first.states())
    list(second.epochs())
    other = Trainer(packed(), network, TrainConfig(epochs=2, batch=7), runs)
    list(other.epochs())
    for mine, expected, without in zip(second.weights(), whole.weights(), other.weights(), strict=True):
        assert all(torch.equal(mine[name], expected[name]) for name in expected)
        assert any(not torch.equal(mine[name], without[name]) for name in expected)
