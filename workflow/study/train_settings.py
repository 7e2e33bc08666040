"""Who takes each entry of a ``[[train]]`` block: the one place where a new entry is declared.

``ModelPlan.settings`` holds the entries of ``SETTINGS`` in their order, and the train id is a hash of them. So a new
setting goes to the end, with the value in ``left_out`` that trains as programs without it did: models that have this
value keep their ids.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, NamedTuple

from models.config import HIDDEN


class Taker(Enum):
    """What an entry is for."""

    NETWORK = auto()
    """A field of ``models.config.ModelConfig``."""
    TRAINING = auto()
    """A field of ``models.config.TrainConfig``."""
    DATA = auto()
    """Decides what is read of the shards."""
    STAGE = auto()
    """Decides when the train stage ends a training."""
    SWEEP = auto()
    """Spans the sweep: ``ModelPlan`` has one value of it as a field of its own."""
    SELECTION = auto()
    """Decides which shards are trained on, or nothing; a train id holds the shards' ids instead."""
    EXECUTION = auto()
    """How a training is carried out. It changes weights by rounding alone: it is in no id, and may change in a run
    folder."""


class Setting(NamedTuple):
    """One entry that every model of a block has, and that decides its weights."""

    taker: Taker
    left_out: tuple[Any, ...] = ()
    """The value, if any, that is left out of train ids."""


SETTINGS = {
    "model": Setting(Taker.NETWORK),
    "likelihood": Setting(Taker.NETWORK),
    "latent": Setting(Taker.NETWORK),
    "axes": Setting(Taker.TRAINING),
    "epochs": Setting(Taker.TRAINING),
    "batch": Setting(Taker.TRAINING),
    "learning_rate": Setting(Taker.TRAINING),
    "padding": Setting(Taker.NETWORK),
    "held_out": Setting(Taker.DATA),
    "posterior": Setting(Taker.NETWORK, ("diagonal",)),
    "variance": Setting(Taker.NETWORK, (1.0,)),
    "local_beta": Setting(Taker.NETWORK, (0.5,)),
    "hidden": Setting(Taker.NETWORK, (HIDDEN,)),
    "free_energy": Setting(Taker.TRAINING, (False,)),
    "precision": Setting(Taker.TRAINING, ("float32",)),
    "stop_collapsed": Setting(Taker.STAGE, (None,)),
    "input": Setting(Taker.DATA, ("raw",)),
    # A plan holds the names of the symmetries in place of true, and none in place of false.
    "augment": Setting(Taker.TRAINING, ((),)),
}
"""The entries that ``ModelPlan.settings`` holds, in the order of train ids."""

OTHERS = {
    "name": Taker.SELECTION,
    "select": Taker.SELECTION,
    # A likelihood can only ignore it, so that it decides nothing.
    "sign": Taker.SELECTION,
    "size": Taker.SWEEP,
    "network": Taker.SWEEP,
    "beta": Taker.SWEEP,
    "seed": Taker.SWEEP,
    "restarts": Taker.SWEEP,
    "workers": Taker.EXECUTION,
    "compile": Taker.EXECUTION,
    "memory": Taker.EXECUTION,
}
"""All other entries."""


def entries_of(taker: Taker) -> tuple[str, ...]:
    """The entries that ``taker`` takes."""
    takers = {name: setting.taker for name, setting in SETTINGS.items()} | OTHERS
    return tuple(name for name, other in takers.items() if other is taker)
