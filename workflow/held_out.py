"""Held-out samples as analysis reads them: what training never saw, by chain, parameter point and branch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import mmd
from analysis.errors import Chains, Estimate, index_chains
from analysis.phases import Phases
from workflow.dataset import Labelled, label_samples
from workflow.layout import RunDirectory
from workflow.plan import ShardTask


class Samples(NamedTuple):
    """Held-out samples of one lattice size with what is known of them; S rows."""

    labelled: Labelled
    rows: NDArray[np.intp]
    """(S,) rows of ``labelled`` that are held out."""
    order_SK: NDArray[np.float64]
    chains: Chains


def plain(result: Any) -> Any:
    """A result (named tuples, arrays, numbers) as JSON can hold it; what is not a number becomes null."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return {key: plain(value) for key, value in result._asdict().items()}
    if isinstance(result, dict):
        return {str(key): plain(value) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return [plain(value) for value in result]
    if isinstance(result, np.ndarray):
        return plain(result.tolist())
    if isinstance(result, float | np.floating):
        return float(result) if math.isfinite(result) else None
    return int(result) if isinstance(result, np.integer) else result


def generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


def held_out_samples(run: RunDirectory, tasks: Iterable[ShardTask], trained: set[str], fraction: float) -> Samples:
    """Held-out rows of the shards of ``tasks``: all rows of those that were not trained on."""
    listed = list(tasks)
    names = listed[0].names.order_parameters
    labelled = label_samples((run.shard(t.system, t.size, t.task_id) for t in listed), names, fraction)
    within = np.array([t.task_id in trained for t in listed])[labelled.shard]
    rows = np.flatnonzero(labelled.unseen | ~within)
    order_SK = np.stack([labelled.order_parameters[name][rows] for name in names], axis=1)
    return Samples(labelled, rows, order_SK, index_chains(labelled.chain[rows], labelled.shard[rows]))


def subset(samples: Samples, keep: NDArray[np.bool_]) -> Samples:
    """The samples where ``keep`` is true."""
    rows = samples.rows[keep]
    chains = index_chains(samples.labelled.chain[rows], samples.labelled.shard[rows])
    return Samples(samples.labelled, rows, samples.order_SK[keep], chains)


def branches(samples: Samples) -> dict[str, NDArray[np.bool_]]:
    """Shards that differ in temperature alone, as masks over the samples, by a label such as ``coupling = 1.0``."""
    points = samples.labelled.points
    keys = ["; ".join(f"{k} = {v}" for k, v in point.items() if k not in ("temperature", "size")) for point in points]
    rest = np.array(keys)[samples.labelled.shard[samples.rows]]
    return {key: rest == key for key in dict.fromkeys(keys)}


def temperatures(samples: Samples) -> NDArray[np.float64]:
    return np.array([float(point["temperature"]) for point in samples.labelled.points])[
        samples.labelled.shard[samples.rows]
    ]


def neighbours(
    x_SF: NDArray[np.float64], branch: Samples, order: int, resamples: int, rng: np.random.Generator
) -> mmd.Neighbours:
    """Eq. 9 between neighbouring temperatures, each sample folded by the sign of its order parameter."""
    temperature_G, group_S = np.unique(temperatures(branch), return_inverse=True)
    sums = mmd.group_sums(mmd.folded(x_SF, branch.order_SK[:, order]), group_S, branch.chains)
    return mmd.neighbouring(sums, temperature_G.tolist(), rng, resamples)


def pairs(found: Phases) -> list[tuple[int, int]]:
    present = found.present
    return [(first, second) for first in present for second in present if first < second]


def isometries(sums: mmd.GroupSums, found: Phases, rng: np.random.Generator, resamples: int) -> dict[str, Estimate]:
    """d(P+, P-) / d(P+, PM) for every order parameter whose two phases and the disordered one are there."""
    disordered = len(found.names) - 1
    return {
        found.names[2 * k][:-1]: mmd.isometry(sums, 2 * k, 2 * k + 1, disordered, rng, resamples)
        for k in found.orders
        if {2 * k, 2 * k + 1, disordered} <= set(found.present)
    }
