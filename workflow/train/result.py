"""What ``result.json`` of a training says: settings as they were used, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from models.config import ModelConfig
from workflow.storage.places import Place
from workflow.storage.typed_json import from_json


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """One finished training; further entries of the file are for people."""

    train_id: str
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
    model: ModelConfig
    active_units: int
    samples_per_second: float
    """Over all members of the stack."""
    loss: float
    """Eq. 4 over the last epoch, in nats."""

    @property
    def beta_over_lam(self) -> float:
        return self.beta / self.top_eigenvalue


def read_result(path: Place) -> TrainingResult:
    """The result of a finished training.

    Raises:
        FileNotFoundError: the training is not finished.
        Unreadable: the file is not what a training writes.
    """
    return training_result(json.loads(path.read_text()))


def training_result(content: dict[str, Any]) -> TrainingResult:
    """From the JSON of ``result.json``."""
    return from_json(TrainingResult, content)
