"""What orchestration costs: the simulate stage on two Ray workers against bare kernels, tasks, Parquet."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.reference.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.sampling.certificate import Certificate
from simulators.systems import ising
from workflow.bench._figure import Figure, FigureGate, Reference
from workflow.bench._timing import Clock, Work, interleaved, lasting, rate
from workflow.dataset import codec, shards
from workflow.execution.executors import SerialExecutor
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import SimulationJob, simulation_tasks
from workflow.simulate.stage import simulate
from workflow.simulate.worker import draw, run_job
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.study.loading import parse

GROUP = "workflow"
WORKERS = 2
CHAINS = 64
"""One machine word, in the stage as in the bare kernel."""
SPACINGS = {64: 300, 128: 1300}
"""Lattice sizes of the stage, and the sweeps between samples that ``auto`` comes to there on average (rounded: it
only makes the study about as long as wanted)."""
TEMPERATURES = [2.255, 2.26, 2.265, 2.27, 2.275, 2.28, 2.285, 2.29]
"""Around T_c, where samples cost most; a multiple of the workers."""
STAGE_GATE = FigureGate(low=0.8)
LENGTH_GATE = FigureGate(low=60.0)
"""Seconds; a shorter stage says little about a long one."""
RAY_NICENESS, NICENESS_VARIABLE = 15, "RAY_worker_niceness"
"""By how much Ray lowers the priority of its workers, and the environment variable that says otherwise."""
TASKS = 400
PARQUET_SIZE = 32
PARQUET_SAMPLES = 16384
MEGABYTE = 1e6


def measure(quick: bool) -> Iterator[Figure]:
    """The stage, then tasks that do nothing, then Parquet; ``quick`` has one stage, too short to be judged."""
    rounds = 3 if quick else 7
    for size in list(SPACINGS)[: 1 if quick else None]:
        yield from _stage(size, quick)
    yield from _tasks(rounds)
    with tempfile.TemporaryDirectory() as folder:
        yield from _parquet(Path(folder), rounds)


class Kernels(NamedTuple):
    """Spin updates per second of bare kernels at T_c."""

    alone: float
    """One, times the workers."""
    together: float
    """As many as there are workers, at once: what the machine gives them while it does whatever else it does."""


def bare_kernel(size: int, seconds: float, clock: Clock = time.perf_counter) -> float:
    """Spin updates per second of one kernel for about ``seconds``, after a warm-up."""
    spec = ising.Spec(size=size, coupling=1.0, temperature=T_C)
    simulation = ising.Simulation(spec, np.zeros(CHAINS, dtype=bool), "metropolis", np.random.default_rng(0))

    def step(sweeps: int) -> float:
        simulation.advance(sweeps)
        return sweeps * CHAINS * size**2

    return rate(lasting(step, seconds, clock), clock)


def bare_kernels(size: int, seconds: float) -> Kernels:
    """Bare kernels alone in this process, then at once in processes as nice as Ray's workers are."""
    alone = WORKERS * bare_kernel(size, seconds)
    niceness = int(os.environ.get(NICENESS_VARIABLE, RAY_NICENESS))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, context, initializer=os.nice, initargs=(niceness,)) as pool:
        # The first calls load and compile; the second ones then start at the same moment.
        list(pool.map(bare_kernel, [size] * WORKERS, [1.0] * WORKERS))
        return Kernels(alone, sum(pool.map(bare_kernel, [size] * WORKERS, [seconds] * WORKERS)))


def stage_study(size: int, seconds: float, updates_per_second: float) -> Study:
    """A study whose simulate stage takes about ``seconds`` at that speed of all workers."""
    updates = seconds * updates_per_second / len(TEMPERATURES)
    samples = max(CHAINS, round(updates / (SPACINGS[size] * size**2)))
    grid = {"system": "ising", "size": size, "coupling": 1.0, "temperature": TEMPERATURES}
    return parse({"name": "bench-stage", "simulate": [{**grid, "samples": samples, "chains": CHAINS}]})


def updates_done(certificates: Iterable[Certificate], size: int) -> float:
    """Spin updates that shards of lattice size ``size`` stand for: chains, sites, and sweeps really done."""
    return sum(
        certificate.chains * size**2 * (certificate.thermalization + certificate.spacing * certificate.measurements)
        for certificate in certificates
    )


class StageSpeed(NamedTuple):
    """What one run of the simulate stage came to."""

    seconds: float
    """Wall clock, Ray's start included."""
    updates: float
    task_seconds: float
    """Sum over tasks, measured by themselves."""
    shards: int
    megabytes: float


def run_stage(study: Study, size: int) -> StageSpeed:
    """Simulate ``study`` with Ray, from its start to the manifest."""
    executor = RayExecutor(WORKERS)
    with tempfile.TemporaryDirectory() as folder:
        run = begin_run(study, Path(folder) / "run")
        start = time.perf_counter()
        try:
            records = simulate(study, run, Execution(executor, quiet=True))
            seconds = time.perf_counter() - start
        finally:
            executor.close()
        return StageSpeed(
            seconds=seconds,
            updates=updates_done(_certificates(run, study), size),
            task_seconds=sum(record.seconds or 0.0 for record in records.values()),
            shards=len(records),
            megabytes=sum(record.bytes for record in records.values()) / MEGABYTE,
        )


def _stage(size: int, quick: bool) -> Iterator[Figure]:
    kernel_seconds, seconds = (1.0, 10.0) if quick else (4.0, 90.0)
    before = bare_kernels(size, kernel_seconds)
    study = stage_study(size, seconds, before.together)
    stage = run_stage(study, size)
    after = bare_kernels(size, kernel_seconds)
    speed = stage.updates / stage.seconds
    share = 100 * stage.task_seconds / (WORKERS * stage.seconds)
    yield Figure.over(
        [speed / before.together, speed / after.together],
        group=GROUP,
        name=f"simulate L={size} / {WORKERS} kernels at once",
        unit="x",
        reference=Reference("bare, before and after", _mean(before.together, after.together), "spins/ns"),
        note=f"{stage.seconds:.0f} s with Ray's start, {share:.0f} % of it in tasks, {stage.shards} shards of "
        f"{stage.megabytes:.0f} MB in all, {speed / 1e9:.3g} spins/ns",
    )
    yield Figure.over(
        [speed / before.alone, speed / after.alone],
        group=GROUP,
        name=f"simulate L={size} / {WORKERS} x one kernel",
        unit="x",
        reference=Reference("bare, before and after", _mean(before.alone, after.alone), "spins/ns"),
        gate=None if quick else STAGE_GATE,
        note="contains what the machine's cores take from each other; the figure above does not",
    )
    yield _task(study, size, kernel_seconds)
    yield Figure.over(
        [stage.seconds],
        group=GROUP,
        name=f"length of the stage L={size}",
        unit="s",
        reference=None,
        gate=None if quick else LENGTH_GATE,
    )


def _task(study: Study, size: int, kernel_seconds: float) -> Figure:
    """One task of ``study`` against a bare kernel, both in processor time of this process.

    What sampling and Parquet cost, without Ray and whatever else the machine does meanwhile.
    """
    task = simulation_tasks(study)[0]
    smallest = simulation_tasks(stage_study(size, 0.0, 0.0))[0]
    before = bare_kernel(size, kernel_seconds, time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        # Imports and compiled code are loaded once per worker, not per task.
        run_job(SimulationJob((smallest,)), folder)
        start = time.process_time()
        (record,) = run_job(SimulationJob((task,)), folder)
        seconds = time.process_time() - start
        done = updates_done([shards.read_certificate(Path(folder) / record.path)], size)
    after = bare_kernel(size, kernel_seconds, time.process_time)
    return Figure.over(
        [done / seconds / before, done / seconds / after],
        group=GROUP,
        name=f"one task L={size} / one kernel",
        unit="x",
        reference=Reference("bare, before and after", _mean(before, after), "spins/ns"),
        note=f"{seconds:.1f} s of processor time; what the stage loses beyond this is Ray's start and idle ends",
    )


def _mean(first: float, other: float) -> float:
    return (first + other) / 2 / 1e9


def _certificates(run: RunDirectory, study: Study) -> Iterator[Certificate]:
    for task in simulation_tasks(study):
        yield shards.read_certificate(run.shard(task))


def nothing(number: int) -> int:
    """A task that does nothing."""
    return number


def _tasks(rounds: int) -> Iterator[Figure]:
    """Milliseconds per task of the executor, against Ray without it and a plain loop."""
    executor = RayExecutor(WORKERS)
    executor.start()
    try:
        each = _milliseconds(executor, rounds)
    finally:
        executor.close()
    yield Figure.over(
        each["ours"],
        group=GROUP,
        name="an empty task",
        unit="ms",
        reference=Reference("ray.get of all of them", float(np.median(each["ray"])), "ms"),
        note=f"with a bounded window; the serial executor takes {np.median(each['loop']):.2g} ms",
    )


def _milliseconds(executor: RayExecutor, rounds: int) -> dict[str, NDArray[np.float64]]:
    import ray

    remote = ray.remote(nothing).options(num_cpus=1)
    works = {
        "ours": lambda: float(sum(1 for _ in executor.run_all(nothing, range(TASKS)))),
        "ray": lambda: float(len(ray.get([remote.remote(number) for number in range(TASKS)]))),
        "loop": lambda: float(sum(1 for _ in SerialExecutor().run_all(nothing, range(TASKS)))),
    }
    return {name: 1000 / per_second for name, per_second in interleaved(works, rounds).items()}


def _parquet(folder: Path, rounds: int) -> Iterator[Figure]:
    """Shards written, and read and decoded, against plain arrays of the same spins."""
    grid = {"system": "ising", "size": PARQUET_SIZE, "coupling": 1.0, "temperature": T_C}
    (task,) = simulation_tasks(parse({"name": "parquet", "simulate": [{**grid, "samples": PARQUET_SAMPLES}]}))
    samples = draw(task)
    spins: NDArray[np.int8] = codec.decode(samples.configurations, "bits", (1, PARQUET_SIZE, PARQUET_SIZE))
    shard, plain = folder / "shard.parquet", folder / "plain.npy"

    calls: dict[str, Callable[[], object]] = {
        "write": lambda: shards.write(task, samples, shard),
        "save": lambda: np.save(plain, spins),
        "read": lambda: shards.read(shard).configurations(),
        "load": lambda: np.load(plain),
    }
    rates = interleaved({name: _moves(spins.nbytes / MEGABYTE, call) for name, call in calls.items()}, rounds)
    for ours, theirs, words in (("write", "save", "np.save"), ("read", "load", "np.load")):
        yield Figure.over(
            rates[ours] / rates[theirs],
            group=GROUP,
            name=f"Parquet {ours} / {words}",
            unit="x",
            reference=Reference(f"{words} of int8", float(np.median(rates[theirs])), "MB/s"),
            note=f"{np.median(rates[ours]):,.0f} MB/s of decoded spins, {spins.nbytes / shard.stat().st_size:.1f} "
            "times smaller on disk than np.save's",
        )


def _moves(megabytes: float, call: Callable[[], object]) -> Work:
    def work() -> float:
        call()
        return megabytes

    return work
