"""How much faster two data-parallel workers are than one: processes of one thread, gloo on the loopback.

The batch is the same in all cases and shared by the workers. Beside one worker alone, two are compared with two that
train apart, each the whole batch, at the same time: what those lose is the machine's doing, the rest the exchange's.
Seconds are of the wall clock, so that other programs on the machine show.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from models.compute.group import TorchGroup
from models.config import Member, ModelConfig, Network, TrainConfig
from models.data.samples import PackedSamples
from models.training.trainer import Trainer
from workflow.bench._figure import Figure, Reference, SkippedFigure

GROUP = "scaling"
WORKERS = 2
BATCH = 128
PATIENCE = timedelta(minutes=10)
"""How long a worker waits for the other one, which may have died."""


class ScalingCase(NamedTuple):
    """What is trained, and how long one measurement is."""

    network: Network
    size: int
    steps: int

    @property
    def name(self) -> str:
        return f"{self.network} L={self.size}"


CASES = (ScalingCase("shallow", 32, 64), ScalingCase("table-1", 16, 8), ScalingCase("table-1", 32, 4))
QUICK = (ScalingCase("shallow", 8, 4), ScalingCase("table-1", 8, 2))


class Rates(NamedTuple):
    """Samples per second (rounds,), over both workers where there are two."""

    alone: NDArray[np.float64]
    apart: NDArray[np.float64]
    together: NDArray[np.float64]


def measure(quick: bool) -> Iterator[Figure | SkippedFigure]:
    """Shallow at L = 32, table-1 at L = 16 and 32; ``quick``: both at L = 8."""
    for case in QUICK if quick else CASES:
        yield from compared(case, _rates(case, 2 if quick else 9))


def compared(case: ScalingCase, rates: Rates) -> Iterator[Figure]:
    """Two workers against one, and against two apart."""
    gain = np.median(rates.apart / rates.alone)
    yield Figure.over(
        rates.together / rates.alone,
        group=GROUP,
        name=f"{case.name} {WORKERS} workers / 1",
        unit="x",
        reference=Reference("one worker alone", float(np.median(rates.alone)), "samples/s"),
        note=f"batch {BATCH}, shared; two that train apart are {gain:.2f} times as fast as one alone",
    )
    yield Figure.over(
        100 * rates.together / rates.apart,
        group=GROUP,
        name=f"{case.name} {WORKERS} workers / {WORKERS} apart",
        unit="%",
        reference=Reference("two trainings side by side", float(np.median(rates.apart)), "samples/s"),
        note="what is left by exchanging gradients, by waiting for each other, and by smaller products",
    )


def _rates(case: ScalingCase, rounds: int) -> Rates:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        meeting = str(Path(folder) / "meeting")
        futures = [pool.submit(_work, rank, meeting, case, rounds) for rank in range(WORKERS)]
        seconds_WRK = np.array([future.result() for future in futures])
    samples = case.steps * BATCH
    alone_R, apart_R, together_R = (seconds_WRK[..., kind] for kind in range(3))
    # Both of those together are done when the slower one is.
    return Rates(samples / alone_R[0], (samples / apart_R).sum(0), samples / together_R.max(0))


def _work(rank: int, meeting: str, case: ScalingCase, rounds: int) -> list[list[float]]:
    """Seconds (rounds, 3) of this worker's epochs: alone (worker 0 only, else nan), apart and together, in turns."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORKERS, timeout=PATIENCE)
    try:
        single, shared = _epochs(case, 2 * rounds + 2, None), _epochs(case, rounds + 1, TorchGroup())
        for epochs in (single, shared):
            next(epochs)
        return [_round(rank, (single, single, shared)) for _ in range(rounds)]
    finally:
        dist.destroy_process_group()


def _round(rank: int, kinds: Sequence[Iterator[object]]) -> list[float]:
    seconds = []
    for kind, epochs in enumerate(kinds):
        dist.barrier()
        start = time.perf_counter()
        if kind or rank == 0:
            next(epochs)
        seconds.append(time.perf_counter() - start if kind or rank == 0 else float("nan"))
    dist.barrier()
    return seconds


def _epochs(case: ScalingCase, epochs: int, group: TorchGroup | None) -> Iterator[object]:
    """Epochs of a new training on random bits, which change no speed."""
    bits = np.random.default_rng(0).integers(0, 256, (case.steps * BATCH, case.size**2 // 8), dtype=np.uint8)
    model = ModelConfig(shape=(1, case.size, case.size), network=case.network)
    config = TrainConfig(epochs=epochs, batch=BATCH, axes="none")
    samples = PackedSamples(bits, model.shape)
    return Trainer(samples, model, config, [Member(beta=model.sites / 10, seed=0)], group=group).epochs()
