"""What orchestration costs: the simulate stage on two Ray workers against bare kernels, tasks, Parquet."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators import contract, sampling
from simulators.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.systems import ising
from workflow import shards
from workflow.bench._figure import Figure, Gate, Reference
from workflow.bench._timing import interleaved, lasting, rate
from workflow.blocks import Study
from workflow.executors import RayExecutor, SerialExecutor
from workflow.folder import open_run
from workflow.layout import RunDirectory
from workflow.plan import simulation_tasks
from workflow.simulate import simulate
from workflow.study import parse

GROUP = "workflow"
WORKERS = 2
CHAINS = 64
"""One machine word, in the stage as in the bare kernel."""
SIZE = 64
TEMPERATURES = [2.20, 2.22, 2.24, 2.26, 2.28, 2.30, 2.32, 2.34]
"""Around T_c, where samples cost most; a multiple of the workers."""
SPACING = 300
"""Sweeps between samples that ``auto`` comes to here on average, to make the study as long as wanted."""
STAGE_GATE = Gate(low=0.8)
LENGTH_GATE = Gate(low=60.0)
"""Seconds; a shorter stage says little about a long one."""
KERNEL_SECONDS = 4.0
TASKS = 400
PARQUET_SIZE = 32
PARQUET_SAMPLES = 16384
MEGABYTE = 1e6


def measure(quick: bool) -> Iterator[Figure]:
    """The stage, then tasks that do nothing, then Parquet; ``quick`` has a stage too short to be judged."""
    rounds = 3 if quick else 7
    executor = RayExecutor(WORKERS)
    try:
        yield from _stage(executor, quick)
        yield from _tasks(executor, rounds)
    finally:
        executor.close()
    with tempfile.TemporaryDirectory() as folder:
        yield from _parquet(Path(folder), rounds)


class Kernels(NamedTuple):
    """Spin updates per second of bare kernels at T_c."""

    alone: float
    """One, twice."""
    together: float
    """Two at once, in two processes: what the machine gives two of them while it does whatever else it does."""


def bare_kernel(seconds: float) -> float:
    """Spin updates per second of one kernel for about ``seconds``, after a warm-up."""
    spec = ising.Spec(size=SIZE, coupling=1.0, temperature=T_C)
    simulation = ising.Simulation(spec, np.arange(CHAINS) % 2 == 0, "metropolis", np.random.default_rng(0))

    def step(sweeps: int) -> float:
        simulation.advance(sweeps)
        return sweeps * CHAINS * SIZE**2

    return rate(lasting(step, seconds))


def _kernels(seconds: float) -> Kernels:
    alone = WORKERS * bare_kernel(seconds)
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        # The first calls load and compile; the second ones then start at the same moment.
        list(pool.map(bare_kernel, [1.0] * WORKERS))
        return Kernels(alone, sum(pool.map(bare_kernel, [seconds] * WORKERS)))


def stage_study(seconds: float, updates_per_second: float) -> Study:
    """A study whose simulate stage takes about ``seconds`` at that speed of all workers."""
    updates = seconds * updates_per_second / len(TEMPERATURES)
    samples = max(CHAINS, round(updates / (SPACING * SIZE**2)))
    grid = {"system": "ising", "size": SIZE, "coupling": 1.0, "temperature": TEMPERATURES}
    return parse({"name": "bench-stage", "simulate": [{**grid, "samples": samples, "chains": CHAINS}]})


def updates_done(certificates: Iterable[Mapping[str, Any]], size: int) -> float:
    """Spin updates that shards of lattice size ``size`` stand for: chains, sites, and sweeps really done."""
    return sum(
        certificate["chains"]
        * size**2
        * (certificate["thermalization"] + certificate["spacing"] * certificate["measurements"])
        for certificate in certificates
    )


def _stage(executor: RayExecutor, quick: bool) -> Iterator[Figure]:
    seconds = KERNEL_SECONDS / 4 if quick else KERNEL_SECONDS
    before = _kernels(seconds)
    with tempfile.TemporaryDirectory() as folder:
        study = stage_study(10.0 if quick else 90.0, before.together)
        run = open_run(study, Path(folder) / "run")
        start = time.perf_counter()
        records = simulate(study, run, executor, quiet=True)
        wall = time.perf_counter() - start
        done = updates_done(_certificates(run, study), SIZE)
        megabytes = sum(record.bytes for record in records.values()) / MEGABYTE
    after = _kernels(seconds)
    speed = done / wall
    note = f"{wall:.0f} s with Ray's start, {len(records)} shards of {megabytes:.0f} MB, {speed / 1e9:.3g} spins/ns"
    yield Figure.over(
        [speed / before.together, speed / after.together],
        group=GROUP,
        name=f"simulate / {WORKERS} bare kernels together",
        unit="x",
        reference=Reference("bare, at once, before and after", _mean(before.together, after.together), "spins/ns"),
        gate=None if quick else STAGE_GATE,
        note=note,
    )
    yield Figure.over(
        [speed / before.alone, speed / after.alone],
        group=GROUP,
        name=f"simulate / {WORKERS} x one bare kernel",
        unit="x",
        reference=Reference(f"{WORKERS} x bare, before and after", _mean(before.alone, after.alone), "spins/ns"),
        note="contains what the machine's cores take from each other; the gate is on the figure above",
    )
    yield Figure.over(
        [wall],
        group=GROUP,
        name="length of the stage",
        unit="s",
        reference=None,
        gate=None if quick else LENGTH_GATE,
    )


def _mean(one: float, other: float) -> float:
    return (one + other) / 2 / 1e9


def _certificates(run: RunDirectory, study: Study) -> Iterator[Mapping[str, Any]]:
    for task in simulation_tasks(study):
        yield shards.read_metadata(run.shard(task.system, task.size, task.task_id))["certificate"]


def nothing(item: int) -> int:
    """A task that does nothing."""
    return item


def _tasks(executor: RayExecutor, rounds: int) -> Iterator[Figure]:
    """Milliseconds per task of the executor, against Ray without it and a plain loop."""
    import ray

    remote = ray.remote(nothing).options(num_cpus=1)
    works = {
        "ours": lambda: float(sum(1 for _ in executor.run_all(nothing, range(TASKS)))),
        "ray": lambda: float(len(ray.get([remote.remote(item) for item in range(TASKS)]))),
        "loop": lambda: float(sum(1 for _ in SerialExecutor().run_all(nothing, range(TASKS)))),
    }
    each = {name: 1000 / per_second for name, per_second in interleaved(works, rounds).items()}
    loop = float(np.median(each["loop"]))
    yield Figure.over(
        each["ours"],
        group=GROUP,
        name="an empty task",
        unit="ms",
        reference=Reference("ray.get of all of them", float(np.median(each["ray"])), "ms"),
        note=f"with a bounded window; the serial executor takes {loop:.2g} ms",
    )


def _parquet(folder: Path, rounds: int) -> Iterator[Figure]:
    """Shards written, and read and decoded, against plain arrays of the same spins."""
    grid = {"system": "ising", "size": PARQUET_SIZE, "coupling": 1.0, "temperature": T_C}
    (task,) = simulation_tasks(parse({"name": "parquet", "simulate": [{**grid, "samples": PARQUET_SAMPLES}]}))
    system = contract.load(task.system)
    samples = sampling.sample(
        system,
        system.spec(**dict(task.spec)),
        chains=task.chains,
        samples=task.samples,
        algorithm=task.algorithm,
        thermalization=task.thermalization,
        spacing=task.spacing,
        rng=task.generator(),
    )
    spins: NDArray[np.int8] = samples.configurations
    shard, plain = folder / "shard.parquet", folder / "plain.npy"

    def each(done: object) -> float:
        return spins.nbytes / MEGABYTE

    works = {
        "write": lambda: each(shards.write(task, samples, shard)),
        "save": lambda: each(np.save(plain, spins)),
        "read": lambda: each(shards.read(shard).configurations()),
        "load": lambda: each(np.load(plain)),
    }
    rates = interleaved(works, rounds)
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
