"""One worker of test_data_parallel: trains its share and writes what it ends with.

Arguments: network, rank, number of workers, rendezvous file, result file, bits file.
"""

import sys

import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist

from models.config import ModelConfig, Run, TrainConfig
from models.data import PackedSamples
from models.group import TorchGroup
from models.trainer import Trainer


def main(network: str, rank: int, size: int, rendezvous: str, result: str, bits: str) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)
    model = ModelConfig(shape=(1, 4, 4), network="table-1" if network == "table-1" else "shallow")
    runs = [Run(1.0, 3)] if network == "table-1" else [Run(1.0, 3), Run(0.5, 4)]
    samples = PackedSamples(np.load(bits), model.shape)
    # An odd batch, so that the shares differ.
    trainer = Trainer(samples, model, TrainConfig(epochs=4, batch=63), runs, group=TorchGroup())
    metrics = [np.column_stack([epoch.reconstruction, epoch.kl]) for epoch in trainer.epochs()]
    tensors = {f"{run}.{name}": t for run, weights in enumerate(trainer.weights()) for name, t in weights.items()}
    tensors["metrics"] = torch.from_numpy(np.stack(metrics))
    tensors["psi4"] = torch.from_numpy(trainer.psi4_R)
    safetensors.torch.save_file(tensors, result)
    dist.destroy_process_group()


if __name__ == "__main__":
    network, rank, size, *files = sys.argv[1:]
    main(network, int(rank), int(size), *files)
