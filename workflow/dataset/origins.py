"""What a ``[[data]]`` block amounts to: one task, and one shard, per source file, row of probabilities or part."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulators import contract
from workflow.dataset.identity import sha256_of, stream
from workflow.dataset.info import DatasetInfo, simulated
from workflow.dataset.points import Point, Scalar

Kind = Literal["folder", "multinomial", "mnist"]
VERSIONS: dict[Kind, int] = {"folder": 1, "multinomial": 1, "mnist": 1}
"""Raised when the bytes that a kind of source is turned into change."""
PSEUDO_CHAINS = 64
"""Chains that samples without chain numbers are cut into."""
FEWEST_CHAINS = 4
"""Two can be held out then, and two remain."""


class SourceError(RuntimeError):
    """A source of data that is not there, or not what the study says; the message names it."""


@dataclass(frozen=True, kw_only=True)
class DataTask:
    """One shard's worth of data that is not simulated: all that decides the shard's bytes, but not where it lies."""

    system: str
    """The data's name, which stands where simulated shards have their system's."""
    source: Kind
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
    """Of the study, where data are drawn; None where they are read."""

    @property
    def size(self) -> int:
        """Rows of a configuration."""
        return self.info.shape[1]

    @property
    def names(self) -> contract.ObservableNames:
        """Columns as simulated tasks have them; nothing is judged, since nothing was simulated here."""
        return contract.ObservableNames(self.info.order_parameters, self.columns, (), ())

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard: not the names of all labels, or another row of probabilities would change
        every shard. Data have no second inputs."""
        content = asdict(self)
        del content["info"]["labels"], content["info"]["further"]
        return content

    @cached_property
    def digest(self) -> str:
        """sha256 over the task's whole content."""
        return sha256_of(self.content)

    @property
    def task_id(self) -> str:
        return self.digest[:16]

    def generator(self) -> np.random.Generator:
        """The random stream of a task that draws its samples."""
        assert self.seed is not None
        return stream(self.seed, self.digest)

    def __str__(self) -> str:
        return f"{self.system}, {self.part}"


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A checked ``[[data]]`` block; like a ``SimulateBlock`` it has a system and points."""

    system: str
    """The block's name."""
    path: Path | None
    """Where its files lie; None: drawn, or fetched."""
    tasks: tuple[DataTask, ...]
    resolved: dict[str, Any]
    """The block with its defaults filled in, and what was found in its files."""

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
class SimulationTask:
    """One shard's worth of Monte Carlo: small enough to send, and all that decides the shard's bytes."""

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
        """Everything that decides the shard."""
        # All plain values: ``asdict`` would copy them one by one, which takes longer than the hash.
        # Who asks for nothing more keeps the ids of before there was anything to ask for.
        return {name: getattr(self, name) for name in TASK_FIELDS if name != "measure" or self.measure}

    @cached_property
    def digest(self) -> str:
        """sha256 over the task's whole content and the system's version."""
        return sha256_of(self.content)

    @property
    def task_id(self) -> str:
        return self.digest[:16]

    @cached_property
    def job_digest(self) -> str:
        """The same for all tasks of a ladder, which run together; else the task's own."""
        if self.ladder is None:
            return self.digest
        content = self.content
        content["spec"] = [entry for entry in self.spec if entry[0] != contract.load(self.system).ladder]
        return sha256_of(content)

    def __str__(self) -> str:
        point = ", ".join(f"{name} = {value}" for name, value in self.spec)
        return f"{self.system} at {point}" + (f", block {self.block}" if self.block else "")


TASK_FIELDS = tuple(field.name for field in fields(SimulationTask))


ShardTask = SimulationTask | DataTask
"""What one shard comes from."""
