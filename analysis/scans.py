"""Results against lattice size and against temperature.

Axes: S samples, F quantities, T temperatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap, part_of


class Record(NamedTuple):
    """One number of one trained model."""

    quantity: str
    system: str
    size: int
    beta: float
    seed: int
    estimate: Estimate


class SizeRow(NamedTuple):
    """One quantity at one size, over seeds."""

    quantity: str
    size: int
    seeds: int
    mean: Estimate
    lowest: Estimate
    highest: Estimate
    """Lowest and highest over seeds: whichever is the worst of a quantity."""


class Scan(NamedTuple):
    """Averages against temperature."""

    temperature: tuple[float, ...]
    mean_TF: tuple[tuple[Estimate, ...], ...]


def across_sizes(records: Sequence[Record]) -> tuple[SizeRow, ...]:
    """A table against L: for each quantity (in order of appearance) and size, mean and extremes over seeds.

    Seeds of one size see the same data, so their sampling errors do not average out: the error of the mean is
    the root of (variance over seeds / seeds + mean squared error).

    Raises:
        ValueError: two records of one quantity, size and seed (records of several systems or betas, say).
    """
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        group = groups.setdefault((record.quantity, record.size), [])
        if record.seed in (other.seed for other in group):
            raise ValueError(
                f"two records of {record.quantity}, size {record.size}, seed {record.seed}: "
                "select one system and one beta per size"
            )
        group.append(record)
    quantities = list(dict.fromkeys(record.quantity for record in records))
    keys = sorted(groups, key=lambda key: (quantities.index(key[0]), key[1]))
    return tuple(_size_row(quantity, size, groups[quantity, size]) for quantity, size in keys)


def _size_row(quantity: str, size: int, group: Sequence[Record]) -> SizeRow:
    estimates = [record.estimate for record in group]
    values = np.array([estimate.value for estimate in estimates])
    between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    error = float(np.sqrt(between + np.mean([estimate.error**2 for estimate in estimates])))
    mean = Estimate(float(values.mean()), error, sum(e.samples for e in estimates), f"mean over {len(values)} seeds")
    # nan (an undefined ratio) must count as both extremes rather than be passed over.
    lowest = min(estimates, key=lambda e: -np.inf if np.isnan(e.value) else e.value)
    highest = max(estimates, key=lambda e: np.inf if np.isnan(e.value) else e.value)
    return SizeRow(quantity, size, len(values), mean, lowest, highest)


def thermal_scan(
    value_SF: Array,
    temperature_S: Array,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Scan:
    """Averages of |value| at each temperature: order parameters and latents, whose sign is a free choice.

    Args:
        value_SF: order parameters or means of latents of each sample.
        temperature_S: temperature of each sample; all else equal.
        chains: from ``index_chains``, for the same rows; a chain stays at one temperature.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: unequal numbers of rows.
    """
    if not len(value_SF) == len(temperature_S) == len(chains.chain_S):
        raise ValueError(
            f"need one temperature and chain per row, got {len(value_SF)}, {len(temperature_S)}, {len(chains.chain_S)}"
        )
    temperatures = np.unique(temperature_S)
    rows_T = [np.flatnonzero(temperature_S == temperature) for temperature in temperatures]
    mean_TF = tuple(
        bootstrap(
            lambda mean_F: mean_F,
            np.abs(value_SF[rows]),
            part_of(chains, rows),
            rng,
            resamples,
        )
        for rows in rows_T
    )
    return Scan(tuple(temperatures.tolist()), mean_TF)
