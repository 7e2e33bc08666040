"""A random part of the held-out latents with phase and order parameters, for the figures.

Axes: S samples, Z latents, K columns of order parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.orders import columns
from analysis.phases import DISORDERED
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel
from workflow.analyze.parts import canonical, generated
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table, write_table

SCATTER = 1500
"""Held-out samples per model that the report's scatter plots show."""


def write_scatter(context: ModelContext) -> None:
    """Write ``analysis/<train_id>-scatter.parquet``."""
    rng = context.stream("scatter", after=generated.PART)
    mean_SZ, samples = context.mean_SZ, context.samples
    few = np.sort(rng.permutation(len(mean_SZ))[:SCATTER])
    table = {f"mean_{unit}": mean_SZ[few, unit] for unit in range(mean_SZ.shape[1])}
    table |= {name: samples.order_SK[few, k] for k, name in enumerate(columns(samples.orders))}
    table["phase"] = context.phases.label_S[few]
    write_table(_path(context.run, context.model.train_id), pa.table(table))


def _path(run: RunDirectory, train_id: str) -> Place:
    return run.analysis_file(train_id, "-scatter.parquet")


class Scatter(NamedTuple):
    """Held-out latents kept for the figures."""

    mean_SZ: NDArray[np.float64]
    label_S: NDArray[np.intp]
    """Index into ``names``."""
    names: tuple[str, ...]
    """Phases for people; the one without order last."""
    has_disorder: bool
    order_SK: NDArray[np.float64]


def read_scatter(run: RunDirectory, model: AnalyzedModel, orders: Sequence[str]) -> Scatter:
    """Latents, phases and some columns of order parameters; figures expect the disordered phase to be the last."""
    table = read_table(_path(run, model.plan.train_id))

    def values(names: Iterable[str]) -> NDArray[np.float64]:
        parts = [table.column(name).to_numpy() for name in names]
        return np.stack(parts, axis=1).astype(float) if parts else np.empty((len(table), 0))

    phases = model.analysis.phases
    last = sorted(range(len(phases)), key=lambda phase: phases[phase] == DISORDERED)
    place = np.argsort(last)
    names = tuple(model.phase_names[phase] for phase in last)
    means = values(f"mean_{unit}" for unit in range(model.latents))
    return Scatter(means, place[table.column("phase").to_numpy()], names, DISORDERED in phases, values(orders))


def shown_components(model: AnalyzedModel) -> list[str]:
    """At most three columns to colour latents by: every order parameter by sign, or the first vector's components."""
    if vectors := canonical.vectors(model.analysis):
        return model.analysis.components(vectors[0])[:3]
    signs = [order for order in model.physics.orders if order.kind == "sign"]
    present = [order for order in signs if order.name in canonical.ordered(model.analysis)] or signs
    return [order.components[0] for order in present[:3]]
