"""Data parallelism: what a trainer asks of the other workers, and the answer of torch.distributed."""

from collections.abc import Iterable
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class Group(Protocol):
    """Workers that train the same members, each on its share of every batch."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def mean(self, tensor: Tensor) -> Tensor:
        """The elementwise mean over workers, bit for bit the same on all of them; every worker must call it."""
        ...

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all workers, (size, ...) in the order of their ranks; every worker must call it."""
        ...


def average_gradients(parameters: Iterable[Tensor], group: Group) -> None:
    """Replace the gradients by their means over the workers, in one exchange."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = group.mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def anyone(flag: bool, group: Group, device: torch.device) -> bool:
    """Whether ``flag`` is set on some worker: the same answer for all; every worker must ask."""
    if group.size == 1:
        return flag
    return bool(group.mean(torch.tensor(float(flag), device=device)) > 0)


class Alone:
    """The group of a single worker."""

    rank = 0
    size = 1

    def mean(self, tensor: Tensor) -> Tensor:
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        return tensor.unsqueeze(0)


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

    def gather(self, tensor: Tensor) -> Tensor:
        of_workers = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(of_workers, tensor, group=self._group)
        return torch.stack(of_workers)
