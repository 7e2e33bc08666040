"""Physics with absolute gates: exact energies, and what the latents come to on data that training never saw."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulators.reference import exact
from workflow.analyze.stage import analyze
from workflow.bench._figure import Figure, FigureGate, Reference
from workflow.dataset import shards
from workflow.encode import encode
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import simulation_tasks
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse
from workflow.train.stage import train
from workflow.verdict import gates, judging
from workflow.verdict.records import read_records

GROUP = "physics"
SIZES = (8, 16, 32)
TEMPERATURES = [2.0, exact.ISING_CRITICAL_TEMPERATURE, 2.5, 3.0]
COUPLINGS = [1.0, -1.0]
SAMPLES = 4096
SEED = 7
ENERGY_GATE = FigureGate(high=4.0)
"""On the largest |z| of the temperatures. With errors from 64 chains, P(|t| > 4) is 1.7e-4 (Student, 63 degrees of
freedom): .4 % that one of the 24 points of correct code fails."""

DEEP = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
HIGH = [4.0, 4.2, 4.4, 4.6, 4.8, 5.0]
STUDY: dict[str, Any] = {
    "name": "bench-physics",
    "seed": SEED,
    # Ferromagnet, antiferromagnet and paramagnet, each a third of the data.
    "simulate": [
        {"system": "ising", "size": 16, "coupling": [1.0, -1.0], "temperature": DEEP, "samples": 448},
        {"system": "ising", "size": 16, "coupling": [1.0, -1.0], "temperature": HIGH, "samples": 224},
    ],
    "train": [
        {"name": "phases", "beta": "auto", "seed": [0, 1, 2, 3, 4]},
        {"name": "collapse", "beta": "1.2 lam", "seed": 0},
    ],
}


def measure(quick: bool) -> Iterator[Figure]:
    """Energies, then the verdict on a small study; ``quick`` leaves the largest lattice out."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _energies(Path(folder) / "energies", SIZES[:-1] if quick else SIZES)
        yield from verdict(run_study(Path(folder) / "study"))


def _energies(root: Path, sizes: tuple[int, ...]) -> Iterator[Figure]:
    """For every size and coupling, the largest distance of the energy from the exact one, in standard errors."""
    grid = {"system": "ising", "size": list(sizes), "coupling": COUPLINGS, "temperature": TEMPERATURES}
    study = parse({"name": "bench-energies", "seed": SEED, "simulate": [{**grid, "samples": SAMPLES}]})
    run = begin_run(study, root)
    simulate(study, run, Execution(SerialExecutor(), quiet=True))
    z: dict[tuple[int, float], dict[float, float]] = {}
    for task in simulation_tasks(study):
        spec = dict(task.spec)
        size, coupling, temperature = task.size, float(spec["coupling"]), float(spec["temperature"])
        measured = shards.read_certificate(run.shard(task)).observables["energy"]
        expected = exact.ising(size, size, temperature, coupling).energy
        z.setdefault((size, coupling), {})[temperature] = (measured.mean - expected) / measured.error
    for (size, coupling), of_temperature in z.items():
        yield Figure.over(
            [max(abs(value) for value in of_temperature.values())],
            group=GROUP,
            name=f"energy L={size} J={coupling:+g}",
            unit="sigma",
            reference=Reference("Kaufman's closed form"),
            gate=ENERGY_GATE,
            note=", ".join(f"T = {temperature:.4g}: {value:+.2f}" for temperature, value in of_temperature.items()),
        )


def run_study(root: Path) -> RunDirectory:
    """The stages up to the analysis, in this process, in the folder ``root``."""
    study = parse(STUDY)
    run = begin_run(study, root)
    for stage in (simulate, train, encode, analyze):
        stage(study, run, Execution(SerialExecutor(), "cpu", quiet=True))
    return run


def verdict(run: RunDirectory) -> Iterator[Figure]:
    """The gates of the run's verdict, each on its worst seed."""
    for setting in judging.judge(read_records(run.summary)):
        for gate in gates.DISENTANGLED if setting.expected == gates.SIGNS else gates.COLLAPSED:
            yield _judged(setting, gate)


def _judged(setting: judging.Verdict, gate: gates.Gate) -> Figure:
    judgements = [judgement for judgement in setting.judgements if judgement.words == gate.words]
    # An undefined quantity, or one that the analysis did not give, fails its gate.
    worst, error = (judgements[0].worst, judgements[0].error) if judgements else (math.nan, math.nan)
    of = "one seed" if setting.seeds == 1 else f"worst of {setting.seeds} seeds"
    return Figure.over(
        [worst],
        group=GROUP,
        name=f"{setting.name}: {gate.words}",
        unit="",
        reference=Reference(f"{of}, held-out samples"),
        gate=FigureGate(gate.low, gate.high),
        note=f"beta = {setting.beta_over_lam:.2f} lam, " + ("no error" if math.isnan(error) else f"error {error:.2g}"),
    )
