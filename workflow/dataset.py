"""From shards to what training and analysis read: packed bits, held-out chains, order parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workflow import shards
from workflow.gathered import Gathered, most_in_memory
from workflow.layout import RunDirectory
from workflow.storage import Place
from workflow.variables import Stored, stored_of

if TYPE_CHECKING:
    from models.data import Samples

SPLIT_COLUMNS = ("chain", "held_out")
"""What ``unseen`` looks at."""


def unseen(columns: Mapping[str, NDArray[Any]], chains: int, fraction: float) -> NDArray[np.bool_]:
    """Which samples of a shard training never sees: what its column ``held_out`` says, or those of its last chains.

    Args:
        columns: of the shard; ``SPLIT_COLUMNS``, as far as it has them.
        chains: of the shard.
        fraction: share of the chains that are held out.
    """
    if "held_out" in columns:
        return np.asarray(columns["held_out"], dtype=bool)
    return held_out(columns["chain"], chains, fraction)


def held_out(chain: NDArray[Any], chains: int, fraction: float) -> NDArray[np.bool_]:
    """The samples of the last chains, at least two (the scatter between chains is where errors come from).

    Chains are independent of each other, so held-out samples are independent of the training data. Hot and ordered
    starts alternate along the chains, so both are in both parts.
    """
    return np.asarray(chain >= chains - max(2, round(fraction * chains)))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """Training data of one lattice size."""

    configurations_SN: NDArray[Any]
    """Packed bits of spins; else states, angles or values, a row per sample."""
    shape: tuple[int, int, int]
    stored: Stored

    def samples(self, device: str = "cpu") -> Samples:
        """The data as a network reads them."""
        from models.data import samples_of

        return samples_of(self.configurations_SN, self.shape, *self.stored, device=device)


def training_data(
    run: RunDirectory,
    system: str,
    size: int,
    task_ids: Iterable[str],
    fraction: float,
    memory: float | None = None,
) -> TrainingData:
    """All samples of the named shards that are not held out, in the order of the task ids.

    Args:
        run, system, size, task_ids: which shards.
        fraction: as in ``unseen``.
        memory: GiB of configurations to keep in memory; None: a quarter of the machine's. More are in a file that only
            this process sees, of which the system keeps in memory what there is room for.

    Raises:
        shards.ShardError: a shard is missing or damaged.
        ValueError: the shards leave no training sample.
    """
    shape: tuple[int, int, int] = (1, size, size)
    kind = Stored("spins", 2, 0)
    with Gathered(most_in_memory(memory)) as gathered:
        for task_id in task_ids:
            shard = shards.read(run.shard(system, size, task_id), columns=SPLIT_COLUMNS)
            chains = int(shard.metadata["task"]["chains"])
            gathered.add(numbers(shard, ~unseen(shard.columns, chains, fraction)))
            shape = shard.shape
            kind = stored_of(shard.metadata["task"])
        configurations = gathered.together()
    if not len(configurations):
        raise ValueError(f"the shards of L = {size} leave no training sample; simulate more samples per point")
    return TrainingData(configurations_SN=configurations, shape=shape, stored=kind)


def numbers(shard: shards.Shard, rows: NDArray[np.bool_] | slice = slice(None)) -> NDArray[Any]:
    """Chosen configurations as ``models.data.samples_of`` takes them: packed bits, or flat states or values."""
    packed = shard.packed_SB[rows]
    if shard.encoding == "bits":
        return packed
    return shards.decode(packed, shard.encoding, shard.shape).reshape(len(packed), prod(shard.shape))


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Samples of several shards with what analysis needs to know of each; S samples."""

    shard: NDArray[np.int64]
    """(S,) index into ``task_ids``: the parameter point (stratum) of each sample."""
    task_ids: tuple[str, ...]
    chain: NDArray[np.int64]
    """(S,) number of the independent Markov chain, unique over all shards."""
    unseen: NDArray[np.bool_]
    """(S,) whether training leaves the sample out, if it reads the sample's shard at all."""
    order_parameters: dict[str, NDArray[np.float64]]
    points: tuple[dict[str, Any], ...]
    """Parameters of each shard."""


def label_samples(paths: Iterable[Place], order_parameters: Iterable[str], fraction: float) -> Labelled:
    """Chains, order parameters and parameters of all samples of the shards at ``paths``, in their order; ``fraction``
    as in ``unseen``."""
    shard, chain, left_out, points, task_ids = [], [], [], [], []
    order: dict[str, list[NDArray[np.float64]]] = {name: [] for name in order_parameters}
    first = 0
    for i, path in enumerate(paths):
        content = shards.read(path, columns=(*SPLIT_COLUMNS, *order))
        rows = len(content.columns["chain"])
        shard.append(np.full(rows, i))
        chain.append(content.columns["chain"].astype(np.int64) + first)
        chains = int(content.metadata["task"]["chains"])
        left_out.append(unseen(content.columns, chains, fraction))
        first += chains
        points.append(dict(content.metadata["task"]["spec"]))
        task_ids.append(path.stem)
        for name, values in order.items():
            values.append(content.columns[name])
    return Labelled(
        shard=np.concatenate(shard),
        task_ids=tuple(task_ids),
        chain=np.concatenate(chain),
        unseen=np.concatenate(left_out),
        order_parameters={name: np.concatenate(values) for name, values in order.items()},
        points=tuple(points),
    )
