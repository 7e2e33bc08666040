"""Samples per second of training on one core: a stacked sweep against single runs and bare matrix products, and all
networks against pythae's beta-VAE of the same network, objective, optimizer, batch and data.

One thread, timed in processor seconds of this process, which other programs on the machine disturb least.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.training.trainer import Epoch, Trainer
from simulators.reference.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.systems import ising
from workflow.bench._figure import Figure, FigureGate, Reference, SkippedFigure
from workflow.bench._timing import Work, interleaved
from workflow.bench.kernels import peer

GROUP = "training"
SEEDS = tuple(range(8))
BATCH = 128
CHAINS = 64
SWEEPS_BETWEEN = 10
SHALLOW = (8, 16, 32)
"""Lattice sizes of the shallow network."""
STACKED_GATES = {16: FigureGate(low=60_000), 32: FigureGate(low=20_000)}
"""Samples per second of shallow by lattice size, counted over the runs of the stack."""
GAIN_GATES = {8: FigureGate(low=2.5)}
"""Of a stack over its runs one by one, where a step is overhead. On a larger lattice it is matrix products, which are
the same in both: what a step of one run takes over its products is the most that any stack could gain."""
PYTHAE, BARE = "pythae", "bare pythae"
"""Its own trainer, and its model in the fastest loop that one can write around it."""
SINGLE_GATE, STACK_GATE, TABLE1_GATE = FigureGate(low=1.8), FigureGate(low=4.0), FigureGate(low=1.2)
"""Against pythae's own trainer."""
LOADER_GATE = FigureGate(high=3.0)
"""Per cent of a training step."""
TOP = 5
"""Operations of the profile that the note names."""


def measure(quick: bool) -> Iterator[Figure | SkippedFigure]:
    """Shallow at all sizes, then table-1 with both boundaries and, unless ``quick``, at both sizes."""
    rounds, samples = (3, 2048) if quick else (7, 8192)
    small, large = STACKED_GATES
    with one_thread():
        for size in SHALLOW:
            yield from _shallow(size, samples, rounds)
        yield from _table1(ModelConfig(shape=(1, small, small), network="table-1"), samples // 4, rounds)
        if not quick:
            same = ModelConfig(shape=(1, small, small), network="table-1", padding="same")
            yield from _table1(same, samples // 4, rounds)
            yield from _table1(ModelConfig(shape=(1, large, large), network="table-1"), samples // 16, rounds)


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
    history: list[Epoch]

    def epoch(self) -> float:
        """Train one epoch; returns samples times runs."""
        self.history.append(next(self.epochs))
        return self.trainer.steps_per_epoch * self.trainer.batch * len(self.trainer.members)


def _beta(model: ModelConfig) -> float:
    """A tenth of the number of sites is near .2 of the top eigenvalue at T_c; the speed does not depend on it."""
    return model.sites / 10


def _training(samples: PackedSamples, model: ModelConfig, seeds: Sequence[int], epochs: int) -> _Training:
    runs = [Member(beta=_beta(model), seed=seed) for seed in seeds]
    trainer = Trainer(samples, model, TrainConfig(epochs=epochs, batch=BATCH, axes="none"), runs)
    return _Training(trainer, trainer.epochs(), [])


def _pythae(samples: PackedSamples, model: ModelConfig) -> dict[str, Work]:
    """Epochs of the peer on the same samples; none where it is not installed."""
    if peer(PYTHAE) is None:
        return {}
    ours = importlib.import_module("workflow.bench._pythae")
    x_MCHW = ((samples.unpack(torch.arange(len(samples))) + 1) / 2).view(-1, *model.shape)
    return {
        PYTHAE: ours.documented(x_MCHW, model, _beta(model), BATCH),
        BARE: ours.own_loop(x_MCHW, model, _beta(model), BATCH),
    }


def against_pythae(
    name: str, rates_R: NDArray[np.float64], rates: Mapping[str, NDArray[np.float64]], gate: FigureGate | None
) -> Iterator[Figure | SkippedFigure]:
    """Ours over pythae's, round by round, as the trainer that its documentation describes and as a bare loop.

    Args:
        name: of what is ours.
        rates_R: its samples per second in each round.
        rates: of ``PYTHAE`` and ``BARE``; without them the comparison is left out.
        gate: of the ratio to its own trainer; None: reported only.
    """
    if PYTHAE not in rates:
        yield SkippedFigure(
            GROUP, f"{name} / {PYTHAE}", "pythae is not installed; pip install 'latentphase[bench]' brings it"
        )
        return
    for theirs, words, judged in (
        (PYTHAE, "its documented trainer, one run", gate),
        (BARE, "its model in a minimal loop, one run", None),
    ):
        yield Figure.over(
            rates_R / rates[theirs],
            group=GROUP,
            name=f"{name} / {theirs}",
            unit="x",
            reference=Reference(words, float(np.median(rates[theirs])), "samples/s"),
            gate=judged,
        )


def _shallow(size: int, samples: int, rounds: int) -> Iterator[Figure | SkippedFigure]:
    data = _data(size, samples)
    model = ModelConfig(shape=data.shape)
    stack = _training(data, model, SEEDS, rounds + 1)
    singles = [_training(data, model, [seed], rounds + 1) for seed in SEEDS]
    works: dict[str, Work] = {
        "stacked": stack.epoch,
        "singles": lambda: sum(single.epoch() for single in singles),
        "products": _products(stack.trainer),
        **_pythae(data, model),
    }
    rates = interleaved(works, rounds, time.process_time)
    stacked = Reference(f"{len(SEEDS)} runs stacked", float(np.median(rates["stacked"])), "samples/s")
    yield Figure.over(
        rates["stacked"],
        group=GROUP,
        name=f"shallow L={size} stacked",
        unit="samples/s",
        reference=Reference(f"{len(SEEDS)} single runs in turn", float(np.median(rates["singles"])), "samples/s"),
        gate=STACKED_GATES.get(size),
        note=f"one core, batch {BATCH}, counted over the {len(SEEDS)} runs of the stack",
    )
    yield Figure.over(
        rates["stacked"] / rates["singles"],
        group=GROUP,
        name=f"shallow L={size} stacked / singles",
        unit="x",
        reference=stacked,
        gate=GAIN_GATES.get(size),
        note=f"at most {np.median(rates['products'] / rates['singles']):.1f}: singles over their large products alone",
    )
    yield from against_pythae(f"shallow L={size} single", rates["singles"], rates, SINGLE_GATE)
    # As against its own single runs, a stack gains little on a larger lattice.
    gate = STACK_GATE if size == min(STACKED_GATES) else None
    yield from against_pythae(f"shallow L={size} stacked", rates["stacked"], rates, gate)
    yield Figure.over(
        100 * rates["stacked"] / rates["products"],
        group=GROUP,
        name=f"shallow L={size} / bare products",
        unit="%",
        reference=Reference("its large matrix products alone", float(np.median(rates["products"])), "samples/s"),
    )
    yield Figure.over(
        [100 * epoch.loader_share for epoch in stack.history[1:]],
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
        for _ in range(trainer.steps_per_epoch * len(trainer.members)):
            torch.mm(x_BN, weight_NH, out=out_BH)
            torch.mm(units_BH, weight_HN, out=out_BN)
            torch.mm(units_BH.T, x_BN, out=out_HN)
            torch.mm(x_BN, weight_HN.T, out=out_BH)
            torch.mm(x_BN.T, units_BH, out=out_NH)
        return trainer.steps_per_epoch * trainer.batch * len(trainer.members)

    return work


def _table1(model: ModelConfig, samples: int, rounds: int) -> Iterator[Figure | SkippedFigure]:
    """Table-1 has no stack, so it is compared with a stack of one."""
    size = model.shape[1]
    name = f"table-1 {'' if model.padding == 'periodic' else model.padding + ' '}L={size}"
    data = _data(size, samples)
    shallow = _training(data, ModelConfig(shape=model.shape), SEEDS[:1], rounds + 1)
    table1 = _training(data, model, SEEDS[:1], rounds + 2)
    works = {"shallow": shallow.epoch, "table-1": table1.epoch, **_pythae(data, model)}
    rates = interleaved(works, rounds, time.process_time)
    yield Figure.over(
        rates["table-1"],
        group=GROUP,
        name=name,
        unit="samples/s",
        reference=Reference("one shallow run", float(np.median(rates["shallow"])), "samples/s"),
        note=f"limited by {_profile(table1)}",
    )
    yield Figure.over(
        rates["shallow"] / rates["table-1"],
        group=GROUP,
        name=f"shallow / {name}",
        unit="x",
        reference=Reference("one table-1 run", float(np.median(rates["table-1"])), "samples/s"),
    )
    yield from against_pythae(name, rates["table-1"], rates, TABLE1_GATE)


def _profile(training: _Training) -> str:
    """The operations that took the largest shares of one epoch's processor time, inner operations left out."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        training.epoch()
    averages = profile.key_averages()
    total = sum(operation.self_cpu_time_total for operation in averages)
    top = sorted(averages, key=lambda operation: -operation.self_cpu_time_total)[:TOP]
    return ", ".join(f"{operation.key} {100 * operation.self_cpu_time_total / total:.0f} %" for operation in top)
