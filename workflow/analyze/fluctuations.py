"""Curves over parameter points that squares of a latent give, beside what a system measures by other means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.latent_space.covariance import closest
from analysis.latent_space.squares import Reading, read_by_line, read_fluctuations
from analysis.orders import columns
from simulators import contract
from simulators.contract import Fluctuation
from workflow.analyze.held_out import Samples
from workflow.analyze.measured import read_columns
from workflow.analyze.results import generator
from workflow.dataset import shards
from workflow.dataset.inputs import Input, is_staggered
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.dataset.reading import configurations, numbers
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from models.inference import Model

ASKED = 1024
"""Samples whose derivatives a direction is the mean of."""


class HeldOut(NamedTuple):
    """Held-out samples of one shard."""

    shard: int
    """Its index."""
    content: shards.Shard
    rows: NDArray[np.intp]
    """Of ``content``."""


class Point(NamedTuple):
    """What squares give at one parameter point."""

    point: dict[str, Any]
    latent: Reading
    order: Reading | None
    """From the order parameter itself, which takes no network; None: that of single channels is not stored."""
    line: Reading | None
    """By the best line through the squares of the whole latent, where those of single channels are asked for."""


class Curve(NamedTuple):
    """One observable, at every parameter point that the model was trained on."""

    column: str
    by_channel: bool
    """Whether the latent's direction was applied to single channels."""
    unit: int
    """The latent that correlates most with the order parameter."""
    points: list[Point]


class Curves:
    """Curves of one model.

    Args:
        run: where the shards are.
        model: whose results these are.
        network: in evaluation mode.
        tasks: the shards of ``samples.labelled``.
        samples: held-out samples of the shards that it was trained on.
        mean_SZ: their latents.
        units: latents that are looked at.
        resamples: of the bootstrap.
        seed: of the study.
    """

    def __init__(
        self,
        run: RunDirectory,
        model: ModelPlan,
        network: Model,
        tasks: tuple[ShardTask, ...],
        samples: Samples,
        mean_SZ: NDArray[np.float64],
        units: list[int],
        resamples: int,
        seed: int,
    ) -> None:
        self._run, self._item, self._network, self._samples = run, model, network, samples
        self._mean_SZ, self._units, self._resamples = mean_SZ, units, resamples
        self._rng = generator(seed, f"{model.train_id}-fluctuations")
        self._shard_S = samples.labelled.shard[samples.rows]
        by_id = {task.task_id: task for task in tasks}
        self._tasks = {int(h): by_id[samples.labelled.task_ids[h]] for h in np.unique(self._shard_S)}
        self._points, self._point_S = _points(samples)
        self._weights: dict[int, NDArray[np.float32]] = {}
        """Directions of latents that have been asked for: several curves may be of one."""

    def all(self) -> list[Curve]:
        """Of everything that squares of an order parameter say at every point; often nothing, and nothing of a model
        that does not see the elements which the order parameter is a mean of."""
        if not self._samples.physics.on_sites:
            return []
        simulated = {h: task for h, task in self._tasks.items() if isinstance(task, SimulationTask)}
        if len(simulated) < len(self._tasks):
            return []
        known = {h: contract.load(task.system).fluctuations(task.point) for h, task in simulated.items()}
        names = [tuple((one.column, one.by_channel) for one in some) for some in known.values()]
        if len(set(names)) > 1:
            return []
        by_shard = ({h: some[k] for h, some in known.items()} for k in range(len(names[0])))
        return [self._curve(simulated, facts) for facts in by_shard]

    def _curve(self, tasks: dict[int, SimulationTask], facts: dict[int, Fluctuation]) -> Curve:
        samples = self._samples
        named = next(iter(facts.values()))
        is_measured = all(named.column in task.names.columns for task in tasks.values())
        wanted = (*named.terms, named.column) if is_measured else tuple(named.terms)
        table_SV = read_columns(self._run, next(iter(tasks.values())), samples, wanted)
        value_S = table_SV[:, -1] if is_measured else None
        scale_S, rest_S = np.empty(len(self._shard_S)), np.empty(len(self._shard_S))
        for h, one in facts.items():
            here_S = self._shard_S == h
            scale_S[here_S] = one.scale
            rest_S[here_S] = one.offset + table_SV[here_S, : len(one.terms)] @ np.array(list(one.terms.values()))
        order_S = samples.order_SK[:, columns(samples.orders).index(named.order)]
        unit = self._units[closest(self._mean_SZ[:, self._units], order_S, samples.thermal)]
        chains, rng, resamples, point_S = samples.thermal, self._rng, self._resamples, self._point_S

        def read(
            linear_S: NDArray[np.float64], square_S: NDArray[np.float64], norm: float | None = None
        ) -> tuple[Reading, ...]:
            given = linear_S, square_S, order_S, scale_S, rest_S, value_S
            return read_fluctuations(*given, point_S, chains, rng, resamples, norm)

        mean_S = self._mean_SZ[:, unit]
        order: Sequence[Reading | None] = [None] * len(self._points)
        line = order
        if unit not in self._weights:
            self._weights[unit] = self._direction(unit)
        weight_CHW = self._weights[unit]
        if named.by_channel:
            weight_HW = weight_CHW.sum(axis=0)
            latent = read(*self._of_channels(weight_HW), squared_norm(weight_HW))
            if value_S is not None:
                line = read_by_line(mean_S, value_S, point_S, chains, rng, resamples)
        else:
            latent, order = read(mean_S, mean_S**2, squared_norm(weight_CHW)), read(order_S, order_S**2)
        rows = zip(self._points, latent, order, line, strict=True)
        return Curve(named.column, named.by_channel, unit, [Point(*row) for row in rows])

    def _of_channels(self, weight_HW: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(S,) mean over the channels of the sum over sites with these weights, and mean of the squares."""
        frame: Input = "staggered" if is_staggered(self._item.given_as) else "raw"
        linear_S, square_S = np.empty(len(self._shard_S)), np.empty(len(self._shard_S))
        for h, shard, rows in self._read:
            part_SC = np.tensordot(configurations(shard, frame, rows).astype(np.float32), weight_HW, axes=2)
            here_S = self._shard_S == h
            linear_S[here_S], square_S[here_S] = part_SC.mean(axis=1), (part_SC.astype(float) ** 2).mean(axis=1)
        return linear_S, square_S

    def _direction(self, unit: int) -> NDArray[np.float32]:
        """(C, H, W) mean derivative of the latent by the inputs: with which weights the network has learned to add up
        sites. Summed over channels, it can be applied to each by itself."""
        from models import inference
        from models.data.samples import samples_of

        seen = self._item.seen
        each = -(-ASKED // len(self._tasks))
        parts = [numbers(shard, self._item.given_as, rows[:each]) for _, shard, rows in self._read]
        asked = samples_of(np.concatenate(parts), seen.shape, *seen.stored)
        return inference.response(self._network, asked, unit)

    @cached_property
    def _read(self) -> list[HeldOut]:
        read = []
        for h, task in self._tasks.items():
            shard = shards.read(self._run.shard(task.system, task.size, task.task_id), columns=())
            rows = self._samples.rows[self._shard_S == h] - self._samples.labelled.first(h)
            read.append(HeldOut(h, shard, rows))
        return read


def squared_norm(weights: NDArray[np.float32]) -> float:
    """1 for those of a mean with any signs."""
    return float((weights.astype(float) ** 2).sum() * weights.size)


def _points(samples: Samples) -> tuple[list[dict[str, Any]], NDArray[np.intp]]:
    """Parameter points, each of which may have several shards, and (S,) that of each sample."""
    listed: list[dict[str, Any]] = []
    shard_S = samples.labelled.shard[samples.rows]
    point_S = np.empty(len(shard_S), dtype=np.intp)
    for shard in np.unique(shard_S):
        point = samples.labelled.points[shard]
        if point not in listed:
            listed.append(point)
        point_S[shard_S == shard] = listed.index(point)
    return listed, point_S
