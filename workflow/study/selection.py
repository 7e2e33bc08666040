"""Which parameter points a ``[[train]]`` block means, among what a study simulates and the data it brings."""

from __future__ import annotations

from collections.abc import Iterable

from simulators import contract
from workflow.dataset.info import DatasetInfo, simulated
from workflow.dataset.origins import DataSource
from workflow.dataset.points import Point
from workflow.study.blocks import SimulateBlock, TrainBlock
from workflow.study.grid import matches

Source = SimulateBlock | DataSource
"""Where shards come from: both have a system (for data: their name) and points."""


def selected(block: TrainBlock, sources: Iterable[Source]) -> list[tuple[Source, Point]]:
    """The parameter points whose shards ``block`` trains on, of all sizes.

    Without a system and a name of data, a block means what is simulated; only where nothing is, it means the data.
    """
    everything = list(sources)
    criteria = dict(block.select)
    system, data = criteria.pop("system", None), criteria.pop("data", None)
    simulated_too = any(isinstance(source, SimulateBlock) for source in everything)
    kind = DataSource if data is not None or not simulated_too else SimulateBlock
    name = system if data is None else data
    return [
        (source, point)
        for source in everything
        if isinstance(source, kind) and (name is None or matches(source.system, name))
        for point in source.points
        if all(field in dict(point.values) and matches(point[field], value) for field, value in criteria.items())
    ]


def infos_at(source: Source, point: Point) -> list[DatasetInfo]:
    """What the configurations of one point are; of data, those of each of its files."""
    if isinstance(source, DataSource):
        return [task.info for task in source.at(point)]
    system = contract.load(source.system)
    return [simulated(system, system.spec(**dict(point.values)), source.measure)]
