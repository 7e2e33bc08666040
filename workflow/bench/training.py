"""Samples per second of training on one core: a stacked sweep against single runs and bare matrix products.

One thread, timed in processor seconds of this process, which other programs on the machine disturb least.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch

from models.config import ModelConfig, Network, Run, TrainConfig
from models.data import PackedSamples
from models.trainer import Epoch, Trainer
from simulators.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.systems import ising
from workflow.bench._figure import Figure, Gate, Reference
from workflow.bench._timing import Work, interleaved

GROUP = "training"
SEEDS = tuple(range(8))
BATCH = 128
CHAINS = 64
SWEEPS_BETWEEN = 10
STACKED_GATES = {16: Gate(low=60_000), 32: Gate(low=20_000)}
"""Samples per second of shallow by lattice size, counted over the runs of the stack."""
LOADER_GATE = Gate(high=3.0)
"""Per cent of a training step."""
TOP = 5
"""Operations of the profile that the note names."""


def measure(quick: bool) -> Iterator[Figure]:
    """Shallow at both sizes, then table-1 against shallow at the smaller one."""
    rounds, samples = (3, 2048) if quick else (7, 8192)
    with one_thread():
        for size in STACKED_GATES:
            yield from _shallow(size, samples, rounds)
        yield from _table1(min(STACKED_GATES), samples // 4, rounds)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _data(size: int, samples: int) -> PackedSamples:
    """Configurations at T_c, ``samples`` of them."""
    spec = ising.Spec(size=size, coupling=1.0, temperature=T_C)
    simulation = ising.Simulation(spec, np.arange(CHAINS) % 2 == 0, "metropolis", np.random.default_rng(0))
    rounds = []
    for _ in range(samples // CHAINS):
        simulation.advance(SWEEPS_BETWEEN)
        rounds.append(np.packbits(simulation.configurations().reshape(CHAINS, -1) > 0, axis=1))
    return PackedSamples(np.concatenate(rounds), spec.shape)


class _Training(NamedTuple):
    """A trainer, and its epochs one at a time."""

    trainer: Trainer
    epochs: Iterator[Epoch]
    seen: list[Epoch]

    def epoch(self) -> float:
        """Train one epoch; returns samples times runs."""
        self.seen.append(next(self.epochs))
        return self.trainer.steps_per_epoch * self.trainer.batch * len(self.trainer.runs)


def _training(samples: PackedSamples, network: Network, seeds: Sequence[int], epochs: int) -> _Training:
    model = ModelConfig(shape=samples.shape, network=network)
    # A tenth of the number of sites is near .2 of the top eigenvalue at T_c; the speed does not depend on it.
    runs = [Run(beta=samples.sites / 10, seed=seed) for seed in seeds]
    trainer = Trainer(samples, model, TrainConfig(epochs=epochs, batch=BATCH, axes="none"), runs)
    return _Training(trainer, trainer.epochs(), [])


def _shallow(size: int, samples: int, rounds: int) -> Iterator[Figure]:
    data = _data(size, samples)
    stack = _training(data, "shallow", SEEDS, rounds + 1)
    singles = [_training(data, "shallow", [seed], rounds + 1) for seed in SEEDS]
    works: dict[str, Work] = {
        "stacked": stack.epoch,
        "singles": lambda: sum(single.epoch() for single in singles),
        "products": _products(stack.trainer),
    }
    rates = interleaved(works, rounds, time.process_time)
    stacked = Reference(f"{len(SEEDS)} runs stacked", float(np.median(rates["stacked"])), "samples/s")
    yield Figure.over(
        rates["stacked"],
        group=GROUP,
        name=f"shallow L={size} stacked",
        unit="samples/s",
        reference=Reference(f"{len(SEEDS)} single runs in turn", float(np.median(rates["singles"])), "samples/s"),
        gate=STACKED_GATES[size],
        note=f"one core, batch {BATCH}, counted over the {len(SEEDS)} runs of the stack",
    )
    yield Figure.over(
        rates["stacked"] / rates["singles"],
        group=GROUP,
        name=f"shallow L={size} stacked / singles",
        unit="x",
        reference=stacked,
    )
    yield Figure.over(
        100 * rates["stacked"] / rates["products"],
        group=GROUP,
        name=f"shallow L={size} / bare products",
        unit="%",
        reference=Reference("its large matrix products alone", float(np.median(rates["products"])), "samples/s"),
    )
    yield Figure.over(
        [100 * epoch.loader_share for epoch in stack.seen[1:]],
        group=GROUP,
        name=f"loader share shallow L={size}",
        unit="%",
        reference=Reference("a training step"),
        gate=LOADER_GATE,
        note="shuffling, gathering and unpacking the bits of a batch",
    )


def _products(trainer: Trainer) -> Work:
    """One epoch's matrix products between sites and hidden units, as plain calls without anything around them.

    Forward one in the encoder and one in the decoder, backward both weights' gradients and the gradient of the
    decoder's hidden units: five of 2 B N H operations per step and run. The products with the few latents are left
    out; they are 3 Z / 2 N of the work.
    """
    sites, hidden = trainer.model.sites, trainer.model.hidden
    x_BN, units_BH = torch.randn(trainer.batch, sites), torch.randn(trainer.batch, hidden)
    weight_NH, weight_HN = torch.randn(sites, hidden), torch.randn(hidden, sites)
    out_BH, out_BN, out_NH, out_HN = (torch.empty_like(like) for like in (units_BH, x_BN, weight_NH, weight_HN))

    def work() -> float:
        for _ in range(trainer.steps_per_epoch * len(trainer.runs)):
            torch.mm(x_BN, weight_NH, out=out_BH)
            torch.mm(units_BH, weight_HN, out=out_BN)
            torch.mm(units_BH.T, x_BN, out=out_HN)
            torch.mm(x_BN, weight_HN.T, out=out_BH)
            torch.mm(x_BN.T, units_BH, out=out_NH)
        return trainer.steps_per_epoch * trainer.batch * len(trainer.runs)

    return work


def _table1(size: int, samples: int, rounds: int) -> Iterator[Figure]:
    """Table-1 has no stack, so it is compared with a stack of one."""
    data = _data(size, samples)
    shallow = _training(data, "shallow", SEEDS[:1], rounds + 1)
    table1 = _training(data, "table-1", SEEDS[:1], rounds + 2)
    rates = interleaved({"shallow": shallow.epoch, "table-1": table1.epoch}, rounds, time.process_time)
    yield Figure.over(
        rates["table-1"],
        group=GROUP,
        name=f"table-1 L={size}",
        unit="samples/s",
        reference=Reference("one shallow run", float(np.median(rates["shallow"])), "samples/s"),
        note=f"limited by {_profile(table1)}",
    )
    yield Figure.over(
        rates["shallow"] / rates["table-1"],
        group=GROUP,
        name=f"shallow / table-1 L={size}",
        unit="x",
        reference=Reference("one table-1 run", float(np.median(rates["table-1"])), "samples/s"),
    )


def _profile(training: _Training) -> str:
    """The operations that took the largest shares of one epoch's processor time, inner operations left out."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        training.epoch()
    averages = profile.key_averages()
    total = sum(item.self_cpu_time_total for item in averages)
    top = sorted(averages, key=lambda item: -item.self_cpu_time_total)[:TOP]
    return ", ".join(f"{item.key} {100 * item.self_cpu_time_total / total:.0f} %" for item in top)
