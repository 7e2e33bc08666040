"""One of two workers of test_data_parallel: trains its share of both networks and writes what it ends with.

Arguments: rank, rendezvous file, bits file, result file.
"""

import sys

import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from models.config import ModelConfig, Run, TrainConfig
from models.data import PackedSamples
from models.group import Group, TorchGroup
from models.trainer import Trainer

SHAPE = (1, 4, 4)
STACKS = {
    "shallow": (ModelConfig(shape=SHAPE), [Run(1.0, 3), Run(0.5, 4)]),
    "table-1": (ModelConfig(shape=SHAPE, network="table-1"), [Run(1.0, 3)]),
}


def train(bits: str, network: str, group: Group | None) -> dict[str, Tensor]:
    """Weights, metrics of all epochs and psi4 of one stack; ``bits`` is the file of the packed samples."""
    model, runs = STACKS[network]
    # An odd batch, so that the shares of two workers differ.
    config = TrainConfig(epochs=4, batch=63)
    trainer = Trainer(PackedSamples(np.load(bits), SHAPE), model, config, runs, group=group)
    metrics = [np.column_stack([epoch.reconstruction, epoch.kl]) for epoch in trainer.epochs()]
    weights = {f"{run}.{name}": t for run, one in enumerate(trainer.weights()) for name, t in one.items()}
    return weights | {"metrics": torch.from_numpy(np.stack(metrics)), "psi4": torch.from_numpy(trainer.psi4_R)}


def main(rank: int, rendezvous: str, bits: str, result: str) -> None:
    torch.set_default_dtype(torch.float64)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    tensors = {
        f"{network}.{name}": tensor for network in STACKS for name, tensor in train(bits, network, TorchGroup()).items()
    }
    safetensors.torch.save_file(tensors, result)
    dist.destroy_process_group()


if __name__ == "__main__":
    rank, *files = sys.argv[1:]
    main(int(rank), *files)
