"""Training on one GPU: samples per second of table-1 and of stacks of the shallow network in every precision, plain and
compiled, and which share of the device's peak that is.

torch counts the operations of products and convolutions (two for a multiplication and an addition); the peak is what a
large matrix product reaches in the same precision on the same device. Seconds are of the wall clock, as the processor
only waits; an epoch ends when the device has done its last step.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from models.compute.precision import AUTOCAST, check_precision, exact_products
from models.config import Member, ModelConfig, Network, Precision, TrainConfig
from models.data.samples import PackedSamples
from models.training.trainer import Trainer
from workflow.bench._figure import Figure, Reference, SkippedFigure
from workflow.bench._timing import lasting, rate
from workflow.bench.training import one_thread
from workflow.dataset.gathered import machine_memory
from workflow.plan.costs import FULLY_CONNECTED, PARAMETER_BYTES

GROUP = "gpu"
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PEAK_SIZE = {"cuda": 8192, "cpu": 256}
"""Rows and columns of the matrices whose product is the peak."""
PEAK_SECONDS = {"cuda": 1.0, "cpu": 0.05}
STEPS = 20
"""Of one epoch, which is one measurement."""


class GpuCase(NamedTuple):
    """What is trained."""

    network: Network
    size: int
    batch: int
    runs: int = 1
    """Of a stack."""
    steps: int = STEPS

    @property
    def name(self) -> str:
        stack = f" {self.runs} runs" if self.runs > 1 else ""
        return f"{self.network} L={self.size} batch={self.batch}{stack}"


CASES = (
    GpuCase("table-1", 32, 128),
    GpuCase("table-1", 32, 1024),
    GpuCase("table-1", 128, 128),
    # Four billion parameters leave little room for samples.
    GpuCase("table-1", 512, 16),
    GpuCase("shallow", 16, 128, 64),
    GpuCase("shallow", 32, 128, 64),
)
QUICK = (GpuCase("table-1", 8, 4, steps=2), GpuCase("shallow", 16, 16, 4, steps=2))


def measure(quick: bool, device: str = "auto") -> Iterator[Figure | SkippedFigure]:
    """Table-1 at L = 32, 128 and 512 and stacks of shallow; ``quick``: small ones of both, nothing compiled.

    Args:
        quick: fewer repetitions and smaller sizes.
        device: "cpu" to try the measurement itself, without a GPU; "auto" and "cuda" need one.
    """
    if device != "cpu" and not torch.cuda.is_available():
        yield SkippedFigure(
            GROUP, "all", "there is no GPU that PyTorch can use; run this group on a machine that has one"
        )
        return
    target = torch.device("cpu" if device == "cpu" else "cuda")
    exact_products()
    with one_thread():
        yield from _measure(target, QUICK if quick else CASES, 2 if quick else 7, compiled=not quick)


def _measure(
    target: torch.device, cases: Sequence[GpuCase], rounds: int, compiled: bool
) -> Iterator[Figure | SkippedFigure]:
    peaks: dict[Precision, float] = {}
    for precision in PRECISIONS:
        try:
            check_precision(precision, target)
        except ValueError as error:
            yield SkippedFigure(GROUP, f"all in {precision}", str(error))
            continue
        figure = _peak(precision, target)
        peaks[precision] = figure.value
        yield figure
    for case in cases:
        if reason := too_large(case, _memory(target)):
            yield SkippedFigure(GROUP, case.name, reason)
            continue
        yield from _case(case, target, peaks, rounds, compiled)


def too_large(case: GpuCase, memory: int) -> str | None:
    """Why a case cannot be trained with ``memory`` bytes; None if its parameters fit."""
    parameters = FULLY_CONNECTED * case.size**2 if case.network == "table-1" else 0
    needed = parameters * PARAMETER_BYTES
    if needed < memory:
        return None
    return f"parameters, gradients and moments take {needed / 2**30:.0f} GiB, of {memory / 2**30:.0f} that there are"


def _memory(device: torch.device) -> int:
    """Bytes of the device."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine_memory()


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"


def _peak(precision: Precision, device: torch.device) -> Figure:
    """Operations per second of a large matrix product, in units of 10^12."""
    rows = PEAK_SIZE[device.type]
    dtype = AUTOCAST[precision] or torch.float32
    first, second, out = (torch.ones(rows, rows, dtype=dtype, device=device) for _ in range(3))

    def step(count: int) -> float:
        for _ in range(count):
            torch.mm(first, second, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return 2e-12 * rows**3 * count

    work = lasting(step, PEAK_SECONDS[device.type])
    return Figure.over(
        [rate(work) for _ in range(3)],
        group=GROUP,
        name=f"peak {precision}",
        unit="TFLOP/s",
        reference=None,
        note=f"products of {rows} x {rows} matrices on {_name_of(device)}",
    )


def _case(
    case: GpuCase, device: torch.device, peaks: Mapping[Precision, float], rounds: int, compiled: bool
) -> Iterator[Figure | SkippedFigure]:
    """A case in every precision of ``peaks``, one after the other, as several may not fit into the memory."""
    operations: float | None = None
    first: Reference | None = None
    for precision, peak in peaks.items():
        for compiles in (False, True) if compiled else (False,):
            name = f"{case.name} {precision}{' compiled' if compiles else ''}"
            # What the last one held is free only when nothing refers to it.
            gc.collect()
            try:
                trainer = _trainer(case, device, precision, compiles, rounds)
                if operations is None:
                    operations = _operations(case, device)
                rates = _rates(trainer, rounds)
            except (torch.OutOfMemoryError, ValueError) as error:
                yield SkippedFigure(GROUP, name, str(error).splitlines()[0])
                continue
            finally:
                trainer = None  # type: ignore[assignment]
            yield Figure.over(rates, group=GROUP, name=name, unit="samples/s", reference=first)
            yield Figure.over(
                100 * rates * operations / (1e12 * peak),
                group=GROUP,
                name=f"{name} / peak",
                unit="%",
                reference=Reference("a large product", peak, "TFLOP/s"),
                note=f"{operations / 1e6:,.3g} million operations a sample",
            )
            first = first or Reference("in float32, not compiled", float(np.median(rates)), "samples/s")


def _samples(case: GpuCase, device: torch.device) -> PackedSamples:
    """Random bits: what they are changes no speed."""
    shape = (case.steps * case.batch, case.size**2 // 8)
    bits = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return PackedSamples(bits, (1, case.size, case.size), device)


def _trainer(case: GpuCase, device: torch.device, precision: Precision, compiles: bool, rounds: int) -> Trainer:
    model = ModelConfig(shape=(1, case.size, case.size), network=case.network)
    config = TrainConfig(epochs=rounds + 2, batch=case.batch, axes="none", precision=precision, compile=compiles)
    runs = [Member(beta=model.sites / 10, seed=seed) for seed in range(case.runs)]
    return Trainer(_samples(case, device), model, config, runs, device=device)


def _rates(trainer: Trainer, rounds: int) -> NDArray[np.float64]:
    """Samples per second (rounds,) of single epochs, after two in which what is compiled is compiled."""
    rates = [epoch.samples_per_second for epoch in trainer.epochs()]
    return np.array(rates[-rounds:])


def _operations(case: GpuCase, device: torch.device) -> float:
    """Of products and convolutions, forward and backward, per sample and run."""
    single = case._replace(batch=min(case.batch, 16), runs=1, steps=1)
    trainer = _trainer(single, device, "float32", False, rounds=0)
    with FlopCounterMode(display=False) as counter:
        next(trainer.epochs())
    return counter.get_total_flops() / (trainer.steps_per_epoch * trainer.batch)
