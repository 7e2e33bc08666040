"""Squares of latents against what a system measures, beside the squares of what needs no network.

Baselines: the order parameters that change sign, and the first principal component of the training samples as the
network is given them.

Axes: S samples, F features, K columns that are squared, V measured columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from analysis import encodings
from analysis.errors import Estimate
from analysis.latent_space.squares import squared_correlations
from analysis.orders import split
from simulators.contract import SIGN
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.columns import columns_of
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel, by_seed
from workflow.analyze.naming import words, written
from workflow.analyze.part import Number, Part, Section, Table
from workflow.analyze.parts import information
from workflow.dataset import inputs
from workflow.dataset.origins import SimulationTask
from workflow.dataset.reading import configurations, read_for

LARGEST_DATA = 2**30
"""Bytes of training samples above which no principal component is looked for."""
COMPONENT = "principal_component"
SHOWN = ("spin_structure", "charge_structure", "local_moment", "double_occupancy")
"""Observables of the page that do not change when the order parameter changes its sign."""


class SquareCorrelation(NamedTuple):
    """Correlations of squares with one measured column."""

    latent: Estimate
    """Correlation with the square of the latent that it is largest for."""
    unit: int
    """That latent."""
    baselines: dict[str, Estimate]
    """Correlations with the squares of order parameters, and of ``principal_component`` where it was computed."""

    @property
    def strength(self) -> float:
        """|correlation|, -1 where it is undefined."""
        return abs(self.latent.value) if np.isfinite(self.latent.value) else -1.0


def analyze(context: ModelContext) -> dict[str, SquareCorrelation]:
    """By measured column; nothing where no order parameter changes its sign, or nothing is measured beside it."""
    samples, units = context.samples, information.units(context)
    components = zip(samples.orders, split(samples.order_SK, samples.orders), strict=True)
    odd = {order.name: part_SC for order, part_SC in components if order.kind == "sign"}
    task = context.tasks[0]
    if not odd or not isinstance(task, SimulationTask):
        return {}
    value_SV, names = columns_of(context.run, task, samples)
    varying = [v for v, name in enumerate(names) if name != SIGN and np.ptp(value_SV[:, v]) > 0]
    if not varying:
        return {}
    if (component_S := _principal(context)) is not None:
        odd[COMPONENT] = component_S[:, None]
    odd_SK = np.hstack([context.mean_SZ[:, units], *odd.values()])
    rng = context.generator("squares")
    rows = squared_correlations(odd_SK, value_SV[:, varying], samples.thermal, rng, context.resamples)
    return {names[v]: _best([row[at] for row in rows], units, tuple(odd)) for at, v in enumerate(varying)}


def _best(correlations: list[Estimate], units: list[int], names: tuple[str, ...]) -> SquareCorrelation:
    latents, others = correlations[: len(units)], correlations[len(units) :]
    baselines = dict(zip(names, others, strict=True))
    return max(
        (SquareCorrelation(*pair, baselines) for pair in zip(latents, units, strict=True)),
        key=lambda result: result.strength,
    )


def _principal(context: ModelContext) -> NDArray[np.float64] | None:
    """(S,) the first principal component of the training samples, of ``samples``; None where they are too many."""
    x_SF, y_SF = (_features(context, rows) for rows in (context.trained_rows, context.samples.rows))
    if x_SF is None or y_SF is None:
        return None
    mean_F = x_SF.mean(axis=0)
    start = np.random.default_rng(0).standard_normal(min(x_SF.shape)).astype(x_SF.dtype)
    *_, direction_1F = svds(x_SF - mean_F, k=1, v0=start)
    return np.asarray((y_SF - mean_F) @ direction_1F[0], dtype=float)


def _features(context: ModelContext, rows: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """(S, F) what the network is given, of the rows of all shards together."""
    input_name, variable = context.model.input_name, context.samples.physics.variable
    parts: list[NDArray[Any]] = []
    first, size = 0, 0
    for task in context.tasks:
        shard = read_for(context.run.shard(task), input_name)
        count = len(shard.packed_SB)
        of_shard = rows[(rows >= first) & (rows < first + count)] - first
        first += count
        if not len(of_shard):
            continue
        x_SCHW = configurations(shard, input_name, of_shard)
        size += 4 * x_SCHW.size
        if size > LARGEST_DATA:
            return None
        parts.append(encodings.features(x_SCHW, variable).astype(np.float32))
    return np.concatenate(parts)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for column, result in (analysis[PART] or {}).items():
        yield f"squared_{column}", result.latent
        for baseline, correlation in result.baselines.items():
            yield f"squared_{baseline}_{column}", correlation


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """Correlations of squares with ``SHOWN``, a line for each of these and all seeds of a model: the worst of them, the
    best, and the baselines beside the worst."""
    rows: list[tuple[tuple[str, ...], dict[str, Estimate]]] = []
    for seeds in by_seed(model for model in models if information.of(model.analysis).active):
        first = seeds[0]
        for column in (name for name in first.analysis[PART] or {} if name in SHOWN):
            of_seeds = [(model.analysis[PART] or {})[column] for model in seeds]
            ordered = sorted(of_seeds, key=lambda result: result.strength)
            cells = (
                inputs.words(first.plan.name, first.plan.input_name),
                str(first.plan.size),
                first.beta,
                str(len(seeds)),
                words(column),
                written(ordered[0].latent),
                written(ordered[-1].latent) if len(seeds) > 1 else "",
            )
            rows.append((cells, ordered[0].baselines))
    if not rows:
        return None
    baselines = list(dict.fromkeys(name for _, of_row in rows for name in of_row))
    heads = ("block", "L", "β", "seeds", "against", "latent, worst seed", "best seed", *map(words, baselines))
    table = Table(heads, [(*cells, *(written(of_row.get(name)) for name in baselines)) for cells, of_row in rows])
    return Section("Squares of latents", table, NOTE)


NOTE = (
    "Correlation of an observable of single configurations, which does not change when the order parameter changes its "
    "sign, with the square of the latent that it is largest for, in the seeds for which it is smallest and largest, of "
    "those with a unit in use; then what takes no network: the squared order parameter, and the square of the first "
    "principal component of the training samples. Held-out samples."
)

PART = Part(name="squares", result=dict[str, SquareCorrelation], analyze=analyze, numbers=numbers, section=section)
