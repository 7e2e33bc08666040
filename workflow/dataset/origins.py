"""What a shard comes from: a simulation at one parameter point, or one piece of data that were made elsewhere.

A ``[[data]]`` block has one task, and so one shard, per source file, row of probabilities or part of MNIST.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulators import contract
from workflow.dataset.identity import IdentifiedTask, sha256_of, stream
from workflow.dataset.info import DatasetInfo, simulated
from workflow.dataset.points import Point, Scalar

SourceName = Literal["folder", "multinomial", "mnist"]
VERSIONS: dict[SourceName, int] = {"folder": 1, "multinomial": 1, "mnist": 1}
"""By source; raised when the shards that are made of it change."""
PSEUDO_CHAINS = 64
"""Chains that samples without chain numbers are cut into."""
FEWEST_CHAINS = 4
"""Two can be held out then, and two remain."""


class SourceError(RuntimeError):
    """A source of data that is not there, or not what the study says; the message names it."""


@dataclass(frozen=True, kw_only=True)
class DataTask(IdentifiedTask):
    """The data of one shard that is not simulated: all that decides its bytes, but not where the source lies."""

    system: str
    """Name of the ``[[data]]`` block. It stands where simulated shards have the name of their system."""
    source: SourceName
    version: int
    part: str
    """File below the folder, row of probabilities, or part of MNIST."""
    checksums: tuple[tuple[str, str], ...]
    """Files that are read and their checksums: sha256 for a folder, md5 for MNIST."""
    spec: tuple[tuple[str, Scalar], ...]
    """Columns that are constant in the shard, ``size`` (rows) first."""
    samples: int
    chains: int
    held_out: int | None
    """Samples that the source itself holds out of training; None: the split goes by chains."""
    columns: tuple[str, ...]
    """Further columns of the shard, besides ``chain`` and ``sweep``."""
    info: DatasetInfo
    seed: int | None
    """Of the study where samples are drawn; None where they are read."""

    @property
    def size(self) -> int:
        """Rows of a configuration."""
        return self.info.shape[1]

    @property
    def names(self) -> contract.ObservableNames:
        """Columns as simulated tasks have them; no certificate judges any of them."""
        return contract.ObservableNames(self.info.order_parameters, self.columns, (), ())

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard's bytes.

        The names of all labels do not: with them, another row of probabilities would change every shard. Data have no
        second inputs.
        """
        content = asdict(self)
        del content["info"]["labels"], content["info"]["second_inputs"]
        return content

    def generator(self) -> np.random.Generator:
        """The random stream of a task that draws its samples."""
        assert self.seed is not None
        return stream(self.seed, self.digest)

    def __str__(self) -> str:
        return f"{self.system}, {self.part}"


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A checked ``[[data]]`` block; it has a system (its name) and points, as a ``SimulateBlock`` has."""

    system: str
    """The block's name."""
    path: Path | None
    """Where its files lie; None: drawn, or fetched."""
    tasks: tuple[DataTask, ...]
    resolved: dict[str, Any]
    """The block as TOML, with its defaults and the contents of its files."""

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(dict.fromkeys(Point(task.spec) for task in self.tasks))

    def at(self, point: Point) -> list[DataTask]:
        """The tasks of one of its points."""
        return [task for task in self.tasks if task.spec == point.values]


def pseudo_chains(samples: int) -> NDArray[np.int32]:
    """(samples,) chain numbers of samples that come without: ``PSEUDO_CHAINS`` consecutive pieces of equal length.

    Errors are estimated by resampling whole chains. Independent samples may be grouped in any way; if neighbours in a
    file are correlated after all, consecutive pieces keep most of that within a chain, where it does no harm.
    """
    chains = min(samples, PSEUDO_CHAINS)
    return (np.arange(samples) * chains // samples).astype(np.int32)


def renumbered(chain: NDArray[Any]) -> NDArray[np.int32]:
    """Any chain numbers as 0, 1, ... in their order."""
    return np.unique(chain, return_inverse=True)[1].astype(np.int32)


def position_in_chain(chain: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many rows of the same chain come before each row: a ``sweep`` for data that have none."""
    order = np.argsort(chain, kind="stable")
    ordered = chain[order]
    first = np.searchsorted(ordered, ordered)
    position = np.empty(len(chain), dtype=np.int64)
    position[order] = np.arange(len(chain)) - first
    return position


@dataclass(frozen=True, kw_only=True)
class SimulationTask(IdentifiedTask):
    """The simulation of one shard: all that decides its bytes, and small enough to send to a worker."""

    system: str
    version: int
    spec: tuple[tuple[str, Scalar], ...]
    samples: int
    chains: int
    algorithm: str
    thermalization: int | Literal["auto"]
    spacing: int | Literal["auto"]
    block: int
    """Which block of the point's chains: blocks share nothing but the point."""
    seed: int
    ladder: tuple[Scalar, ...] | None = None
    """With parallel tempering, all values of the field that its ladder runs over, this task's among them."""
    measure: tuple[str, ...] = ()
    """What is measured on request."""

    @property
    def size(self) -> int:
        return int(dict(self.spec)["size"])

    @property
    def point(self) -> Any:
        """The system's spec."""
        return contract.load(self.system).spec(**dict(self.spec))

    @property
    def names(self) -> contract.ObservableNames:
        """Observables of this task."""
        return contract.load(self.system).names(self.point, self.measure)

    @cached_property
    def info(self) -> DatasetInfo:
        """What its configurations are."""
        return simulated(contract.load(self.system), self.point, self.measure)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard's bytes, the system's version among it."""
        # All plain values: ``asdict`` would copy them one by one, which takes longer than the hash.
        # Without ``measure`` where it is empty: such tasks keep the ids of before there was that entry.
        return {name: getattr(self, name) for name in TASK_FIELDS if name != "measure" or self.measure}

    @cached_property
    def job_digest(self) -> str:
        """sha256 that the tasks of one ladder share, as they run together; of any other task its own digest."""
        if self.ladder is None:
            return self.digest
        content = self.content
        content["spec"] = [entry for entry in self.spec if entry[0] != contract.load(self.system).ladder]
        return sha256_of(content)

    def __str__(self) -> str:
        return f"{self.system} at {Point(self.spec)}" + (f", block {self.block}" if self.block else "")


TASK_FIELDS = tuple(field.name for field in fields(SimulationTask))


ShardTask = SimulationTask | DataTask
"""What one shard comes from."""
