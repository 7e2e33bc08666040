"""Squares of latents against what a system measures, beside the squares of what needs no network.

Baselines: the order parameters that change sign, and the first principal component of the training samples as the
network is given them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from analysis import encodings
from analysis.errors import Estimate
from analysis.latent_space.squares import squared_correlations
from analysis.orders import split
from workflow.analyze.held_out import Samples
from workflow.analyze.measured import SIGN, columns_of
from workflow.analyze.results import generator
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.dataset.reading import configurations, read_for
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory

LARGEST_DATA = 2**30
"""Bytes of training samples above which no principal component is looked for."""
COMPONENT = "principal_component"


class Squared(NamedTuple):
    """Of one measured column."""

    latent: Estimate
    """Correlation with the square of the latent that it is largest for."""
    unit: int
    """Which one that is."""
    baselines: dict[str, Estimate]
    """Correlations with the squares of order parameters, and of ``principal_component`` where it was computed."""


def squares(
    run: RunDirectory,
    model: ModelPlan,
    tasks: tuple[ShardTask, ...],
    samples: Samples,
    seen: NDArray[np.intp],
    mean_SZ: NDArray[np.float64],
    units: list[int],
    resamples: int,
    seed: int,
) -> dict[str, Squared]:
    """By measured column; nothing where no order parameter changes its sign, or nothing is measured beside it.

    Args:
        run: where the shards are.
        model: whose results these are.
        tasks: the shards of ``samples.labelled``.
        samples: held-out samples of the shards that it was trained on.
        seen: rows of the training samples, as ``samples.rows``.
        mean_SZ: latents of ``samples``.
        units: latents that are looked at.
        resamples: of the bootstrap.
        seed: of the study.
    """
    parts = zip(samples.orders, split(samples.order_SK, samples.orders), strict=True)
    odd = {order.name: part_SC for order, part_SC in parts if order.kind == "sign"}
    if not odd or not isinstance(tasks[0], SimulationTask):
        return {}
    value_SV, names = columns_of(run, tasks[0], samples)
    varying = [v for v, name in enumerate(names) if name != SIGN and np.ptp(value_SV[:, v]) > 0]
    if not varying:
        return {}
    if (component_S := _principal(run, model, tasks, samples, seen)) is not None:
        odd[COMPONENT] = component_S[:, None]
    odd_SK = np.hstack([mean_SZ[:, units], *odd.values()])
    rng = generator(seed, f"{model.train_id}-squares")
    found = squared_correlations(odd_SK, value_SV[:, varying], samples.thermal, rng, resamples)
    return {names[v]: _best([row[at] for row in found], units, tuple(odd)) for at, v in enumerate(varying)}


def _best(found: list[Estimate], units: list[int], names: tuple[str, ...]) -> Squared:
    sizes = [abs(estimate.value) if np.isfinite(estimate.value) else -1.0 for estimate in found[: len(units)]]
    best = int(np.argmax(sizes))
    return Squared(found[best], units[best], dict(zip(names, found[len(units) :], strict=True)))


def _principal(
    run: RunDirectory, model: ModelPlan, tasks: tuple[ShardTask, ...], samples: Samples, seen: NDArray[np.intp]
) -> NDArray[np.float64] | None:
    """(S,) the first principal component of the training samples, of the rows; None where they are too many."""
    x_SF, y_SF = (_features(run, model, tasks, samples, some) for some in (seen, samples.rows))
    if x_SF is None or y_SF is None:
        return None
    mean_F = x_SF.mean(axis=0)
    start = np.random.default_rng(0).standard_normal(min(x_SF.shape)).astype(x_SF.dtype)
    *_, direction_1F = svds(x_SF - mean_F, k=1, v0=start)
    return np.asarray((y_SF - mean_F) @ direction_1F[0], dtype=float)


def _features(
    run: RunDirectory, model: ModelPlan, tasks: tuple[ShardTask, ...], samples: Samples, rows: NDArray[np.intp]
) -> NDArray[np.float32] | None:
    """(S, F) what the network is given, of the rows of all shards together."""
    parts: list[NDArray[Any]] = []
    first, size = 0, 0
    for task in tasks:
        shard = read_for(run.shard(task.system, task.size, task.task_id), model.given_as)
        count = len(shard.packed_SB)
        here = rows[(rows >= first) & (rows < first + count)] - first
        first += count
        if not len(here):
            continue
        given_SCHW = configurations(shard, model.given_as, here)
        size += 4 * given_SCHW.size
        if size > LARGEST_DATA:
            return None
        parts.append(encodings.features(given_SCHW, samples.physics.variable).astype(np.float32))
    return np.concatenate(parts)
