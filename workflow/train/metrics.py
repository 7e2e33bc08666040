"""What ``metrics.jsonl`` of a training says: a line per epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import from_json


class EpochMetrics(NamedTuple):
    """One epoch; further entries of the line are for people."""

    epoch: int
    reconstruction: float
    """Loss, in nats."""
    kl: tuple[float, ...]
    """Of each unit, in nats."""
    free_energy: float = nan
    """Of latent space (Eq. 12), in nats; NaN where it was not noted."""
    gap: float = nan
    """What the best encoder would take off, in nats."""


def read_metrics(run: RunDirectory, train_id: str) -> list[EpochMetrics]:
    """Every epoch of a training."""
    lines = run.training(train_id).metrics.read_text().splitlines()
    return [from_json(EpochMetrics, json.loads(line)) for line in lines]


def free_energies(epochs: Sequence[EpochMetrics]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(E,) free energy and gap after every epoch; None unless both were noted after all."""
    values = np.array([(epoch.free_energy, epoch.gap) for epoch in epochs], dtype=float)
    return None if np.isnan(values).any() else (values[:, 0], values[:, 1])
