"""From shards to the arrays that training and analysis read: networks' inputs, held-out chains, order parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulators.contract import SIGN
from workflow.dataset import codec, shards
from workflow.dataset.gathered import GatheredArray, most_in_memory
from workflow.dataset.info import DatasetInfo
from workflow.dataset.inputs import Input, is_averaged, is_second, network_input, transform
from workflow.dataset.variables import SiteValues, site_values_of
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from models.data.samples import Samples

SPLIT_COLUMNS = ("chain", "held_out")
"""The columns that ``unseen`` reads, where a shard has them."""
SITES_AT_ONCE = 2**24
"""Of stored configurations that are transformed in one piece; it bounds the memory for intermediate arrays."""


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
    """A row per sample, as the network reads it: packed bits of spins, or states, angles or values."""
    shape: tuple[int, int, int]
    stored: SiteValues

    def samples(self, device: str = "cpu") -> Samples:
        """The data as a network reads them."""
        from models.data.samples import samples_of

        return samples_of(self.configurations_SN, self.shape, *self.stored, device=device)


def training_data(
    run: RunDirectory,
    system: str,
    size: int,
    task_ids: Iterable[str],
    fraction: float,
    memory: float | None = None,
    input_name: Input = "raw",
) -> TrainingData:
    """All samples of the named shards that are not held out, in the order of the task ids.

    Args:
        run, size, task_ids: which shards.
        system: their system, or the name of their ``[[data]]`` block.
        fraction: as in ``unseen``.
        memory: GiB of configurations to keep in memory; None: a quarter of the machine's. More are in a file that only
            this process sees, of which the system keeps in memory what there is room for.
        input_name: the network's input.

    Raises:
        shards.ShardError: a shard is missing or damaged.
        ValueError: the shards leave no training sample.
    """
    info = DatasetInfo(shape=(1, size, size), encoding="bits", variable="spins")
    with GatheredArray(most_in_memory(memory)) as gathered:
        for task_id in task_ids:
            shard = read_for(run.shard_file(system, size, task_id), input_name, SPLIT_COLUMNS)
            chains = int(shard.metadata["task"]["chains"])
            gathered.add(numbers(shard, input_name, ~unseen(shard.columns, chains, fraction)))
            kind = site_values_of(shard.metadata["task"])
            second = (
                ((input_name, configurations(shard, input_name, slice(1)).shape[1:]),) if is_second(input_name) else ()
            )
            info = DatasetInfo(shape=shard.shape, encoding=shard.encoding, **kind._asdict(), second_inputs=second)
        configurations_SN = gathered.together()
    if not len(configurations_SN):
        raise ValueError(f"the shards of L = {size} leave no training sample; simulate more samples per point")
    info = network_input(info, input_name)
    return TrainingData(configurations_SN=configurations_SN, shape=info.shape, stored=info.stored)


def read_for(path: Place, input_name: Input, columns: tuple[str, ...] = ()) -> shards.Shard:
    """A shard with all that this input is made from, and these columns.

    Raises:
        ShardError: as in ``shards.read``.
    """
    return shards.read(path, columns=(*columns, f"{shards.INPUT}{input_name}") if is_second(input_name) else columns)


def configurations(shard: shards.Shard, input_name: Input, rows: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
    """A model's input for some rows of a shard that ``read_for`` has read, (S, C, H, W)."""
    if is_second(input_name):
        return shard.columns[f"{shards.INPUT}{input_name}"][rows]
    packed_SB = shard.packed_SB[rows]
    at_once = max(1, SITES_AT_ONCE // prod(shard.shape))
    parts = [
        transform(codec.decode(packed_SB[first : first + at_once], shard.encoding, shard.shape), input_name)
        for first in range(0, max(1, len(packed_SB)), at_once)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def numbers(shard: shards.Shard, input_name: Input, rows: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
    """The same as ``samples_of`` of ``models`` takes it: packed bits of spins, or a flat row of numbers per sample."""
    is_packed = shard.encoding == "bits" and not is_averaged(input_name) and not is_second(input_name)
    if is_packed and input_name == "raw":
        return shard.packed_SB[rows]
    input_SCHW = configurations(shard, input_name, rows)
    if is_packed:
        return codec.encode(input_SCHW, "bits")
    return input_SCHW.reshape(len(input_SCHW), prod(input_SCHW.shape[1:]))


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSamples:
    """What analysis needs to know of S samples of several shards, besides their configurations."""

    shard: NDArray[np.int64]
    """(S,) index into ``task_ids``: the parameter point (stratum) of each sample."""
    task_ids: tuple[str, ...]
    chain: NDArray[np.int64]
    """(S,) number of the independent Markov chain, unique over all shards."""
    unseen: NDArray[np.bool_]
    """(S,) whether training leaves the sample out, if it reads the sample's shard at all."""
    sign: NDArray[np.float64] | None
    """(S,) signs of the weights; None where all are positive."""
    order_parameters: dict[str, NDArray[np.float64]]
    points: tuple[dict[str, Any], ...]
    """Parameters of each shard."""

    def first(self, shard: int) -> int:
        """The first row of a shard, by its index in ``task_ids``."""
        return int(np.searchsorted(self.shard, shard))


def label_samples(paths: Iterable[Place], order_parameters: Iterable[str], fraction: float) -> LabelledSamples:
    """Chains, order parameters and parameters of all samples of the shards at ``paths``, in their order; ``fraction``
    as in ``unseen``."""
    shard, chain, left_out, points, task_ids, sign = [], [], [], [], [], []
    order: dict[str, list[NDArray[np.float64]]] = {name: [] for name in order_parameters}
    first = 0
    for i, path in enumerate(paths):
        content = shards.read(path, columns=(*SPLIT_COLUMNS, SIGN, *order))
        rows = len(content.columns["chain"])
        shard.append(np.full(rows, i))
        chain.append(content.columns["chain"].astype(np.int64) + first)
        chains = int(content.metadata["task"]["chains"])
        left_out.append(unseen(content.columns, chains, fraction))
        first += chains
        sign.append(np.asarray(content.columns.get(SIGN, np.ones(rows)), dtype=float))
        points.append(dict(content.metadata["task"]["spec"]))
        task_ids.append(path.stem)
        for name, values in order.items():
            values.append(content.columns[name])
    all_signs = np.concatenate(sign)
    return LabelledSamples(
        shard=np.concatenate(shard),
        task_ids=tuple(task_ids),
        chain=np.concatenate(chain),
        unseen=np.concatenate(left_out),
        sign=None if (all_signs > 0).all() else all_signs,
        order_parameters={name: np.concatenate(values) for name, values in order.items()},
        points=tuple(points),
    )
