"""What a study amounts to: simulation tasks and trainings, their ids, random streams and costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

from models.config import HIDDEN, VERSION
from simulators import contract
from workflow import inputs
from workflow.blocks import Beta, SimulateBlock, Study, TrainBlock, listed
from workflow.data_tasks import DataTask
from workflow.dataset_info import DatasetInfo, simulated
from workflow.grid import Point, Scalar
from workflow.identity import sha256_of, stream
from workflow.selection import selected
from workflow.symmetries import symmetries_of

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

    @cached_property
    def info(self) -> DatasetInfo:
        """What its configurations are."""
        return simulated(contract.load(self.system), self.point)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard."""
        # All plain values: ``asdict`` would copy them one by one, which takes longer than the hash.
        return {name: getattr(self, name) for name in TASK_FIELDS}

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
        content = self.content
        content["spec"] = [entry for entry in self.spec if entry[0] != contract.load(self.system).ladder]
        return sha256_of(content)

    def __str__(self) -> str:
        point = ", ".join(f"{name} = {value}" for name, value in self.spec)
        return f"{self.system} at {point}" + (f", block {self.block}" if self.block else "")


TASK_FIELDS = tuple(field.name for field in fields(SimulationTask))
ShardTask = SimulationTask | DataTask
"""What one shard comes from."""


class Kind(NamedTuple):
    """What decides whether a model can read a shard."""

    system: str
    """Or the name of data."""
    size: int
    info: DatasetInfo


def kinds(tasks: Iterable[ShardTask]) -> dict[Kind, list[ShardTask]]:
    """``tasks`` by kind."""
    found: dict[Kind, list[ShardTask]] = {}
    for task in tasks:
        found.setdefault(Kind(task.system, task.size, task.info), []).append(task)
    return found


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
    workers: int | Literal["auto"]
    """Data-parallel workers; not in the id, as ``compile`` is not: they change weights by rounding alone."""
    seen: DatasetInfo
    """What the network is given of a configuration; follows from shards and settings, and is not in the id."""
    restart: int = 0
    """Which training of this seed: the first is that of the seed itself."""
    memory: float | None = None
    """GiB of training data that a worker keeps in memory; no result depends on it, and it is not in the id."""
    version: int = VERSION
    """Of the training recipe."""
    compile: bool = False

    @cached_property
    def train_id(self) -> str:
        """16 hex digits over everything that decides the weights (the block's name does not).

        Settings that are at the default of ``FURTHER`` are left out, so that a model keeps its id when programs learn
        to do more.
        """
        content = {name: getattr(self, name) for name in RUN_FIELDS} | {"beta": asdict(self.beta)}
        # As ids of one worker have always been.
        content["workers"] = 1
        content["settings"] = [(name, value) for name, value in self.settings if FURTHER.get(name, ()) != value]
        if self.beta.eigenvalue == 1:
            del content["beta"]["eigenvalue"]
        if self.restart == 0:
            del content["restart"]
        return sha256_of(content)[:16]

    @property
    def features(self) -> int:
        """Numbers that the network sees of a configuration."""
        return self.seen.features

    @property
    def given_as(self) -> inputs.Input:
        """What is made of a stored configuration for the network."""
        given_as: inputs.Input = self["input"]
        return given_as

    def reads(self, kind: Kind) -> bool:
        """Whether shards of this kind come to what the network is given."""
        given_as = self.given_as
        if (kind.system, kind.size) != (self.system, self.size) or inputs.objection(kind.info, given_as) is not None:
            return False
        given = inputs.seen(kind.info, given_as)
        return (given.shape, given.stored) == (self.seen.shape, self.seen.stored)

    @property
    def without_restart(self) -> TrainingRun:
        """The first training of the same seed."""
        return replace(self, restart=0) if self.restart else self

    @property
    def first(self) -> str:
        """Train id of the first training of the same seed: its own, but for restarts."""
        return self.without_restart.train_id

    @property
    def training_seed(self) -> int:
        """Seed of initialization, shuffle and noise: the run's own, or one that follows from it and the restart."""
        if self.restart == 0:
            return self.seed
        return int(sha256_of([self.seed, "restart", self.restart])[:15], 16)

    @property
    def stack(self) -> tuple[Any, ...]:
        """Runs with the same stack differ in beta and seed alone and can train as one stacked model."""
        return (self.system, self.size, self.network, self.settings, self.task_ids, self.workers, self.compile)

    def __getitem__(self, name: str) -> Any:
        return dict(self.settings)[name]

    def __str__(self) -> str:
        again = f", restart {self.restart}" if self.restart else ""
        return f"{self.name}: {self.network}, L = {self.size}, beta = {self.beta}, seed {self.seed}{again}"


RUN_FIELDS = tuple(
    field.name for field in fields(TrainingRun) if field.name not in ("name", "seen", "memory", "compile")
)
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
    "precision": "float32",
    "stop_collapsed": None,
    "input": "raw",
    "augment": (),
}
"""Settings with the value that leaves a train id as it is without them."""


def simulation_tasks(study: Study) -> tuple[SimulationTask, ...]:
    """One task per parameter point (or block of its chains), in the study's order."""
    return tuple(task for task in stream_tasks(study) if isinstance(task, SimulationTask))


def shard_tasks(study: Study) -> tuple[ShardTask, ...]:
    """One task per shard: what is simulated first, then what the ``[[data]]`` blocks bring."""
    return tuple(stream_tasks(study))


def stream_tasks(study: Study) -> Iterator[ShardTask]:
    """The same one after the other, for those who need not hold them all."""
    for block in study.simulate:
        for point in block.points:
            yield from _tasks(block, point, study.seed)
    for source in study.data:
        yield from source.tasks


def _tasks(block: SimulateBlock, point: Point, seed: int) -> Iterable[SimulationTask]:
    system = contract.load(block.system)
    sites = prod(system.spec(**dict(point.values)).shape)
    most = max(block.chains, SITES_PER_TASK // sites)
    # Rounded down: no task gets fewer samples than it has chains.
    count = max(1, block.samples // most)
    # Points that differ in this field alone take all its values: no system rounds the field of its ladder.
    ladder = tuple(sorted(block.points.axes[system.ladder])) if block.algorithm == contract.TEMPERING else None
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


def training_runs(study: Study, tasks: Sequence[ShardTask] | None = None) -> tuple[TrainingRun, ...]:
    """Every model that the study trains: block by block, size by size; equal ones (same train_id) once.

    Args:
        study: whose blocks they are.
        tasks: ``shard_tasks(study)`` where the caller has them; None: they are made here, if anything is trained.
    """
    if tasks is None:
        tasks = shard_tasks(study) if study.train else ()
    runs: dict[str, TrainingRun] = {}
    for block in study.train:
        for run in _block_runs(block, study, tasks):
            runs.setdefault(run.train_id, run)
    return tuple(runs.values())


def _block_runs(block: TrainBlock, study: Study, tasks: Sequence[ShardTask]) -> Iterable[TrainingRun]:
    points = selected(block, (*study.simulate, *study.data))
    chosen = {(source.system, point.values) for source, point in points}
    mine = [task for task in tasks if (task.system, task.spec) in chosen]
    sizes = sorted({task.size for task in mine}) if block.size is None else listed(block.size)
    for size, given_as in product(sizes, block.inputs):
        shards = [task for task in mine if task.size == size]
        seen = inputs.seen(shards[0].info, given_as)
        settings = tuple(_settings(block, given_as, seen, shards).items())
        task_ids = tuple(sorted(task.task_id for task in shards))
        for network, beta, seed, restart in product(block.networks, block.betas, block.seeds, range(block.restarts)):
            yield TrainingRun(
                name=block.name,
                system=shards[0].system,
                size=size,
                network=network,
                beta=beta,
                seed=seed,
                settings=settings,
                task_ids=task_ids,
                workers=block.workers,
                memory=block.memory,
                compile=block.compile,
                seen=seen,
                restart=restart,
            )


def _settings(
    block: TrainBlock, given_as: inputs.Input, seen: DatasetInfo, shards: Sequence[ShardTask]
) -> dict[str, Any]:
    """The rest of a block, for one of its inputs."""
    settings = {name: getattr(block, name) for name in (*SETTINGS, *FURTHER)}
    if block.likelihood == "auto":
        settings["likelihood"] = seen.stored.likelihood
    settings["input"] = given_as
    # What it is turned by decides the weights, too.
    settings["augment"] = symmetries_of(shards, given_as) if block.augment else ()
    return settings
