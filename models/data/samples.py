"""Training data: small in memory, shuffled by seed, turned into features a batch at a time.

Features are what a network sees of a configuration: spins as they are, states one-hot, angles as cosine and sine.

Axes: R members, B samples of a batch, N sites, F features, M samples of all members, S steps, Q states.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.streams import stream
from models.config import Variable
from models.data.augment import Augmentation

# Element b holds the eight spins of byte b, most significant bit first, as int8 in the 8 bytes of one integer: to look
# up whole integers is faster than rows of a table, and five times faster than shifts.
SPINS_OF_BYTE = (
    torch.from_numpy(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int8) * 2 - 1)
    .view(torch.int64)
    .flatten()
)


class Reader(Protocol):
    """Turns M samples at a time into features, always in the same memory."""

    x_MF: Tensor

    def __call__(self, rows_M: Tensor) -> Tensor:
        """The features x_MF of these samples; the next call overwrites them."""
        ...


class Samples(Protocol):
    """Configurations that a network can be trained on or used with."""

    shape: tuple[int, int, int]
    """Channels, rows and columns of a stored configuration."""
    width: int
    """Features per variable."""

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def reader(self, rows: int) -> Reader:
        """A reader of ``rows`` samples at a time."""
        ...

    def unpack(self, rows_M: Tensor) -> Tensor:
        """The features x_MF of chosen samples, in torch's default type; the indices are on ``device``."""
        ...


def samples_of(
    configurations: NDArray[np.generic],
    shape: tuple[int, int, int],
    variable: Variable,
    states: int = 2,
    lowest: int = 0,
    device: torch.device | str = "cpu",
) -> Samples:
    """Samples of any variable.

    Args:
        configurations: spins: (n, ceil(N / 8)) packed bits; else (n, N) states, angles in radians or values.
        shape: channels, rows and columns of a configuration.
        variable: what the numbers are.
        states: q, of states.
        lowest: number of the first state.
        device: where the samples are held and turned into features.

    Raises:
        ValueError: numbers of another type or shape than the variable needs, or states outside their range.
    """
    if variable == "spins":
        return PackedSamples(np.asarray(configurations, dtype=np.uint8), shape, device)
    if variable == "states":
        return StateSamples(np.asarray(configurations, dtype=np.int8), shape, states, lowest, device)
    values_SN = np.asarray(configurations, dtype=np.float32)
    if variable == "values":
        return FloatSamples(values_SN, shape, 1, device)
    channels = values_SN.reshape(len(values_SN), shape[0], -1)
    # Held as vectors: to take cosine and sine of every batch would cost more than the shallow network itself.
    vectors = np.stack([np.cos(channels), np.sin(channels)], axis=2)
    return FloatSamples(vectors.reshape(len(values_SN), -1), shape, 2, device)


class PackedSamples:
    """Two-state configurations, eight sites to the byte.

    Args:
        bits: (n, ceil(N / 8)) bytes, most significant bit first, sites in C order, 1 means +1. Shared, not copied,
            if the array is writable.
        shape: channels, rows and columns, N their product.
        device: where the bits are held and unpacked.

    Raises:
        ValueError: no samples, another type than uint8, or rows of another length than ``shape`` needs.
    """

    def __init__(
        self, bits: NDArray[np.uint8], shape: tuple[int, int, int], device: torch.device | str = "cpu"
    ) -> None:
        self.shape, self.width = shape, 1
        self.sites = prod(shape)
        width = -(-self.sites // 8)
        if bits.dtype != np.uint8 or bits.ndim != 2:
            raise ValueError(f"bits must be a two-dimensional uint8 array, got {bits.ndim}-d {bits.dtype}")
        if len(bits) < 1 or bits.shape[1] != width:
            raise ValueError(f"bits must have at least one row of {width} bytes for shape {shape}, got {bits.shape}")
        # torch cannot mark a tensor as read-only, so a read-only array (a memory map, an Arrow buffer) is copied.
        self.bits = torch.from_numpy(bits if bits.flags.writeable else bits.copy()).to(device)
        self.table = SPINS_OF_BYTE.to(device)

    @property
    def device(self) -> torch.device:
        return self.bits.device

    def __len__(self) -> int:
        return len(self.bits)

    def reader(self, rows: int) -> "Unpacker":
        return Unpacker(self, rows)

    def unpack(self, rows_M: Tensor) -> Tensor:
        """The spins x_MN of chosen samples, -1 and +1."""
        return self.reader(len(rows_M))(rows_M)


class Unpacker:
    """Unpacks M samples at a time, always into the same memory: new memory costs more than the work itself."""

    def __init__(self, samples: PackedSamples, rows: int) -> None:
        device, width = samples.bits.device, samples.bits.shape[1]
        self._samples = samples
        self._packed_MW = torch.empty(rows, width, dtype=torch.uint8, device=device)
        self._index = torch.empty(rows * width, dtype=torch.int32, device=device)
        self._eights = torch.empty(rows * width, dtype=torch.int64, device=device)
        self._spins_MN = self._eights.view(torch.int8).view(rows, -1)[:, : samples.sites]
        self.x_MF = torch.empty(rows, samples.sites, device=device)

    def __call__(self, rows_M: Tensor) -> Tensor:
        """The spins of these samples; the next call overwrites them."""
        torch.index_select(self._samples.bits, 0, rows_M, out=self._packed_MW)
        self._index.copy_(self._packed_MW.view(-1))
        torch.index_select(self._samples.table, 0, self._index, out=self._eights)
        return self.x_MF.copy_(self._spins_MN)


class StateSamples:
    """Configurations of q states, one byte a site; features are one-hot, laid out as (channels, states, sites).

    Raises:
        ValueError: no samples, rows of another length than ``shape`` needs, or a state that is not one of the q.
    """

    def __init__(
        self,
        states_SN: NDArray[np.int8],
        shape: tuple[int, int, int],
        states: int,
        lowest: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        _check_rows(states_SN, shape)
        least, most = int(states_SN.min()), int(states_SN.max())
        if least < lowest or most >= lowest + states:
            raise ValueError(f"states must be {lowest} to {lowest + states - 1}, got {least} to {most}")
        self.shape, self.width = shape, states
        self.states_SCN = torch.from_numpy(np.ascontiguousarray(states_SN)).to(device).unflatten(1, (shape[0], -1))
        # Compared with every state at once, across the sites of a channel.
        self.levels_Q1 = torch.arange(lowest, lowest + states, dtype=torch.int8, device=device).unsqueeze(1)

    @property
    def device(self) -> torch.device:
        return self.states_SCN.device

    def __len__(self) -> int:
        return len(self.states_SCN)

    def reader(self, rows: int) -> "OneHot":
        return OneHot(self, rows)

    def unpack(self, rows_M: Tensor) -> Tensor:
        return self.reader(len(rows_M))(rows_M)


class OneHot:
    """Reads states as one-hot features, into the same memory each time."""

    def __init__(self, samples: StateSamples, rows: int) -> None:
        self._samples = samples
        channels, sites = samples.states_SCN.shape[1:]
        self._states_MCN = torch.empty(rows, channels, sites, dtype=torch.int8, device=samples.device)
        self._is_MCQN = torch.empty(rows, channels, samples.width, sites, dtype=torch.bool, device=samples.device)
        self.x_MF = torch.empty(rows, channels * samples.width * sites, device=samples.device)

    def __call__(self, rows_M: Tensor) -> Tensor:
        torch.index_select(self._samples.states_SCN, 0, rows_M, out=self._states_MCN)
        torch.eq(self._states_MCN.unsqueeze(2), self._samples.levels_Q1, out=self._is_MCQN)
        return self.x_MF.copy_(self._is_MCQN.flatten(1))


class FloatSamples:
    """Features that are held as they are: values, or the cosines and sines of angles as (channels, 2, sites).

    Raises:
        ValueError: no samples, rows of another length than ``shape`` and ``width`` need, or nan or infinity.
    """

    def __init__(
        self,
        features_SF: NDArray[np.float32],
        shape: tuple[int, int, int],
        width: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        _check_rows(features_SF, (shape[0] * width, *shape[1:]))
        if not np.isfinite(features_SF).all():
            raise ValueError("values must be finite, got nan or infinity among them")
        self.shape, self.width = shape, width
        self.features_SF = torch.from_numpy(np.ascontiguousarray(features_SF)).to(device, torch.get_default_dtype())

    @property
    def device(self) -> torch.device:
        return self.features_SF.device

    def __len__(self) -> int:
        return len(self.features_SF)

    def reader(self, rows: int) -> "Gather":
        return Gather(self, rows)

    def unpack(self, rows_M: Tensor) -> Tensor:
        return self.reader(len(rows_M))(rows_M)


class Gather:
    """Reads features as they are, into the same memory each time."""

    def __init__(self, samples: FloatSamples, rows: int) -> None:
        self._samples = samples
        self.x_MF = torch.empty(rows, samples.features_SF.shape[1], device=samples.device)

    def __call__(self, rows_M: Tensor) -> Tensor:
        return torch.index_select(self._samples.features_SF, 0, rows_M, out=self.x_MF)


def _check_rows(rows: NDArray[np.generic], shape: tuple[int, int, int]) -> None:
    if rows.ndim != 2 or len(rows) < 1 or rows.shape[1] != prod(shape):
        raise ValueError(f"need at least one row of {prod(shape)} numbers for shape {shape}, got {rows.shape}")


def shuffle(samples: int, seed: int, epoch: int) -> Tensor:
    """The order, (samples,) int64 on the CPU, in which one member sees the data in one epoch."""
    return torch.randperm(samples, generator=stream(seed, "shuffle", epoch))


def batches(
    samples: Samples,
    seeds: Sequence[int],
    epoch: int,
    batch: int,
    rank: int = 0,
    size: int = 1,
    first: int = 0,
    augmentation: Augmentation | None = None,
) -> Iterator[Tensor]:
    """One epoch: every sample once per member, in that member's own order, without the ragged last batch.

    Args:
        samples: the training data, held whole by every worker.
        seeds: one per member.
        epoch: which epoch; enters the shuffle.
        batch: samples per step and member over all workers, at most len(samples).
        rank, size: this worker takes the rows rank, rank + size, ... of each batch.
        first: how many steps to leave out, which have been done before.
        augmentation: what to turn every sample by, in that member's own way; None: samples as they are.

    Yields:
        x_RBF, features, B the worker's share of the batch. All steps share one tensor: clone it to keep
        it. New memory for each would cost more time than unpacking into it.
    """
    steps = len(samples) // batch

    def share(of_epoch: Sequence[Tensor]) -> Tensor:
        """(S, M) of what every member has for each of its samples, the worker's part of every step."""
        whole_RSB = torch.stack([part[: steps * batch] for part in of_epoch]).view(len(seeds), steps, batch)
        return whole_RSB[:, first:, rank::size].transpose(0, 1).flatten(1).to(samples.device)

    rows_SM = share([shuffle(len(samples), seed, epoch) for seed in seeds])
    if not len(rows_SM):
        return
    read = samples.reader(rows_SM.shape[1])
    if augmentation is None:
        for rows_M in rows_SM:
            yield read(rows_M).unflatten(0, (len(seeds), -1))
        return
    element_SM = share([augmentation.elements(len(samples), seed, epoch) for seed in seeds])
    turned_MF = torch.empty_like(read.x_MF)
    for rows_M, element_M in zip(rows_SM, element_SM, strict=True):
        augmentation.turn(read(rows_M), element_M, turned_MF)
        yield turned_MF.unflatten(0, (len(seeds), -1))
