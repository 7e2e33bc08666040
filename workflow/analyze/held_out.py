"""Held-out samples as analysis reads them: what training never saw, by chain, parameter point and branch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import phases
from analysis.errors import Chains, Estimate, index_chains
from analysis.latent_space import mmd
from analysis.orders import OrderParameter, columns, split
from analysis.phases import Phases
from workflow.analyze.physics import Physics, physics
from workflow.dataset import shards
from workflow.dataset.inputs import Input
from workflow.dataset.origins import ShardTask
from workflow.dataset.reading import LabelledSamples, label_samples
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_schema, read_table


class ClassLabels(NamedTuple):
    """Classes of A samples, held out or not, that came with the data."""

    label_A: NDArray[np.intp]
    names: tuple[str, ...]


class HeldOutSamples(NamedTuple):
    """Held-out samples of one lattice size with what is known of them; S rows."""

    labelled: LabelledSamples
    rows: NDArray[np.intp]
    """(S,) rows of ``labelled`` that are held out."""
    physics: Physics
    labels: ClassLabels | None
    """Classes of all rows of ``labelled``, for data without an order parameter."""
    order_SK: NDArray[np.float64]
    """Components of the order parameters, as ``analysis.orders.columns`` lists them."""
    chains: Chains

    @property
    def thermal(self) -> Chains:
        """The same chains with the signs of the weights, for thermal averages: <x sign> / <sign>."""
        sign = self.labelled.sign
        return self.chains if sign is None else self.chains._replace(weight_S=sign[self.rows])

    @property
    def orders(self) -> tuple[OrderParameter, ...]:
        return self.physics.orders

    def lengths(self) -> NDArray[np.float64]:
        """(S, O) length of each order parameter."""
        parts = zip(self.orders, split(self.order_SK, self.orders), strict=True)
        lengths = [order.length(part_SC) for order, part_SC in parts]
        return np.stack(lengths, axis=1) if lengths else np.empty((len(self.rows), 0))


def held_out_samples(
    run: RunDirectory, tasks: Iterable[ShardTask], trained: set[str], fraction: float, input_name: Input = "raw"
) -> HeldOutSamples:
    """Held-out rows of the shards of ``tasks``: all rows of those that were not trained on.

    Args:
        run: where they are.
        tasks: what made them.
        trained: task ids of those that were trained on.
        fraction: of their chains that are held out.
        input_name: what the models in question are given of a configuration.
    """
    listed = list(tasks)
    task_physics = physics(listed[0], input_name)
    paths = (run.shard(t) for t in listed)
    labelled = label_samples(paths, columns(task_physics.orders), fraction)
    within = np.array([t.task_id in trained for t in listed])[labelled.shard]
    rows = np.flatnonzero(labelled.unseen | ~within)
    class_labels = None if task_physics.orders else _class_labels(run, listed)
    chains_S = index_chains(labelled.chain[rows], labelled.shard[rows])
    return HeldOutSamples(
        labelled, rows, task_physics, class_labels, components_at(labelled, rows, task_physics.orders), chains_S
    )


def components_at(
    labelled: LabelledSamples, rows: NDArray[np.intp], orders: tuple[OrderParameter, ...]
) -> NDArray[np.float64]:
    """(S, K) components of the order parameters."""
    components = [labelled.order_parameters[name][rows] for name in columns(orders)]
    return np.stack(components, axis=1) if components else np.empty((len(rows), 0))


def _class_labels(run: RunDirectory, tasks: Iterable[ShardTask]) -> ClassLabels | None:
    """The ``label`` column of shards that have one, each with the names of its own; None unless all do."""
    parts = []
    named: dict[str, str] = {}
    for task in tasks:
        path = run.shard(task)
        if "label" not in read_schema(path).names:
            return None
        parts.append(read_table(path, ["label"]).column("label").to_numpy())
        named |= shards.read_metadata(path).get("label_names", {})
    label_A = np.concatenate(parts).astype(np.intp)
    return ClassLabels(label_A, tuple(named.get(str(k), str(k)) for k in range(int(label_A.max()) + 1)))


def phases_of(samples: HeldOutSamples, threshold: float, rows: NDArray[np.intp] | None = None) -> Phases:
    """Phases of the samples, or of other rows of the same shards: by their order parameters, else by their labels.

    Without either, all samples count as disordered.
    """
    chosen = samples.rows if rows is None else rows
    if samples.labels is not None:
        return phases.of_labels(samples.labels.label_A[chosen], samples.labels.names)
    order_SK = components_at(samples.labelled, chosen, samples.orders)
    sign = samples.labelled.sign
    weight_S = None if sign is None else sign[chosen]
    return phases.label(order_SK, samples.orders, samples.labelled.shard[chosen], threshold, weight_S)


def training_rows(samples: HeldOutSamples, task_ids: Iterable[str]) -> NDArray[np.intp]:
    """Rows of ``samples.labelled`` in the named shards that are not held out."""
    is_named = np.isin(np.array(samples.labelled.task_ids), list(task_ids))[samples.labelled.shard]
    is_named[samples.rows] = False
    return np.flatnonzero(is_named)


def subset(samples: HeldOutSamples, keep: NDArray[np.bool_]) -> HeldOutSamples:
    """The samples where ``keep`` is true."""
    rows = samples.rows[keep]
    chains = index_chains(samples.labelled.chain[rows], samples.labelled.shard[rows])
    return samples._replace(rows=rows, order_SK=samples.order_SK[keep], chains=chains)


def branches(samples: HeldOutSamples) -> dict[str, NDArray[np.bool_]]:
    """Masks (S,) of the samples, one for each set of shards that differ in the scanned parameter alone.

    The key says the other parameters, such as ``coupling = 1.0``. Empty without order parameters, and where a shard
    does not have the scanned parameter.
    """
    points, scanned = samples.labelled.points, samples.physics.parameter
    if not samples.orders or any(scanned not in point for point in points):
        return {}
    keys = ["; ".join(f"{k} = {v}" for k, v in point.items() if k not in (scanned, "size")) for point in points]
    rest = np.array(keys)[samples.labelled.shard[samples.rows]]
    return {key: rest == key for key in dict.fromkeys(keys)}


def temperatures(samples: HeldOutSamples) -> NDArray[np.float64]:
    """(S,) the scanned parameter: temperature, or what stands for it."""
    return np.array([float(point[samples.physics.parameter]) for point in samples.labelled.points])[
        samples.labelled.shard[samples.rows]
    ]


def neighbours(
    x_SF: NDArray[np.float64], branch: HeldOutSamples, resamples: int, rng: np.random.Generator
) -> mmd.Neighbours:
    """Eq. 9 between neighbouring temperatures, of samples folded into one phase."""
    temperature_G, group_S = np.unique(temperatures(branch), return_inverse=True)
    sums = mmd.group_sums(x_SF, group_S, branch.chains)
    return mmd.neighbouring(sums, temperature_G.tolist(), rng, resamples)


def pairs(labels: Phases) -> list[tuple[int, int]]:
    present = labels.present
    return [(first, second) for first in present for second in present if first < second]


def isometries(
    sums: mmd.GroupSums, labels: Phases, orders: tuple[OrderParameter, ...], rng: np.random.Generator, resamples: int
) -> dict[str, Estimate]:
    """d(P+, P-) / d(P+, PM) for every order parameter by sign whose two phases and the disordered one are there."""
    ratios = {}
    for k in labels.orders:
        if orders[k].kind == "sign" and labels.disordered is not None:
            plus, minus = labels.of_order(k)
            if {plus, minus, labels.disordered} <= set(labels.present):
                ratios[orders[k].name] = mmd.isometry(sums, plus, minus, labels.disordered, rng, resamples)
    return ratios
