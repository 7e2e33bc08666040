"""Tables of certificates: the evidence that comes with every simulated shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulators import contract
from simulators.sampling.certificate import Certificate
from workflow.analyze.naming import point_numbers, words
from workflow.dataset import shards
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.storage.run_directory import RunDirectory
from workflow.verdict.judging import value_text


class CertificateRow(NamedTuple):
    """What the certificate of one shard says."""

    point: str
    energy: str
    exact: str
    """Of the finite lattice; empty where it is not known."""
    judged: list[str]
    tau: float
    """In sweeps; the worst of the judged observables, as the next two are."""
    effective: float
    r_hat: float
    certificate: Certificate


class CertificateTable(NamedTuple):
    """Shards of one system with the same judged observables."""

    system: str
    names: list[str]
    """Of the judged observables besides the energy."""
    rows: list[CertificateRow]

    @property
    def exact(self) -> bool:
        """Whether an exact energy is known of some of them."""
        return any(row.exact for row in self.rows)


def certificate_tables(run: RunDirectory, tasks: Sequence[ShardTask]) -> list[CertificateTable]:
    """A table per system, or per set of judged observables; a line per shard: what its certificate says, and the
    energy beside its exact value where there is one. Data that were not simulated here have none."""
    tables: dict[tuple[str, tuple[str, ...]], list[CertificateRow]] = {}
    for task in (task for task in tasks if isinstance(task, SimulationTask)):
        tables.setdefault((task.system, task.names.judged), []).append(_row(run, task))
    return [
        CertificateTable(system, [words(name) for name in judged if name != "energy"], rows)
        for (system, judged), rows in tables.items()
    ]


def _row(run: RunDirectory, task: SimulationTask) -> CertificateRow:
    certificate = shards.read_certificate(run.shard(task))
    judged = {name: certificate.observables[name] for name in task.names.judged}
    energy = certificate.observables["energy"]
    exact = contract.load(task.system).exact_energy(task.point)
    return CertificateRow(
        point=point_numbers(dict(task.spec), equals=" "),
        energy=value_text(energy.mean, energy.error),
        exact="" if exact is None else f"{exact.energy:.5f}",
        judged=[value_text(summary.mean, summary.error) for name, summary in judged.items() if name != "energy"],
        tau=max(summary.tau_int for summary in judged.values()),
        effective=min(summary.effective_samples for summary in judged.values()),
        r_hat=max(summary.r_hat for summary in judged.values()),
        certificate=certificate,
    )
