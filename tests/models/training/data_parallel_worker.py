"""What the workers of test_data_parallel do: groups of 2 and of 4 train their shares and write what they end with.

Arguments: file of the bits, folder for the results. One process, which imports torch once, forks all workers.
"""

import multiprocessing
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch._dynamo  # The first optimizer imports it: once here, rather than in every worker.
import torch.distributed as dist
from torch import Tensor

from models.compute.group import Alone, Group, TorchGroup
from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.networks.batch_norm import synchronize
from models.training import trainer as trainer_module
from models.training.trainer import Trainer

SHAPE = (1, 4, 4)
STACKS = {
    "shallow": (ModelConfig(shape=SHAPE), [Member(0.3, 3), Member(0.2, 4)]),
    "convolutional": (ModelConfig(shape=SHAPE, network="convolutional"), [Member(0.3, 3)]),
    "table-1": (ModelConfig(shape=SHAPE, network="table-1"), [Member(0.3, 3)]),
    "augmented": (ModelConfig(shape=SHAPE), [Member(0.3, 3), Member(0.2, 4)]),
}
AUGMENT = {"augmented": ("translations", "point-group", "flip")}
SIZES = (2, 4)
BATCH = 63
"""Odd, so that the shares of the workers differ."""
EPOCHS = 4
STEPS = EPOCHS * 4
"""Of ``train``: 300 samples make four batches."""
DTYPES = {"double": torch.float64, "single": torch.float32}


def train(
    bits: str, network: str, group: Group | None, synchronized: bool = True, nudge: float = 0.0
) -> dict[str, Tensor]:
    """Weights, metrics of all epochs and psi4 of one stack.

    Args:
        bits: file of the packed samples.
        network: which of ``STACKS``.
        group: of the workers; None: one alone.
        synchronized: whether batch norm takes its statistics from all of them.
        nudge: relative change of the first weights, up or down at random.
    """
    model, runs = STACKS[network]
    samples, config = (
        PackedSamples(np.load(bits), SHAPE),
        TrainConfig(epochs=EPOCHS, batch=BATCH, augment=AUGMENT.get(network, ())),
    )
    trainer = Trainer(samples, model, config, runs, group=group)
    if not synchronized:
        synchronize(trainer.vae, Alone())
    change(trainer, nudge)
    metrics = [np.column_stack([epoch.reconstruction, epoch.kl]) for epoch in trainer.epochs()]
    weights = {f"{run}.{name}": t for run, one in enumerate(trainer.weights()) for name, t in one.items()}
    return weights | {"metrics": torch.from_numpy(np.stack(metrics)), "psi4": torch.from_numpy(trainer.psi4_R)}


def change(trainer: Trainer, nudge: float) -> None:
    """Change every parameter by this share of itself, up or down at random."""
    signs = torch.Generator().manual_seed(0)
    for parameter in trainer.vae.parameters():
        parameter.data *= 1 + nudge * (2 * torch.randint(2, parameter.shape, generator=signs) - 1)


def gradients(bits: str, network: str, group: Group | None, nudge: float = 0.0) -> dict[str, Tensor]:
    """Gradients of the first step, by parameter."""
    model, runs = STACKS[network]
    samples = PackedSamples(np.load(bits)[:BATCH], SHAPE)
    config = TrainConfig(epochs=1, batch=BATCH, axes="none", augment=AUGMENT.get(network, ()))
    trainer = Trainer(samples, model, config, runs, group=group)
    change(trainer, nudge)
    (_epoch,) = trainer.epochs()
    assert trainer.steps_per_epoch == 1
    return {f"gradient.{name}": p.grad for name, p in trainer.vae.named_parameters() if p.grad is not None}


def work(rank: int, size: int, bits: str, folder: Path) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting-{size}"
    # Whoever waits for a worker that has died must come to an end too.
    patience = timedelta(minutes=5)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=patience)
    group = TorchGroup()
    found: dict[str, Tensor] = {}
    for dtype in DTYPES:
        torch.set_default_dtype(DTYPES[dtype])
        for network in STACKS:
            tensors = gradients(bits, network, group) | train(bits, network, group)
            found |= {f"{dtype}.{network}.{name}": tensor for name, tensor in tensors.items()}
    if size == 2:
        found |= controls(bits, group)
    safetensors.torch.save_file(found, folder / f"{size}-{rank}.safetensors")
    dist.destroy_process_group()


def controls(bits: str, group: Group) -> dict[str, Tensor]:
    """Trainings that must end elsewhere: batch norm by shares, and gradients that are not averaged."""
    torch.set_default_dtype(torch.float64)
    unsynchronized = train(bits, "table-1", group, synchronized=False)
    trainer_module.average_gradients = lambda parameters, group: None
    apart = train(bits, "shallow", group)
    return {f"unsynchronized.{name}": tensor for name, tensor in unsynchronized.items()} | {
        f"apart.{name}": tensor for name, tensor in apart.items()
    }


def main(bits: str, folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    for stale in folder.glob("meeting-*"):
        # Workers of an earlier run that it names would be waited for.
        stale.unlink()
    for size in SIZES:
        processes = [context.Process(target=work, args=(rank, size, bits, folder)) for rank in range(size)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            sys.exit(f"workers of {size} ended with {[process.exitcode for process in processes]}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
