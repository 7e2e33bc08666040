"""What a study amounts to: simulation tasks and trainings, their ids, random streams and costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np

from models.config import HIDDEN, VERSION
from simulators import contract
from workflow.blocks import Beta, SimulateBlock, Study, TrainBlock
from workflow.data_tasks import DataTask
from workflow.dataset_info import DatasetInfo, simulated
from workflow.grid import Point, Scalar
from workflow.identity import sha256_of, stream
from workflow.selection import selected

SITES_PER_TASK = 2**28
"""About how many lattice sites one task keeps (32 MiB as bits): more samples make more tasks, with own chains."""


@dataclass(frozen=True, kw_only=True)
class SimulationTask:
    """One shard's worth of Monte Carlo: small enough to send, and all that decides the shard's bytes."""

    system: str
    version: int
    spec: tuple[tuple[str, Scalar], ...]
    samples: int
    chains: int
    algorithm: str
    thermalization: int | Literal["auto"]
    spacing: int | Literal["auto"]
    block: int
    """Which block of the point's chains: blocks share nothing but the point."""
    seed: int
    ladder: tuple[Scalar, ...] | None = None
    """With parallel tempering, all values of the field that its ladder runs over, this task's among them."""

    @property
    def size(self) -> int:
        return int(dict(self.spec)["size"])

    @property
    def point(self) -> Any:
        """The system's spec."""
        return contract.load(self.system).spec(**dict(self.spec))

    @property
    def names(self) -> contract.Names:
        """Observables of this task."""
        return contract.load(self.system).names(self.point)

    @property
    def info(self) -> DatasetInfo:
        """What its configurations are."""
        return simulated(contract.load(self.system), self.point)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard."""
        return asdict(self)

    @cached_property
    def digest(self) -> str:
        """sha256 over the task's whole content and the system's version."""
        return sha256_of(self.content)

    @property
    def task_id(self) -> str:
        return self.digest[:16]

    @cached_property
    def job_digest(self) -> str:
        """The same for all tasks of a ladder, which run together; else the task's own."""
        if self.ladder is None:
            return self.digest
        content = asdict(self)
        content["spec"] = [entry for entry in self.spec if entry[0] != contract.load(self.system).ladder]
        return sha256_of(content)

    def __str__(self) -> str:
        point = ", ".join(f"{name} = {value}" for name, value in self.spec)
        return f"{self.system} at {point}" + (f", block {self.block}" if self.block else "")


ShardTask = SimulationTask | DataTask
"""What one shard comes from."""


class SimulationJob(NamedTuple):
    """What one worker simulates at a time: a task, or the tasks of a ladder in its order."""

    tasks: tuple[SimulationTask, ...]

    @property
    def job_id(self) -> str:
        return self.tasks[0].job_digest[:16]

    def generator(self) -> np.random.Generator:
        """The job's random stream: from its content alone, so that adding a point changes no other job's shards."""
        return stream(self.tasks[0].seed, self.tasks[0].job_digest)

    def __str__(self) -> str:
        more = f" and {len(self.tasks) - 1} more" if len(self.tasks) > 1 else ""
        return f"{self.tasks[0]}{more}"


def simulation_jobs(tasks: Iterable[SimulationTask]) -> tuple[SimulationJob, ...]:
    """``tasks`` by what runs together, in their order."""
    jobs: dict[str, list[SimulationTask]] = {}
    for task in tasks:
        jobs.setdefault(task.job_digest, []).append(task)
    return tuple(SimulationJob(tuple(sorted(job, key=_rung))) for job in jobs.values())


def _rung(task: SimulationTask) -> int:
    if task.ladder is None:
        return 0
    return task.ladder.index(dict(task.spec)[contract.load(task.system).ladder])


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One model to train: a point of the sweep over sizes, networks, beta and seeds of a ``[[train]]`` block."""

    name: str
    system: str
    size: int
    network: str
    beta: Beta
    seed: int
    settings: tuple[tuple[str, Any], ...]
    """The rest of the block, by name: ``SETTINGS`` and ``FURTHER``."""
    task_ids: tuple[str, ...]
    """The shards it is trained on, sorted."""
    workers: int
    features: int
    """Numbers that the network sees of a configuration; follows from the shards, and is not in the id."""
    restart: int = 0
    """Which training of this seed: the first is that of the seed itself."""
    version: int = VERSION
    """Of the training recipe."""

    @cached_property
    def train_id(self) -> str:
        """16 hex digits over everything that decides the weights (the block's name does not).

        Settings that are at the default of ``FURTHER`` are left out, so that a model keeps its id when programs learn
        to do more.
        """
        content = asdict(self)
        del content["name"], content["features"]
        content["settings"] = [(name, value) for name, value in self.settings if FURTHER.get(name, ()) != value]
        if self.beta.eigenvalue == 1:
            del content["beta"]["eigenvalue"]
        if self.restart == 0:
            del content["restart"]
        return sha256_of(content)[:16]

    @property
    def without_restart(self) -> TrainingRun:
        """The first training of the same seed."""
        return replace(self, restart=0)

    @property
    def training_seed(self) -> int:
        """Seed of initialization, shuffle and noise: the run's own, or one that follows from it and the restart."""
        if self.restart == 0:
            return self.seed
        return int(sha256_of([self.seed, "restart", self.restart])[:15], 16)

    @property
    def stack(self) -> tuple[Any, ...]:
        """Runs with the same stack differ in beta and seed alone and can train as one stacked model."""
        return (self.system, self.size, self.network, self.settings, self.task_ids, self.workers)

    def __getitem__(self, name: str) -> Any:
        return dict(self.settings)[name]

    def __str__(self) -> str:
        again = f", restart {self.restart}" if self.restart else ""
        return f"{self.name}: {self.network}, L = {self.size}, beta = {self.beta}, seed {self.seed}{again}"


SETTINGS = (
    "model",
    "likelihood",
    "latent",
    "axes",
    "epochs",
    "batch",
    "learning_rate",
    "padding",
    "held_out",
)
FURTHER: dict[str, Any] = {
    "posterior": "diagonal",
    "variance": 1.0,
    "local_beta": 0.5,
    "hidden": HIDDEN,
    "free_energy": False,
}
"""Settings with the value that leaves a train id as it is without them."""


def simulation_tasks(study: Study) -> tuple[SimulationTask, ...]:
    """One task per parameter point (or block of its chains), in the study's order."""
    return tuple(
        task for block in study.simulate for point in block.points for task in _tasks(block, point, study.seed)
    )


def shard_tasks(study: Study) -> tuple[ShardTask, ...]:
    """One task per shard: what is simulated first, then what the ``[[data]]`` blocks bring."""
    return (*simulation_tasks(study), *(task for source in study.data for task in source.tasks))


def _tasks(block: SimulateBlock, point: Point, seed: int) -> Iterable[SimulationTask]:
    system = contract.load(block.system)
    sites = int(np.prod(system.spec(**dict(point.values)).shape))
    most = max(block.chains, SITES_PER_TASK // sites)
    # Rounded down: no task gets fewer samples than it has chains.
    count = max(1, block.samples // most)
    ladder = _ladder(block, point, system.ladder) if block.algorithm == contract.TEMPERING else None
    for index in range(count):
        yield SimulationTask(
            system=block.system,
            version=system.version,
            spec=point.values,
            samples=block.samples // count + (index < block.samples % count),
            chains=block.chains,
            algorithm=block.algorithm,
            thermalization=block.thermalization,
            spacing=block.spacing,
            block=index,
            seed=seed,
            ladder=ladder,
        )


def _ladder(block: SimulateBlock, point: Point, field: str) -> tuple[Scalar, ...]:
    """Values of ``field`` at the points of ``block`` that differ from ``point`` in it alone, sorted."""
    rest = {name: value for name, value in point.values if name != field}
    same = [other for other in block.points if {n: v for n, v in other.values if n != field} == rest]
    return tuple(sorted({other[field] for other in same}))


def training_runs(study: Study) -> tuple[TrainingRun, ...]:
    """Every model that the study trains: block by block, size by size; equal ones (same train_id) once."""
    tasks = shard_tasks(study)
    runs: dict[str, TrainingRun] = {}
    for block in study.train:
        for run in _block_runs(block, study, tasks):
            runs.setdefault(run.train_id, run)
    return tuple(runs.values())


def _block_runs(block: TrainBlock, study: Study, tasks: tuple[ShardTask, ...]) -> Iterable[TrainingRun]:
    chosen = {(source.system, point.values) for source, point in selected(block, (*study.simulate, *study.data))}
    mine = [task for task in tasks if (task.system, task.spec) in chosen]
    sizes = sorted({task.size for task in mine}) if block.size is None else block.size
    settings = tuple((name, getattr(block, name)) for name in (*SETTINGS, *FURTHER))
    for size in sizes if isinstance(sizes, list) else [sizes]:
        shards = [task for task in mine if task.size == size]
        for network in block.networks:
            for beta in block.betas:
                for seed, restart in product(block.seeds, range(block.restarts)):
                    yield TrainingRun(
                        name=block.name,
                        system=shards[0].system,
                        size=size,
                        network=network,
                        beta=beta,
                        seed=seed,
                        settings=settings,
                        task_ids=tuple(sorted(task.task_id for task in shards)),
                        workers=block.workers,
                        features=shards[0].info.features,
                        restart=restart,
                    )


def expected_algorithm(task: SimulationTask) -> str:
    """What ``auto`` is expected to choose; the task's pilots decide."""
    if task.algorithm != "auto":
        return task.algorithm
    system, spec = contract.load(task.system), task.point
    if "auto" not in (task.thermalization, task.spacing):
        return system.algorithms[0]
    valid = [name for name in system.algorithms if system.refusal(spec, name) is None]
    return min(valid, key=lambda name: system.expected_tau(spec, name) * system.nanoseconds(name, spec))


class Cost(NamedTuple):
    """An estimate of what one task or training takes."""

    core_seconds: float
    disk_bytes: int
    memory_bytes: int


COPIES = 4
"""Of all chains at once: while they start, are measured and are packed."""
STATE_BYTES = {"bits": 1, "int8": 1, "float32": 16}
"""Of one site while it is simulated, by how it is stored; angles are held as two doubles."""


def simulation_cost(task: SimulationTask) -> Cost:
    """Estimated cost of ``task``: sweeps from the system's rule of thumb for the autocorrelation time where it has one.

    Only ``plan`` and the order of tasks depend on it, never a shard's content.
    """
    system, spec = contract.load(task.system), task.point
    sites = int(np.prod(spec.shape))
    algorithm = expected_algorithm(task)
    tau = system.expected_tau(spec, algorithm)
    thermalization = 30 * tau if task.thermalization == "auto" else float(task.thermalization)
    spacing = 2 * tau if task.spacing == "auto" else float(task.spacing)
    rounds = max(16, -(-task.samples // task.chains))
    updates = (thermalization + spacing * rounds) * sites * task.chains
    bytes_per_sample = {"bits": 1 / 8, "int8": 1.0, "float32": 4.0}[system.encoding] * sites
    return Cost(
        core_seconds=0.05 + updates * system.nanoseconds(algorithm, spec) * 1e-9,
        # Observables and bookkeeping take about 40 bytes a row after compression.
        disk_bytes=int(task.samples * (bytes_per_sample + 40)) + 8000,
        memory_bytes=int(
            2 * task.samples * bytes_per_sample + COPIES * task.chains * sites * STATE_BYTES[system.encoding] + 4.5e8
        ),
    )


SAMPLES_PER_SECOND = {"shallow": 2.5e7, "table-1": 4e5, "convolutional": 2.2e6}
"""Samples/s times features of a sample of one core in training; ``latentphase bench --only training`` measures them."""


def training_cost(item: TrainingRun, samples: int = 1) -> float:
    """Estimated core-seconds to train one model on ``samples`` samples."""
    return samples * int(item["epochs"]) * item.features / SAMPLES_PER_SECOND[item.network]
