"""Table of distances between phases, in input space and in latent space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from analysis.latent_space.mmd import Distance
from analysis.phases import display_names
from workflow.analyze.models import AnalyzedModel, best, rule_setting
from workflow.analyze.naming import PHASE_NAMES
from workflow.analyze.parts import distances
from workflow.analyze.sizes import read_size
from workflow.storage.run_directory import RunDirectory


class DistanceTable(NamedTuple):
    """Eq. 9 between all pairs of phases."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]
    """A pair of phases and its cells."""


def distance_tables(run: RunDirectory, named: dict[str, list[AnalyzedModel]]) -> list[DistanceTable]:
    """Per group, distances in input and in latent space, by size."""
    tables = []
    for label, models in named.items():
        setting = rule_setting(models) or best(models)[0].setting
        columns: dict[str, dict[str, str]] = {}
        for size in sorted({model.plan.size for model in models}):
            chosen = [model for model in models if model.plan.size == size and model.setting == setting]
            if chosen:
                analysis = chosen[0].analysis
                data = read_size(run, analysis.input_space)
                sites = prod(chosen[0].training.model.shape)
                columns[f"input, L = {size}"] = _pairs(data.phases or (), data.distances or (), sites**-0.5)
                columns[f"latent, L = {size}"] = _pairs(analysis.phases, analysis[distances.PART] or (), 1.0)
        latent = [column for name, column in columns.items() if name.startswith("latent")]
        pairs = dict.fromkeys(pair for column in latent for pair in column)
        rows = [(pair, [column.get(pair, "") for column in columns.values()]) for pair in pairs]
        if rows:
            tables.append(DistanceTable(f"{label}, β = {setting.replace('lam', 'λ')}", list(columns), rows))
    return tables


def _pairs(phases: Sequence[str], steps: Iterable[Distance], scale: float) -> dict[str, str]:
    names = display_names(phases, PHASE_NAMES)
    cells = {}
    for step in steps:
        distance = step.distance._replace(value=scale * step.distance.value, error=scale * step.distance.error)
        cells[f"{names[step.first]} to {names[step.second]}"] = str(distance)
    return cells
