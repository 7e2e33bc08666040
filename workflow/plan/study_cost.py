"""Estimated cost of a whole study, summed over its tasks in one pass that holds none of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.plan.costs import LARGEST_STACK, STACKED, expected_algorithm, training_cost, training_memory
from workflow.plan.data_costs import sample_bytes, shard_cost, training_samples
from workflow.plan.tasks import ModelPlan, kinds, model_plans, shard_tasks, stream_tasks
from workflow.study.blocks import Study


@dataclass
class ShardCosts:
    """Estimated cost of the simulate stage."""

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
class ModelCosts:
    """Estimated cost of the train and encode stages."""

    models: tuple[ModelPlan, ...] = ()
    core_seconds: float = 0.0
    """On CPUs."""
    memory_bytes: int = 0
    """Of a worker with the largest model."""
    files: int = 0
    """Of latents."""
    latent_bytes: int = 0


@dataclass
class StudyCost:
    """Estimated cost of a study."""

    shards: ShardCosts
    models: ModelCosts


def study_cost(study: Study, lanes: int = 1) -> StudyCost:
    """The estimated cost of ``study`` where as many as ``lanes`` models are trained side by side.

    Tasks are held only where something is trained on them, as a model is named by its shards.
    """
    shards = ShardCosts()
    tasks: Iterable[ShardTask] = shard_tasks(study) if study.train else stream_tasks(study)
    for task in tasks:
        shards.add(task)
    if not isinstance(tasks, tuple):
        return StudyCost(shards, ModelCosts())
    return StudyCost(shards, _model_costs(model_plans(study, tasks), tasks, lanes))


def _model_costs(models: tuple[ModelPlan, ...], tasks: tuple[ShardTask, ...], lanes: int) -> ModelCosts:
    total = ModelCosts(models)
    rows = {kind: [task.samples for task in members] for kind, members in kinds(tasks).items()}
    stacks = Counter(model.stack for model in models if model.network in STACKED)
    by_id = {task.task_id: task for task in tasks}
    for model, samples in _with_samples(models, by_id):
        total.core_seconds += training_cost(model, samples)
        held = samples * sample_bytes(model.network_input)
        stacked = min(-(-stacks.get(model.stack, 1) // lanes), LARGEST_STACK)
        total.memory_bytes = max(total.memory_bytes, training_memory(model, held, stacked))
        if not model.restart:
            readable = [samples for kind, members in rows.items() if model.reads(kind) for samples in members]
            total.files += len(readable)
            total.latent_bytes += sum(readable) * (8 * int(model["latent"]) + 16)
    return total


def _with_samples(models: Iterable[ModelPlan], by_id: dict[str, ShardTask]) -> Iterator[tuple[ModelPlan, int]]:
    """Each model with about how many samples it is trained on, counted once for all models with the same shards."""
    counted: dict[tuple[tuple[str, ...], float], int] = {}
    for model in models:
        key = model.task_ids, float(model["held_out"])
        if key not in counted:
            counted[key] = training_samples([by_id[task_id] for task_id in model.task_ids], key[1])
        yield model, counted[key]
