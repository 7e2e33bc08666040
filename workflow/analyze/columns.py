"""Columns of simulated shards for chosen samples.

Axes: S samples, V columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.orders import columns
from simulators import contract
from workflow.analyze.held_out import HeldOutSamples
from workflow.dataset import shards
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.storage.run_directory import RunDirectory


def columns_of(
    run: RunDirectory, task: SimulationTask, samples: HeldOutSamples
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """(S, V) every column of a simulated shard that is no order parameter, and their names; ``task`` is any of them."""
    measured = contract.load(task.system).names(task.point).columns
    names = tuple(column for column in measured if column not in columns(samples.orders))
    return read_columns(run, task, samples, names), names


def read_columns(
    run: RunDirectory, task: ShardTask, samples: HeldOutSamples, names: tuple[str, ...]
) -> NDArray[np.float64]:
    """(S, V) the named columns of the samples."""
    labelled, shard_S = samples.labelled, samples.labelled.shard[samples.rows]
    parts = []
    for point in np.unique(shard_S):
        path = run.shard_file(task.system, task.size, labelled.task_ids[point])
        content = shards.read(path, columns=names).columns
        rows = samples.rows[shard_S == point] - labelled.first(point)
        parts.append(np.stack([content[column][rows] for column in names], axis=1).astype(float))
    # Shards come in the order of their rows.
    return np.concatenate(parts)
