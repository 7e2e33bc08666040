"""The peer of training: BetaVAE of pythae (Chadebec, Vincent and Allassonniere, arXiv:2206.08309) with our networks.

The networks are written as pythae's documentation asks, out of torch's own layers: widths, strides, boundaries,
activations and batch norm are those of ``models``. Four things are pythae's own: configurations are 0 and 1 instead of
-1 and +1, since its likelihood takes the encoder's input as target; the second head is the logarithm of the variance,
not the standard deviation; the decoder ends with a sigmoid, which the likelihood's logarithm then undoes; and the data
are floats in memory. Its objective is the same: cross entropy summed over sites plus beta times the divergence summed
over latents, averaged over the batch. It has no warm-up of beta.

Axes: B samples, N sites, Z latents.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from pythae.data.preprocessors import DataProcessor
from pythae.models import BetaVAE, BetaVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from models.config import ADAM, ModelConfig
from workflow.bench._timing import Work

Shape = tuple[int, int, int]
SLOPE = 0.2
"""Of leaky ReLU."""
WIDTHS = (64, 128, 1024)
"""Channels of table-1's convolutions and units of its fully connected layers."""


class Encoder(BaseEncoder):
    """Layers up to the last hidden one, and the two heads.

    Args:
        hidden: from configurations (B, C, H, W) to hidden units.
        units: how many these are.
        latent: Z.
    """

    def __init__(self, hidden: nn.Module, units: int, latent: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.mean_head = nn.Linear(units, latent)
        self.log_variance_head = nn.Linear(units, latent)

    def forward(self, x_BCHW: Tensor) -> ModelOutput:
        hidden = self.hidden(x_BCHW)
        return ModelOutput(embedding=self.mean_head(hidden), log_covariance=self.log_variance_head(hidden))


class Decoder(BaseDecoder):
    """Layers from latents (B, Z) to probabilities of +1, (B, C, H, W)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z_BZ: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z_BZ))


class Wrap(nn.Module):
    """One wrapped site on each side of the lattice; torch's transposed convolutions know no periodic boundary."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (1, 1, 1, 1), mode="circular")


def networks(model: ModelConfig) -> tuple[Encoder, Decoder]:
    """The encoder and decoder of ``model``."""
    return _table1(model) if model.network == "table-1" else _shallow(model)


def _shallow(model: ModelConfig) -> tuple[Encoder, Decoder]:
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(prod(model.shape), model.hidden), nn.LeakyReLU(SLOPE))
    layers = nn.Sequential(
        nn.Linear(model.latent, model.hidden),
        nn.ReLU(),
        nn.Linear(model.hidden, prod(model.shape)),
        nn.Sigmoid(),
        nn.Unflatten(1, model.shape),
    )
    return Encoder(hidden, model.hidden, model.latent), Decoder(layers)


def _table1(model: ModelConfig) -> tuple[Encoder, Decoder]:
    channels, rows, columns = model.shape
    few, many, units = WIDTHS
    coarse = (many, rows // 4, columns // 4)
    mode: Literal["circular", "zeros"] = "circular" if model.padding == "periodic" else "zeros"
    hidden = nn.Sequential(
        nn.Conv2d(channels, few, 4, 2, padding=1, padding_mode=mode, bias=False),
        nn.BatchNorm2d(few),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(few, many, 4, 2, padding=1, padding_mode=mode, bias=False),
        nn.BatchNorm2d(many),
        nn.LeakyReLU(SLOPE),
        nn.Flatten(),
        nn.Linear(prod(coarse), units, bias=False),
        nn.BatchNorm1d(units),
        nn.LeakyReLU(SLOPE),
    )
    layers = nn.Sequential(
        nn.Linear(model.latent, units, bias=False),
        nn.BatchNorm1d(units),
        nn.ReLU(),
        nn.Linear(units, prod(coarse), bias=False),
        nn.BatchNorm1d(prod(coarse)),
        nn.ReLU(),
        nn.Unflatten(1, coarse),
        *_doubling(many, few, model.padding, bias=False),
        nn.BatchNorm2d(few),
        nn.ReLU(),
        *_doubling(few, channels, model.padding, bias=True),
        nn.Sigmoid(),
    )
    return Encoder(hidden, units, model.latent), Decoder(layers)


def _doubling(inputs: int, outputs: int, padding: str, bias: bool) -> list[nn.Module]:
    if padding == "periodic":
        return [Wrap(), nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=3, bias=bias)]
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=bias)]


def vae(model: ModelConfig, beta: float) -> BetaVAE:
    """pythae's model of the same network and objective."""
    config = BetaVAEConfig(input_dim=model.shape, latent_dim=model.latent, reconstruction_loss="bce", beta=beta)
    return BetaVAE(config, *networks(model))


def documented(x_MCHW: Tensor, model: ModelConfig, beta: float, batch: int) -> Work:
    """Epochs of pythae's own trainer, set up as by its ``TrainingPipeline``; returns samples.

    Its data loader, loss, optimizer and progress bar take part; what it does between epochs (copying the best model,
    writing it) does not.

    Args:
        x_MCHW: configurations of 0 and 1.
        model, beta, batch: as for our own trainer.
    """
    adam = ADAM[model.network]
    config = BaseTrainerConfig(
        per_device_train_batch_size=batch,
        learning_rate=adam.learning_rate,
        optimizer_params={"betas": adam.betas},
        no_cuda=True,
    )
    dataset = DataProcessor.to_dataset(DataProcessor().process_data(x_MCHW))
    with quiet():
        trainer = BaseTrainer(vae(model, beta), dataset, training_config=config)
        trainer.set_optimizer()
        trainer._setup_callbacks()

    def work() -> float:
        with quiet():
            trainer.train_step(1)
            trainer.callback_handler.on_epoch_end(training_config=config)
        return len(dataset)

    return work


def own_loop(x_MCHW: Tensor, model: ModelConfig, beta: float, batch: int) -> Work:
    """Epochs of pythae's model in the fastest loop that one can write around it; returns samples.

    Batches are cut out of one tensor, Adam is fused, and no loss is read.
    """
    adam = ADAM[model.network]
    peer = vae(model, beta).train()
    optimizer = torch.optim.Adam(peer.parameters(), lr=adam.learning_rate, betas=adam.betas, fused=True)

    def work() -> float:
        for rows_B in torch.randperm(len(x_MCHW)).split(batch):
            loss = peer({"data": x_MCHW[rows_B]}).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return len(x_MCHW)

    return work


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pythae's log and progress bar, which go to standard error, out of the table."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
