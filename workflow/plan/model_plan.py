"""One model to train: all that decides its weights, its id, and which shards it can read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from models.config import VERSION
from workflow.dataset import inputs
from workflow.dataset.identity import sha256_of
from workflow.dataset.info import DatasetInfo
from workflow.study.blocks import Beta
from workflow.study.train_settings import SETTINGS


class ShardKind(NamedTuple):
    """All that decides whether a model can read a shard."""

    system: str
    """Or the name of a ``[[data]]`` block."""
    size: int
    info: DatasetInfo


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """One model to train: a point of the sweep over sizes, networks, beta and seeds of a ``[[train]]`` block."""

    name: str
    system: str
    size: int
    network: str
    beta: Beta
    seed: int
    settings: tuple[tuple[str, Any], ...]
    """The rest of the block, by name, in the order of ``train_settings.SETTINGS``."""
    task_ids: tuple[str, ...]
    """The shards it is trained on, sorted."""
    workers: int | Literal["auto"]
    """Data-parallel workers. As ``compile`` they change weights by rounding alone, and are not in the id."""
    network_input: DatasetInfo
    """The network's input. It follows from shards and settings, and is not in the id."""
    restart: int = 0
    """Number of the training among those of this seed; the first, 0, has the seed itself."""
    memory: float | None = None
    """GiB of training data that a worker keeps in memory; no result depends on it, and it is not in the id."""
    version: int = VERSION
    """Of the training recipe."""
    compile: bool = False

    @cached_property
    def train_id(self) -> str:
        """16 hex digits over everything that decides the weights (the block's name does not).

        What programs learn to do later is left out where a model does not use it, so that older models keep their ids.
        """
        content = {name: getattr(self, name) for name in ID_FIELDS} | {"beta": asdict(self.beta)}
        content["workers"] = 1
        content["settings"] = [(name, value) for name, value in self.settings if value not in SETTINGS[name].left_out]
        if self.beta.eigenvalue == 1:
            del content["beta"]["eigenvalue"]
        if self.restart == 0:
            del content["restart"]
        return sha256_of(content)[:16]

    @property
    def features(self) -> int:
        """Numbers that the network sees of a configuration."""
        return self.network_input.features

    @property
    def input_name(self) -> inputs.Input:
        """Name of the network's input."""
        input_name: inputs.Input = self["input"]
        return input_name

    def reads(self, kind: ShardKind) -> bool:
        """Whether shards of this kind have the network's input, in its shape."""
        input_name = self.input_name
        if (kind.system, kind.size) != (self.system, self.size) or inputs.objection(kind.info, input_name) is not None:
            return False
        network_input = inputs.network_input(kind.info, input_name)
        return (network_input.shape, network_input.stored) == (self.network_input.shape, self.network_input.stored)

    @property
    def without_restart(self) -> ModelPlan:
        """The first training of the same seed."""
        return replace(self, restart=0) if self.restart else self

    @property
    def first(self) -> str:
        """Train id of the first training of the same seed: its own, but for restarts."""
        return self.without_restart.train_id

    @property
    def training_seed(self) -> int:
        """Seed of initialization, shuffle and noise: the model's own, or one that follows from it and the restart."""
        if self.restart == 0:
            return self.seed
        return int(sha256_of([self.seed, "restart", self.restart])[:15], 16)

    @property
    def stack(self) -> tuple[Any, ...]:
        """Models with the same stack differ in beta and seed alone, and can train as one batched computation."""
        return (self.system, self.size, self.network, self.settings, self.task_ids, self.workers, self.compile)

    def __getitem__(self, name: str) -> Any:
        return dict(self.settings)[name]

    def __str__(self) -> str:
        again = f", restart {self.restart}" if self.restart else ""
        return f"{self.name}: {self.network}, L = {self.size}, beta = {self.beta}, seed {self.seed}{again}"


ID_FIELDS = tuple(
    field.name for field in fields(ModelPlan) if field.name not in ("name", "network_input", "memory", "compile")
)
"""Fields that a train id holds. ``workers`` is among them since the first version, and so stays there as 1."""
