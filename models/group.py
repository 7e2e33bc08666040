"""Data parallelism: what a trainer asks of the other workers, and the answer of torch.distributed."""

from typing import Protocol

import torch.distributed as dist
from torch import Tensor


class Group(Protocol):
    """Workers that train the same runs, each on its share of every batch."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def mean(self, tensor: Tensor) -> Tensor:
        """The elementwise mean over workers, bit for bit the same on all of them; every worker must call it."""
        ...


class Alone:
    """The group of a single worker."""

    rank = 0
    size = 1

    def mean(self, tensor: Tensor) -> Tensor:
        return tensor


class TorchGroup:
    """A process group of torch.distributed; the default one, of all workers, if none is given.

    Raises:
        RuntimeError: the process group has not been initialized.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        if not dist.is_initialized():
            raise RuntimeError("no process group: call torch.distributed.init_process_group first")
        self._group = group
        self.rank = dist.get_rank(group)
        self.size = dist.get_world_size(group)

    def mean(self, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total, group=self._group)
        return total.div_(self.size)
