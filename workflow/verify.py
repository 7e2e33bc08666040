"""The verify command: is a run folder what it says it is, and does its physics hold?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from simulators import contract
from workflow.dataset import manifest, shards
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.dataset.records import load_records
from workflow.execution.run_folder import load_run
from workflow.plan.tasks import shard_tasks
from workflow.storage import places
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory

WORST_Z = 5.0
"""Largest |z| of a shard's energy against its exact value: 6e-7 false alarms per shard."""


@dataclass
class Findings:
    """Lines for the user, and whether anything failed."""

    lines: list[str] = field(default_factory=list)
    failed: bool = False

    def fail(self, line: str) -> None:
        self.lines.append(f"FAILED  {line}")
        self.failed = True

    def good(self, line: str) -> None:
        self.lines.append(f"ok      {line}")


def verify_run(root: Place, rebuild_manifest: bool = False) -> Findings:
    """Check every shard of the run at ``root``: it exists unaltered, with the right columns, a certificate and energy.

    Raises:
        FolderError: it is no run folder.
    """
    run, study = load_run(root)
    tasks = {task.task_id: task for task in shard_tasks(study)}
    findings = Findings()
    if rebuild_manifest:
        manifest.store(run, manifest.rebuild(run), tasks)
        findings.lines.append("note    the manifest is new: its checksums are those of the files as they are now")
    records = {task_id: record for task_id, record in load_records(run).items() if task_id in tasks}
    complaints = manifest.damaged(run, records.values(), places.listing(run.root))
    for text in complaints.values():
        findings.fail(f"{text}; `latentphase simulate` makes it again")
    missing = [task_id for task_id in tasks if task_id not in records]
    if missing:
        findings.fail(f"{len(missing)} of {len(tasks)} shards are not in the manifest, first {tasks[missing[0]]}")
    whole = [task for task_id, task in tasks.items() if task_id in records and task_id not in complaints]
    if not complaints and not missing:
        findings.good(f"{len(whole)} shards, every checksum as recorded; digest {manifest.digest(records)[:16]}")
    _schema(run, whole, findings)
    simulated = [task for task in whole if isinstance(task, SimulationTask)]
    _certificates(run, simulated, findings)
    _energies(run, simulated, findings)
    if len(simulated) < len(whole):
        findings.lines.append(f"note    {len(whole) - len(simulated)} shards were not simulated here: no certificate")
    return findings


def _schema(run: RunDirectory, tasks: list[ShardTask], findings: Findings) -> None:
    before = findings.failed
    for task in tasks:
        path = run.shard(task)
        try:
            shard = shards.read(path)
        except shards.ShardError as error:
            findings.fail(str(error))
            continue
        expected = {"chain", "sweep", *task.names.columns, *dict(task.spec)}
        if set(shard.columns) != expected:
            findings.fail(f"{path.name}: columns {sorted(shard.columns)} instead of {sorted(expected)}")
        elif shard.metadata["format"] != shards.FORMAT or len(shard.packed_SB) != task.samples:
            findings.fail(f"{path.name}: format {shard.metadata['format']}, {len(shard.packed_SB)} rows")
    if tasks and findings.failed == before:
        findings.good(f"{len(tasks)} shards follow format {shards.FORMAT}")


def _certificates(run: RunDirectory, tasks: list[SimulationTask], findings: Findings) -> None:
    certified = 0
    for task in tasks:
        certificate = shards.read_certificate(run.shard(task))
        if certificate.certified:
            certified += 1
        else:
            findings.fail(f"{task.task_id} ({task}) is not certified: {'; '.join(certificate.reasons)}")
    if tasks and certified == len(tasks):
        findings.good(f"{certified} certificates: R-hat, effective samples, hot against ordered starts")


def _energies(run: RunDirectory, tasks: list[SimulationTask], findings: Findings) -> None:
    """Energies against the exact values of the finite lattice, where a system has them."""
    scores = []
    for task in tasks:
        exact = contract.load(task.system).exact_energy(task.point)
        if exact is None:
            continue
        certificate = shards.read_certificate(run.shard(task))
        energy = certificate.observables["energy"]
        measured = certificate.measurements * certificate.chains
        # Deep in an ordered phase few samples are excited at all and the measured error is small by chance: the exact
        # variance of independent samples bounds it from below.
        sites = math.prod(task.point.shape)
        least = float(task.point.temperature) * math.sqrt(exact.specific_heat / (sites * measured))
        scores.append(((energy.mean - exact.energy) / max(energy.error, least, 1e-12), task))
    for score, task in scores:
        if abs(score) > WORST_Z:
            findings.fail(f"{task.task_id} ({task}): energy is {score:+.1f} standard errors from its exact value")
    if scores and all(abs(score) <= WORST_Z for score, _ in scores):
        z = np.array([score for score, _ in scores])
        findings.good(
            f"{len(z)} energies agree with the exact finite-lattice values: rms z {np.sqrt((z**2).mean()):.2f}, "
            f"largest |z| {abs(z).max():.1f}"
        )
