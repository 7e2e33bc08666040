"""Training data: one bit per site in memory, shuffled by seed, unpacked a batch at a time.

Axes: R runs, B samples of a batch, N sites, M samples of all runs, S steps.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.streams import stream

# Element b holds the eight spins of byte b, most significant bit first, as int8 in the 8 bytes of one integer: to look
# up whole integers is faster than rows of a table, and five times faster than shifts.
SPINS_OF_BYTE = (
    torch.from_numpy(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int8) * 2 - 1)
    .view(torch.int64)
    .flatten()
)


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
        self.shape = shape
        self.sites = prod(shape)
        width = -(-self.sites // 8)
        if bits.dtype != np.uint8 or bits.ndim != 2:
            raise ValueError(f"bits must be a two-dimensional uint8 array, got {bits.ndim}-d {bits.dtype}")
        if len(bits) < 1 or bits.shape[1] != width:
            raise ValueError(f"bits must have at least one row of {width} bytes for shape {shape}, got {bits.shape}")
        # torch cannot mark a tensor as read-only, so a read-only array (a memory map, an Arrow buffer) is copied.
        self.bits = torch.from_numpy(bits if bits.flags.writeable else bits.copy()).to(device)
        self.table = SPINS_OF_BYTE.to(device)

    def __len__(self) -> int:
        return len(self.bits)

    def unpack(self, rows_M: Tensor) -> Tensor:
        """The spins of chosen samples.

        Args:
            rows_M: their indices, on the device of the bits.

        Returns:
            x_MN, -1 and +1 in torch's default type.
        """
        return Unpacker(self, len(rows_M))(rows_M)


class Unpacker:
    """Unpacks M samples at a time, always into the same memory: new memory costs more than the work itself."""

    def __init__(self, samples: PackedSamples, rows: int) -> None:
        device, width = samples.bits.device, samples.bits.shape[1]
        self._samples = samples
        self._packed_MW = torch.empty(rows, width, dtype=torch.uint8, device=device)
        self._index = torch.empty(rows * width, dtype=torch.int32, device=device)
        self._eights = torch.empty(rows * width, dtype=torch.int64, device=device)
        self._spins_MN = self._eights.view(torch.int8).view(rows, -1)[:, : samples.sites]
        self.x_MN = torch.empty(rows, samples.sites, device=device)

    def __call__(self, rows_M: Tensor) -> Tensor:
        """The spins x_MN of these samples; the next call overwrites them."""
        torch.index_select(self._samples.bits, 0, rows_M, out=self._packed_MW)
        self._index.copy_(self._packed_MW.view(-1))
        torch.index_select(self._samples.table, 0, self._index, out=self._eights)
        return self.x_MN.copy_(self._spins_MN)


def shuffle(samples: int, seed: int, epoch: int) -> Tensor:
    """The order, (samples,) int64 on the CPU, in which one run sees the data in one epoch."""
    return torch.randperm(samples, generator=stream(seed, "shuffle", epoch))


def batches(
    samples: PackedSamples, seeds: Sequence[int], epoch: int, batch: int, rank: int = 0, size: int = 1
) -> Iterator[Tensor]:
    """One epoch: every sample once per run, in that run's own order, without the ragged last batch.

    Args:
        samples: the training data, held whole by every worker.
        seeds: one per run.
        epoch: which epoch; enters the shuffle.
        batch: samples per step and run over all workers, at most len(samples).
        rank, size: this worker takes the rows rank, rank + size, ... of each batch.

    Yields:
        x_RBN, -1 and +1, B the worker's share of the batch. All steps share one tensor: clone it to keep
        it. New memory for each would cost more time than unpacking into it.
    """
    runs = len(seeds)
    steps = len(samples) // batch
    order = torch.stack([shuffle(len(samples), seed, epoch)[: steps * batch] for seed in seeds])
    rows_SRB = order.view(runs, steps, batch)[:, :, rank::size].transpose(0, 1)
    rows_SM = rows_SRB.flatten(1).to(samples.bits.device)
    unpack = Unpacker(samples, rows_SM.shape[1])
    x_RBN = unpack.x_MN.unflatten(0, (runs, -1))
    for rows_M in rows_SM:
        unpack(rows_M)
        yield x_RBN
