"""The convolutional network: symmetries, any lattice, one number of parameters, and phases that it learns."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.config import AUTO_FRACTION, Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.latent_space.spectrum import eigenvalues
from models.training.trainer import Trainer
from models.vae import build


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("sides", "cell"), [((6, 4), 2), ((5, 6), 1), ((7, 3), 1)])
def test_translations_by_a_unit_cell_change_nothing_and_others_do(sides: tuple[int, int], cell: int) -> None:
    config = ModelConfig(shape=(1, *sides), network="convolutional")
    vae = build(config, [3])
    x = torch.randn(4, *sides, generator=torch.Generator().manual_seed(1))

    def mean(shift: tuple[int, int]) -> torch.Tensor:
        return vae.encoder(x.roll(shift, (1, 2)).flatten(1).unsqueeze(0))[0]

    torch.testing.assert_close(mean((cell, 0)), mean((0, 0)))
    torch.testing.assert_close(mean((0, cell)), mean((0, 0)))
    if cell == 2:
        # Negative control: sublattices are told apart.
        assert (mean((1, 0)) - mean((0, 0))).abs().max() > 1e-6
    fields = vae.decoder(torch.randn(1, 4, 2)).view(4, *sides)
    torch.testing.assert_close(fields.roll((cell, cell), (1, 2)), fields)


def test_the_number_of_parameters_does_not_depend_on_the_lattice() -> None:
    counts = {
        size: sum(
            p.numel() for p in build(ModelConfig(shape=(1, size, size), network="convolutional"), [0]).parameters()
        )
        for size in (4, 16, 512)
    }
    assert len(set(counts.values())) == 1


def test_it_finds_both_order_parameters(phases: Callable) -> None:
    bits, phase = phases(8, 4000)
    config = ModelConfig(shape=(1, 8, 8), network="convolutional")
    samples = PackedSamples(bits, config.shape)
    beta = AUTO_FRACTION * eigenvalues(samples, config)[0]
    trainer = Trainer(samples, config, TrainConfig(epochs=10), [Member(beta, 0)])
    epochs = list(trainer.epochs())
    assert (epochs[-1].kl > 0.3).all()
    means = trainer.vae.eval().encoder(samples.unpack(torch.arange(4000)).unsqueeze(0))[0][0].detach().numpy()
    order = np.select([phase == 1, phase == 2], [1.0, -1.0], 0.0), np.select([phase == 3, phase == 4], [1.0, -1.0], 0.0)
    own = np.abs([[np.corrcoef(means[:, z], o)[0, 1] for o in order] for z in range(2)])
    assert max(np.diag(own).min(), np.diag(own[::-1]).min()) > 0.97
