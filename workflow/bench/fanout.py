"""What very many small tasks cost the driver: its own processor time and memory, and how long its commands take."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from workflow import ROOT
from workflow.bench._figure import Figure, FigureGate, Reference
from workflow.execution.executors import Executor, Outcome
from workflow.execution.ray_executor import RayExecutor
from workflow.execution.run_folder import opened
from workflow.execution.stage import Execution
from workflow.simulate.stage import simulate
from workflow.study.loading import parse

GROUP = "fanout"
WORKERS = 2
POINTS, QUICK_POINTS = 10_000, 600
LARGE_PLANS = (100_000, 1_000_000)
DRIVER_GATE = FigureGate(high=2.0)
"""Milliseconds of the driver's own processor time per task."""
GROWTH_GATE = FigureGate(high=30.0)
"""MiB between 20 % and all of the tasks: below 4 kB a task, which is what the driver has to know of each."""
STATUS_GATE, RESUME_GATE = FigureGate(high=1.0), FigureGate(high=5.0)
"""Seconds of wall clock, from the start of the interpreter to its end."""
EARLY = 0.2
"""Share of the tasks after which the driver's memory is recorded: caches have filled by then."""
MEBIBYTE = 2**20


def measure(quick: bool) -> Iterator[Figure]:
    """The stage, then the commands that look at a finished run, then plans; ``quick`` has few points and no gates."""
    points = QUICK_POINTS if quick else POINTS
    with tempfile.TemporaryDirectory() as folder:
        study, run_dir = Path(folder) / "study.toml", Path(folder) / "run"
        study.write_text(tomli_w.dumps(small_points(points)))
        yield from _stage(points, run_dir, quick)
        yield from _finished(points, study, run_dir, quick)
        yield from _plans((points,) if quick else (points, *LARGE_PLANS), Path(folder))


def small_points(count: int) -> dict[str, Any]:
    """A study of ``count`` points (an even number) that take milliseconds each: L = 4, lengths given."""
    grid = {"coupling": [1.0, -1.0], "temperature": {"start": 1.0, "stop": 6.0, "count": count // 2}}
    lengths = {"algorithm": "metropolis", "thermalization": 100, "spacing": 10}
    block = {"system": "ising", "size": 4, **grid, "samples": 64, "chains": 64, **lengths}
    return {"name": "bench-fanout", "simulate": [block]}


class Drive(NamedTuple):
    """What one stage cost its driver."""

    seconds: float
    """Wall clock, without Ray's start."""
    processor_seconds: float
    """Of the driver alone: its tasks run in other processes."""
    task_seconds: float
    early_bytes: int
    """Resident memory when ``EARLY`` of the tasks were done."""
    bytes: int
    """The same after the last one."""


class MemoryRecorder:
    """An executor, and the driver's memory whenever a task is done."""

    def __init__(self, executor: Executor) -> None:
        self.executor, self.workers = executor, executor.workers
        self.resident: list[int] = []

    def run_all(
        self, function: Callable[..., Any], items: Sequence[Any], *shared: object, **options: Any
    ) -> Iterator[Outcome]:
        for outcome in self.executor.run_all(function, items, *shared, **options):
            self.resident.append(resident_bytes())
            yield outcome

    def close(self) -> None:
        self.executor.close()


def resident_bytes() -> int:
    """Memory of this process that is in use now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def drive(points: int, run_dir: Path) -> Drive:
    """Simulate ``small_points`` with Ray, as a user would, and watch the driver."""
    study = parse(small_points(points))
    executor = RayExecutor(WORKERS)
    executor.start()
    recorder = MemoryRecorder(executor)
    try:
        with opened(study, run_dir) as run, contextlib.redirect_stderr(io.StringIO()):
            start, processor = time.perf_counter(), time.process_time()
            records = simulate(study, run, Execution(recorder))
            seconds, processor = time.perf_counter() - start, time.process_time() - processor
    finally:
        executor.close()
    return Drive(
        seconds=seconds,
        processor_seconds=processor,
        task_seconds=sum(record.seconds or 0.0 for record in records.values()),
        early_bytes=recorder.resident[int(EARLY * points) - 1],
        bytes=resident_bytes(),
    )


def _stage(points: int, run_dir: Path, quick: bool) -> Iterator[Figure]:
    cost = drive(points, run_dir)
    yield Figure.over(
        [1000 * cost.processor_seconds / points],
        group=GROUP,
        name=f"driver per task, {points:,} tasks",
        unit="ms",
        reference=Reference("wall clock of the stage per task", 1000 * cost.seconds / points, "ms"),
        gate=None if quick else DRIVER_GATE,
        note=f"processor time of the driver; a task takes {1000 * cost.task_seconds / points:.2g} ms in one of "
        f"{WORKERS} workers, measured by itself",
    )
    yield Figure.over(
        [(cost.bytes - cost.early_bytes) / MEBIBYTE],
        group=GROUP,
        name="driver's memory, at the end minus at 20 %",
        unit="MiB",
        reference=Reference("resident at 20 %", cost.early_bytes / MEBIBYTE, "MiB"),
        gate=None if quick else GROWTH_GATE,
    )


class Command(NamedTuple):
    """What one command came to."""

    seconds: float
    bytes: int
    """Most resident memory."""


MEASURED = """
import os, sys, time
start = time.perf_counter()
arguments = [sys.executable, "-m", "latentphase", *sys.argv[1:]]
child = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A child counts the memory of the process that starts it as its own, so a small one does."""


def command(*arguments: str) -> Command:
    """Carry out ``latentphase`` with ``arguments`` in a process of its own, as a shell would.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    program = [sys.executable, "-c", MEASURED, *arguments]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"latentphase {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    seconds, most = done.stdout.split()
    return Command(float(seconds), int(most))


def _finished(points: int, study: Path, run_dir: Path, quick: bool) -> Iterator[Figure]:
    """Commands on the finished run; an interpreter that says its help is what they cost without one."""
    idle = command("--help").seconds
    rounds = 1 if quick else 3
    calls = {
        "status": (["status", str(run_dir)], STATUS_GATE),
        "resume": (["simulate", str(study), "--run-dir", str(run_dir)], RESUME_GATE),
    }
    for name, (arguments, gate) in calls.items():
        yield Figure.over(
            [command(*arguments).seconds for _ in range(rounds)],
            group=GROUP,
            name=f"{name} of {points:,} finished tasks",
            unit="s",
            reference=Reference("latentphase --help", idle, "s"),
            gate=None if quick else gate,
            note="reads every shard and compares its checksum" if name == "resume" else "",
        )


def _plans(counts: Sequence[int], folder: Path) -> Iterator[Figure]:
    """``plan`` of many points: time, and memory per task beyond a plan of two."""
    study = folder / "plan.toml"
    study.write_text(tomli_w.dumps(small_points(2)))
    least = command("plan", str(study))
    for count in counts:
        study.write_text(tomli_w.dumps(small_points(count)))
        cost = command("plan", str(study))
        yield Figure.over(
            [cost.seconds],
            group=GROUP,
            name=f"plan of {count:,} tasks",
            unit="s",
            reference=Reference("plan of 2 tasks", least.seconds, "s"),
            note=f"{cost.bytes / MEBIBYTE:.0f} MiB at most, {(cost.bytes - least.bytes) / count:,.0f} bytes a task "
            f"beyond the {least.bytes / MEBIBYTE:.0f} MiB of a plan of two",
        )
