"""Estimated costs of one task and of one training: time, disk, memory.

``plan`` prints them and work is ordered by them; no result depends on them.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from models.compute.chunks import CHUNK, rows_at_once
from simulators import contract
from workflow.dataset.codec import ENCODINGS
from workflow.dataset.gathered import most_in_memory
from workflow.dataset.origins import SimulationTask
from workflow.plan.tasks import ModelPlan


def expected_algorithm(task: SimulationTask) -> str:
    """What ``auto`` is expected to choose; the task's pilots decide."""
    if task.algorithm != "auto":
        return task.algorithm
    system, spec = contract.load(task.system), task.point
    if "auto" not in (task.thermalization, task.spacing):
        return system.algorithms[0]
    valid = [name for name in system.algorithms if system.refusal(spec, name) is None]
    return min(valid, key=lambda name: system.expected_tau(spec, name) * system.nanoseconds(name, spec))


class Cost(NamedTuple):
    """An estimate of what one task or training takes."""

    core_seconds: float
    disk_bytes: int
    memory_bytes: int


PROCESS_BYTES = 4.5e8
"""A worker with everything imported, before it does anything."""
COPIES = 5
"""Of all chains at once: while they start, are measured and are packed."""


def simulation_cost(task: SimulationTask) -> Cost:
    """Estimated cost of ``task``: sweeps from the system's rule of thumb for the autocorrelation time where it has one.

    Only ``plan`` and the order of tasks depend on it, never a shard's content.
    """
    system, spec = contract.load(task.system), task.point
    sites, encoding = prod(spec.shape), ENCODINGS[system.encoding]
    algorithm = expected_algorithm(task)
    tau = system.expected_tau(spec, algorithm)
    thermalization = 30 * tau if task.thermalization == "auto" else float(task.thermalization)
    spacing = 2 * tau if task.spacing == "auto" else float(task.spacing)
    rounds = max(16, -(-task.samples // task.chains))
    requested = [system.on_request(spec)[name] for name in task.measure]
    measuring = sum(measurement.sweeps for measurement in requested)
    updates = (thermalization + (spacing + measuring) * rounds) * sites * task.chains
    bytes_per_sample = encoding.bits / 8 * sites
    bytes_per_sample += sum(8 * len(each.columns) + 4 * prod(each.shape or (0,)) for each in requested)
    return Cost(
        core_seconds=0.05 + updates * system.nanoseconds(algorithm, spec) * 1e-9,
        # Observables and bookkeeping take about 40 bytes a row after compression.
        disk_bytes=int(task.samples * (bytes_per_sample + 40)) + 8000,
        memory_bytes=int(
            PROCESS_BYTES
            + 2 * task.samples * bytes_per_sample
            + COPIES * task.chains * sites * encoding.simulated_bytes
        ),
    )


SAMPLES_PER_SECOND = {"shallow": 2.5e7, "table-1": 4e5, "convolutional": 2.2e6}
"""Samples/s times features of a sample of one core in training; ``latentphase bench --only training`` measures them."""


def training_cost(model: ModelPlan, samples: int = 1) -> float:
    """Estimated core-seconds to train one model on ``samples`` samples."""
    return samples * int(model["epochs"]) * model.features / SAMPLES_PER_SECOND[model.network]


STACKED = frozenset({"shallow"})
"""Networks whose models train as one stack; those of other networks train in turn."""
LARGEST_STACK = 64
"""Models in one stack: more would gain nothing and fill the caches."""
PARAMETER_BYTES = 16
"""Weight, gradient and Adam's two moments."""
ACTIVATION_BYTES = {"shallow": 16, "table-1": 750, "convolutional": 200}
"""Of one sample in a training step, by feature: what the backward pass needs, measured as peaks of resident memory."""
FORWARD_BYTES = {"shallow": 16, "table-1": 200, "convolutional": 105}
"""The same for samples that are only encoded, as after training."""
FULLY_CONNECTED = 2 * 1024 * 128 // 16
"""Parameters of table-1 per site: in two layers between 1024 units and 128 channels of L / 4 by L / 4."""


def parameters(model: ModelPlan) -> int:
    """About how many parameters one model has."""
    if model.network == "table-1":
        return FULLY_CONNECTED * model.features
    if model.network == "shallow":
        return 2 * int(model["hidden"]) * model.features
    return 20_000


def training_memory(model: ModelPlan, held: float, stacked: int = 1) -> int:
    """Estimated memory of a worker that trains ``model``.

    Args:
        model: any member of the stack.
        held: bytes of all its training samples as they are stored. While they are read, memory holds them twice, or
            not at all where that is more than the block's ``memory``: they are in a file then.
        stacked: how many models train as one stack in this worker.
    """
    # With "auto" several share a batch only where there are GPUs to spare.
    workers = 1 if model.workers == "auto" else model.workers
    rows = -(-int(model["batch"]) // workers)
    learning = ACTIVATION_BYTES[model.network] * stacked * rows * model.features
    encoding = FORWARD_BYTES[model.network] * rows_at_once(CHUNK, model.features) * model.features
    samples = 2 * held if 2 * held <= most_in_memory(model.memory) else 0
    return int(PROCESS_BYTES + samples + PARAMETER_BYTES * stacked * parameters(model) + max(learning, encoding))
