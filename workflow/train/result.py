"""What ``config.json`` and ``result.json`` of a training say: settings as they were used, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from models.config import ModelConfig
from workflow.storage.places import Place
from workflow.storage.typed_json import read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """One training, as it began; further entries of the file are for people."""

    train_id: str
    model: ModelConfig
    """The network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult(TrainingConfig):
    """One finished training."""

    name: str
    """Of the ``[[train]]`` block."""
    system: str
    size: int
    seed: int
    beta: float
    """Of the objective, in nats."""
    beta_setting: str
    """As the study has it, such as ``0.2 lam``."""
    top_eigenvalue: float
    """lam: of the covariance of the training data."""
    active_units: int
    rank: int
    """Directions of latent space in use."""
    loss: float
    """Eq. 4 over the last epoch, in nats."""
    seconds: float
    """Of wall clock, the member's share of its stack."""
    samples_per_second: float
    """Over all members of the stack."""
    threads: int = 1
    """Of each worker; this and the next were not noted by the first programs."""
    workers: int = 1

    @property
    def beta_over_lam(self) -> float:
        return self.beta / self.top_eigenvalue


def read_result(path: Place) -> TrainingResult:
    """The result of a finished training.

    Raises:
        FileNotFoundError: the training is not finished.
        Unreadable: the file is not what a training writes.
    """
    return read_json(TrainingResult, path)
