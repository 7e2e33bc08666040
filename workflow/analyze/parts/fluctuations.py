"""Curves over parameter points that squares of a latent give, beside what a system measures by other means.

Axes: S samples, C channels, H rows, W columns, V columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from analysis.latent_space.covariance import closest
from analysis.latent_space.squares import SquareReading, read_by_line, read_fluctuations
from analysis.orders import columns
from analysis.scans import Scan
from simulators import contract
from simulators.contract import Fluctuation
from workflow.analyze.columns import read_columns
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import HeldOutSamples
from workflow.analyze.models import AnalyzedModel, best, by_seed
from workflow.analyze.naming import axis_label, point_label, point_numbers, symbolic, words, written
from workflow.analyze.part import Drawing, Part, Section, Table
from workflow.analyze.parts import information, thermal
from workflow.dataset import inputs, shards
from workflow.dataset.inputs import Input, is_staggered
from workflow.dataset.origins import SimulationTask
from workflow.dataset.reading import configurations, numbers
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import Parameters

RESPONSES = 1024
"""Samples whose derivatives a direction is the mean of."""


class PointReading(NamedTuple):
    """What squares give at one parameter point."""

    point: Parameters
    latent: SquareReading
    order: SquareReading | None
    """From the order parameter itself, which takes no network; None: that of single channels is not stored."""
    line: SquareReading | None
    """By the best line through the squares of the whole latent, where those of single channels are asked for."""


class Curve(NamedTuple):
    """One observable, at every parameter point that the model was trained on."""

    column: str
    by_channel: bool
    """Whether the latent's direction was applied to single channels."""
    unit: int
    """The latent that correlates most with the order parameter."""
    points: list[PointReading]


def analyze(context: ModelContext) -> list[Curve]:
    """Of everything that squares of an order parameter say at every point; often nothing, and nothing of a model that
    does not see the elements which the order parameter is a mean of."""
    return _Curves(context).all() if context.samples.physics.on_sites else []


class _HeldOutShard(NamedTuple):
    """Held-out samples of one shard."""

    shard: int
    """Its index."""
    content: shards.Shard
    rows: NDArray[np.intp]
    """Of ``content``."""


class _Squares(NamedTuple):
    """Means over channels of a linear function of a configuration, and of its squares."""

    linear_S: NDArray[np.float64]
    square_S: NDArray[np.float64]
    norm: float | None
    """Squared norm of its weights; 1 for those of a mean with any signs."""


class _Curves:
    """Curves of one model."""

    def __init__(self, context: ModelContext) -> None:
        self._context, self._samples = context, context.samples
        self._rng = context.generator("fluctuations")
        self._shard_S = self._samples.labelled.shard[self._samples.rows]
        by_id = {task.task_id: task for task in context.tasks}
        self._tasks = {int(h): by_id[self._samples.labelled.task_ids[h]] for h in np.unique(self._shard_S)}
        self._points, self._point_S = _points(self._samples)
        self._weights: dict[int, NDArray[np.float32]] = {}
        """Directions of latents that have been asked for: several curves may be of one."""

    def all(self) -> list[Curve]:
        """A curve for every observable that the system names at all points alike."""
        simulated = {h: task for h, task in self._tasks.items() if isinstance(task, SimulationTask)}
        if len(simulated) < len(self._tasks):
            return []
        by_shard = {h: contract.load(task.system).fluctuations(task.point) for h, task in simulated.items()}
        names = {tuple((named.column, named.by_channel) for named in of_shard) for of_shard in by_shard.values()}
        if len(names) > 1:
            return []
        count = len(next(iter(names)))
        return [self._curve(simulated, {h: of_shard[k] for h, of_shard in by_shard.items()}) for k in range(count)]

    def _curve(self, tasks: Mapping[int, SimulationTask], identities: Mapping[int, Fluctuation]) -> Curve:
        samples = self._samples
        named = next(iter(identities.values()))
        is_measured = all(named.column in task.names.columns for task in tasks.values())
        names = (*named.terms, named.column) if is_measured else tuple(named.terms)
        table_SV = read_columns(self._context.run, next(iter(tasks.values())), samples, names)
        value_S = table_SV[:, -1] if is_measured else None
        scale_S, rest_S = np.empty(len(self._shard_S)), np.empty(len(self._shard_S))
        for h, identity in identities.items():
            is_of_shard_S = self._shard_S == h
            terms = np.array(list(identity.terms.values()))
            scale_S[is_of_shard_S] = identity.scale
            rest_S[is_of_shard_S] = identity.offset + table_SV[is_of_shard_S, : len(terms)] @ terms
        order_S = samples.order_SK[:, columns(samples.orders).index(named.order)]
        units, mean_SZ = information.units(self._context), self._context.mean_SZ
        unit = units[closest(mean_SZ[:, units], order_S, samples.thermal)]
        chains, rng, resamples, point_S = samples.thermal, self._rng, self._context.resamples, self._point_S

        def read(squares: _Squares) -> tuple[SquareReading, ...]:
            values = squares.linear_S, squares.square_S, order_S, scale_S, rest_S, value_S
            return read_fluctuations(*values, point_S, chains, rng, resamples, squares.norm)

        mean_S = mean_SZ[:, unit]
        order: Sequence[SquareReading | None] = [None] * len(self._points)
        line = order
        weight_CHW = self._direction(unit)
        if named.by_channel:
            latent = read(self._of_channels(weight_CHW.sum(axis=0)))
            if value_S is not None:
                line = read_by_line(mean_S, value_S, point_S, chains, rng, resamples)
        else:
            latent = read(_Squares(mean_S, mean_S**2, squared_norm(weight_CHW)))
            order = read(_Squares(order_S, order_S**2, None))
        rows = zip(self._points, latent, order, line, strict=True)
        return Curve(named.column, named.by_channel, unit, [PointReading(*row) for row in rows])

    def _of_channels(self, weight_HW: NDArray[np.float32]) -> _Squares:
        """The sum over sites with these weights, of each channel by itself."""
        frame: Input = "staggered" if is_staggered(self._context.model.input_name) else "raw"
        linear_S, square_S = np.empty(len(self._shard_S)), np.empty(len(self._shard_S))
        for h, shard, rows in self._held_out:
            sum_SC = np.tensordot(configurations(shard, frame, rows).astype(np.float32), weight_HW, axes=2)
            is_of_shard_S = self._shard_S == h
            linear_S[is_of_shard_S] = sum_SC.mean(axis=1)
            square_S[is_of_shard_S] = (sum_SC.astype(float) ** 2).mean(axis=1)
        return _Squares(linear_S, square_S, squared_norm(weight_HW))

    def _direction(self, unit: int) -> NDArray[np.float32]:
        """(C, H, W) mean derivative of the latent by the inputs: with which weights the network has learned to add up
        sites. Summed over channels, it can be applied to each by itself."""
        from models import inference
        from models.data.samples import samples_of

        if unit not in self._weights:
            model = self._context.model
            each = -(-RESPONSES // len(self._tasks))
            parts = [numbers(shard, model.input_name, rows[:each]) for _, shard, rows in self._held_out]
            some = samples_of(np.concatenate(parts), model.network_input.shape, *model.network_input.stored)
            self._weights[unit] = inference.response(self._context.network, some, unit)
        return self._weights[unit]

    @cached_property
    def _held_out(self) -> list[_HeldOutShard]:
        held_out = []
        for h, task in self._tasks.items():
            shard = shards.read(self._context.run.shard(task), columns=())
            rows = self._samples.rows[self._shard_S == h] - self._samples.labelled.first(h)
            held_out.append(_HeldOutShard(h, shard, rows))
        return held_out


def squared_norm(weights: NDArray[np.float32]) -> float:
    """Of the weights of a linear function, such that those of a mean with any signs have 1."""
    return float((weights.astype(float) ** 2).sum() * weights.size)


def _points(samples: HeldOutSamples) -> tuple[list[Parameters], NDArray[np.intp]]:
    """Parameter points, each of which may have several shards, and (S,) that of each sample."""
    listed: list[Parameters] = []
    shard_S = samples.labelled.shard[samples.rows]
    point_S = np.empty(len(shard_S), dtype=np.intp)
    for shard in np.unique(shard_S):
        point = samples.labelled.points[shard]
        if point not in listed:
            listed.append(point)
        point_S[shard_S == shard] = listed.index(point)
    return listed, point_S


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """A line for each observable and parameter point of models that differ in their seeds alone."""
    rows: list[tuple[str, ...]] = []
    for seeds in by_seed(model for model in models if _curves(model)):
        first = seeds[0]
        for number, curve in enumerate(_curves(first)):
            varying = _varying(curve.points)
            for at, reading in enumerate(curve.points):
                of_seeds = [_curves(model)[number].points[at] for model in seeds]
                latent = _worst([of_seed.latent for of_seed in of_seeds])
                line = _worst([of_seed.line for of_seed in of_seeds])
                rows.append(
                    (
                        inputs.words(first.plan.name, first.plan.input_name),
                        str(first.plan.size),
                        str(len(seeds)),
                        words(curve.column),
                        _label(reading.point, varying),
                        written(latent.direct if latent else None),
                        *_texts(latent),
                        *_texts(reading.order),
                        *_texts(line),
                    )
                )
    return Section("Fluctuations from latents", Table(HEADS, rows), NOTE) if rows else None


HEADS = (
    "block", "L", "seeds", "of", "point", "measured", "latent², worst seed", "off by", "order parameter²", "off by",
    "line, worst seed", "off by",
)  # fmt: skip
NOTE = Markup(
    "Mean squares of the order parameter give these exactly, by an identity of the field that has no free number: that "
    "of the whole field a susceptibility, those of single imaginary times what is at one time. A latent has a unit of "
    "its own, taken from its regression on the order parameter, one number for all points; for single times its "
    "direction (mean derivative by the inputs) is applied to them one by one. Line: the best a + b z² over the samples "
    "of all points. Off by: minus what was measured, whose scatter is taken out of the error; empty where it was not "
    '(measure = ["imaginary-time"] for the susceptibility). Held-out samples.'
)


def figures(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """The same against what was scanned, a panel for each value of the rest, a figure for each observable."""
    from analysis.figures import curves

    seeds = [model for model in best(models) if _curves(model)]
    if not seeds or not (branches := seeds[0].analysis[thermal.PART]):
        return
    parameter = branches[0].parameter
    for number, curve in enumerate(_curves(seeds[0])):
        of_seeds = [[point.latent for point in _curves(model)[number].points] for model in seeds]
        panels = _panels(curve.points, of_seeds, parameter)
        if not panels:
            continue
        name, is_measured = words(curve.column), of_seeds[0][0].direct is not None
        caption = (
            f"{name.capitalize()} that the square of a latent gives, {label}, L = {seeds[0].plan.size}; "
            f"{'filled: measured otherwise; ' if is_measured else ''}open: every seed."
        )
        figure = curves.readings(panels, name, axis_label(parameter))
        yield Drawing(f"{curve.column.replace('_', '-')}-{label}", caption, figure)


def _panels(
    points: Sequence[PointReading], of_seeds: Sequence[Sequence[SquareReading]], parameter: str
) -> dict[str, tuple[Scan | None, list[Scan]]]:
    """By title, what was measured and what each model reads, where there is more than one value of the parameter."""
    varying = _varying(points)
    rest = [name for name in varying if name != parameter]
    keys = [tuple(reading.point[name] for name in rest) for reading in points]
    panels = {}
    for key in dict.fromkeys(keys):
        chosen = [k for k, other in enumerate(keys) if other == key]
        if parameter not in varying or len(chosen) < 2:
            continue
        place = tuple(float(points[k].point[parameter]) for k in chosen)
        measured = [of_seeds[0][k].direct for k in chosen]
        direct = [(value,) for value in measured if value is not None]
        title = ", ".join(symbolic(name, value) for name, value in zip(rest, key, strict=True))
        read = [Scan(place, tuple((readings[k].read,) for k in chosen)) for readings in of_seeds]
        panels[title] = Scan(place, tuple(direct)) if len(direct) == len(chosen) else None, read
    return panels


def _curves(model: AnalyzedModel) -> list[Curve]:
    """The curves that are shown of a model: those of one with a unit in use."""
    return (model.analysis[PART] or []) if information.of(model.analysis).active else []


def _varying(points: Sequence[PointReading]) -> list[str]:
    """Numbers that are not the same at all points, but for the step that follows from the temperature."""
    return [
        name
        for name, value in points[0].point.items()
        if isinstance(value, int | float)
        and name != "trotter_step"
        and any(reading.point.get(name) != value for reading in points)
    ]


def _label(point: Parameters, varying: Sequence[str]) -> str:
    return point_numbers({words(name): point[name] for name in varying}, equals=" ") or point_label(point)


def _worst(of_seeds: Sequence[SquareReading | None]) -> SquareReading | None:
    """The seed whose reading is off by most of its errors; the first, where nothing was measured otherwise."""

    def sigmas(reading: SquareReading) -> float:
        off = reading.off
        return abs(off.value) / off.error if off and off.error else 0.0

    return max((reading for reading in of_seeds if reading is not None), key=sigmas, default=None)


def _texts(reading: SquareReading | None) -> tuple[str, str]:
    """What was read, and by how much it is off."""
    return ("", "") if reading is None else (written(reading.read), written(reading.off))


PART = Part(name="fluctuations", result=list[Curve], analyze=analyze, section=section, figures=figures)
