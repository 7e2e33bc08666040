"""What carrying out a study would take, summed over its tasks: one pass, which holds none of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.plan.costs import LARGEST_STACK, STACKED, expected_algorithm, training_cost, training_memory
from workflow.plan.data_costs import sample_bytes, shard_cost, training_samples
from workflow.plan.tasks import TrainingRun, kinds, shard_tasks, stream_tasks, training_runs
from workflow.study.blocks import Study


@dataclass
class Shards:
    """What the simulate stage would take."""

    count: int = 0
    samples: int = 0
    core_seconds: float = 0.0
    disk_bytes: int = 0
    memory_bytes: int = 0
    """Of a worker with the largest task."""
    algorithms: defaultdict[tuple[str, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What ``auto`` is expected to choose, by system and size: at how many points."""

    def add(self, task: ShardTask) -> None:
        cost = shard_cost(task)
        self.count += 1
        self.samples += task.samples
        self.core_seconds += cost.core_seconds
        self.disk_bytes += cost.disk_bytes
        self.memory_bytes = max(self.memory_bytes, cost.memory_bytes)
        if isinstance(task, SimulationTask) and task.algorithm == "auto":
            self.algorithms[task.system, task.size][expected_algorithm(task)] += 1


@dataclass
class Models:
    """What the train and encode stages would take."""

    runs: tuple[TrainingRun, ...] = ()
    core_seconds: float = 0.0
    """On CPUs."""
    memory_bytes: int = 0
    """Of a worker with the largest model."""
    files: int = 0
    """Of latents."""
    latent_bytes: int = 0


@dataclass
class Expected:
    """What a study would take."""

    shards: Shards
    models: Models


def expected(study: Study, lanes: int = 1) -> Expected:
    """An estimate for ``study`` where as many as ``lanes`` models are trained side by side.

    Tasks are held only where something is trained on them, as a model is named by its shards.
    """
    shards = Shards()
    tasks: Iterable[ShardTask] = shard_tasks(study) if study.train else stream_tasks(study)
    for task in tasks:
        shards.add(task)
    if not isinstance(tasks, tuple):
        return Expected(shards, Models())
    return Expected(shards, _models(training_runs(study, tasks), tasks, lanes))


def _models(runs: tuple[TrainingRun, ...], tasks: tuple[ShardTask, ...], lanes: int) -> Models:
    found = Models(runs)
    rows = {kind: [task.samples for task in mine] for kind, mine in kinds(tasks).items()}
    stacks = Counter(item.stack for item in runs if item.network in STACKED)
    by_id = {task.task_id: task for task in tasks}
    for item, samples in _with_samples(runs, by_id):
        found.core_seconds += training_cost(item, samples)
        held = samples * sample_bytes(item.seen)
        stacked = min(-(-stacks.get(item.stack, 1) // lanes), LARGEST_STACK)
        found.memory_bytes = max(found.memory_bytes, training_memory(item, held, stacked))
        if not item.restart:
            readable = [samples for kind, mine in rows.items() if item.reads(kind) for samples in mine]
            found.files += len(readable)
            found.latent_bytes += sum(readable) * (8 * int(item["latent"]) + 16)
    return found


def _with_samples(runs: Iterable[TrainingRun], by_id: dict[str, ShardTask]) -> Iterator[tuple[TrainingRun, int]]:
    """Each run with about how many samples it is trained on, counted once for all runs with the same shards."""
    counted: dict[tuple[tuple[str, ...], float], int] = {}
    for item in runs:
        key = item.task_ids, float(item["held_out"])
        if key not in counted:
            counted[key] = training_samples([by_id[task_id] for task_id in item.task_ids], key[1])
        yield item, counted[key]
