"""The peer of training computes what our networks compute: otherwise the ratio of the two would say nothing."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("pythae", reason="pip install 'latentphase[bench]' brings it")

from models.config import ModelConfig
from models.vae import BetaVAE, build
from workflow.bench import _pythae
from workflow.bench.training import one_thread

SHALLOW = ModelConfig(shape=(1, 4, 4))
TABLE1 = ModelConfig(shape=(2, 8, 4), network="table-1")
SAME = ModelConfig(shape=(1, 8, 8), network="table-1", padding="same")


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def copied(ours: BetaVAE, theirs: nn.Module, first: str) -> None:
    """Give ``theirs`` our parameters, both in the order of the layers; ``first`` sees 0 and 1 instead of -1 and +1."""
    pairs = zip(ours.named_parameters(), theirs.parameters(), strict=True)
    with torch.no_grad():
        for (name, mine), other in pairs:
            value = mine.squeeze(0).mT if name.endswith(".weight") and mine.ndim == 3 else mine
            value = value.reshape(other.shape)
            if name == f"{first}.weight":
                value = 2 * value
            elif name == f"{first}.bias":
                value = value - dict(ours.named_parameters())[f"{first}.weight"].sum(1).reshape(other.shape)
            other.copy_(value)


def outputs(model: ModelConfig, first: str) -> tuple[list[Tensor], list[Tensor]]:
    """Means and probabilities of ours and of theirs, in training mode, from the same configurations and latents."""
    generator = torch.Generator().manual_seed(0)
    x_MN = torch.randint(2, (8, model.sites), generator=generator) * 2.0 - 1
    z_MZ = torch.randn(8, model.latent, generator=generator)
    ours = build(model, [0])
    encoder, decoder = _pythae.networks(model)
    copied(ours, nn.ModuleList([encoder, decoder]), first)
    mine = [ours.encoder(x_MN.unsqueeze(0))[0], torch.sigmoid(ours.decoder(z_MZ.unsqueeze(0)))]
    other = [encoder((x_MN.view(-1, *model.shape) + 1) / 2).embedding, decoder(z_MZ).reconstruction]
    return [tensor.squeeze(0) for tensor in mine], [tensor.flatten(1) for tensor in other]


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("model", "first"), [(SHALLOW, "encoder.hidden"), (TABLE1, "encoder.convolutions.0")])
def test_the_networks_are_the_same_function(model: ModelConfig, first: str) -> None:
    """Double precision; batch norm divides by spreads of about .1, sums have at most 8,192 terms: below 1e-9."""
    for mine, other in zip(*outputs(model, first), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-9)
    # Negative control: without the change of the first layer from -1, +1 to 0, 1 the means differ.
    mine, other = outputs(model, "none")
    assert (mine[0] - other[0]).abs().max() > 1e-6


def test_zero_boundaries_are_the_same_function_of_latents() -> None:
    """The encoder's input 0 is a boundary of its own for theirs; single precision."""
    mine, other = outputs(SAME, "none")
    torch.testing.assert_close(mine[1], other[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("work", [_pythae.documented, _pythae.own_loop])
def test_epochs_train_without_a_word(work: object, capfd: pytest.CaptureFixture[str]) -> None:
    x_MCHW = (torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    assert callable(work)
    with one_thread():
        epoch = work(x_MCHW, SHALLOW, 1.0, 16)
        assert epoch() == epoch() == 40
    assert capfd.readouterr() == ("", "")
