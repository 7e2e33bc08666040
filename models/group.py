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
    """The default process group of torch.distributed.

    Raises:
        RuntimeError: the process group has not been initialized.
    """

    def __init__(self) -> None:
        if not dist.is_initialized():
            raise RuntimeError("no process group: call torch.distributed.init_process_group first")
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def mean(self, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total.div_(self.size)
