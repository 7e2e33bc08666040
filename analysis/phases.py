"""Which phase a sample is in, from its own order parameters: no critical temperature is put in.

Axes: S samples, K components of all order parameters, P phases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.orders import OrderParameter, split

DISORDERED = "disordered"
"""Name of the phase without order."""
NO_ORDER = -1
"""Stands in ``Phases.order_P`` where a phase belongs to no order parameter."""


class Phases(NamedTuple):
    """The phase of every sample."""

    names: tuple[str, ...]
    """Those of ``OrderParameter.phases`` for each order parameter, then ``disordered``; or names of given labels."""
    label_S: NDArray[np.intp]
    """Index into ``names``."""
    order_P: tuple[int, ...]
    """Order parameter that each phase belongs to, or ``NO_ORDER``."""

    @property
    def present(self) -> tuple[int, ...]:
        """Phases with at least one sample, as indices into ``names``."""
        return tuple(int(phase) for phase in np.unique(self.label_S))

    @property
    def orders(self) -> tuple[int, ...]:
        """Order parameters in which some samples are ordered: only these have an axis to look for."""
        return tuple(sorted({self.order_P[phase] for phase in self.present} - {NO_ORDER}))

    @property
    def disordered(self) -> int | None:
        """Index of the phase without order; None among given labels."""
        return self.names.index(DISORDERED) if DISORDERED in self.names else None

    def of_order(self, order: int) -> tuple[int, ...]:
        """The ordered phases of one order parameter, as indices into ``names``."""
        return tuple(phase for phase, k in enumerate(self.order_P) if k == order)


def phase_names(orders: Sequence[OrderParameter]) -> tuple[str, ...]:
    """The phases of these order parameters, in the order of ``Phases.names``."""
    return (*(name for order in orders for name in order.phases), DISORDERED)


def label(
    order_SK: NDArray[np.float64],
    orders: Sequence[OrderParameter],
    strata_S: ArrayLike,
    threshold: float = 0.5,
    weight_S: NDArray[np.float64] | None = None,
) -> Phases:
    """Label samples with the phase of their parameter point and the direction of their order parameter.

    A stratum is ordered in k if the mean length of order parameter k reaches the threshold (in the longest, if several
    do), and its samples are in that phase of k which their own order parameter points to; otherwise all its samples are
    disordered. Labels belong to strata, since a single critical configuration says little.

    Args:
        order_SK: components of the order parameters per site, in the order of ``orders.columns``. A scalar field
            has no largest value, so that the threshold is then in its own units.
        orders: the order parameters.
        strata_S: parameter point (shard) of each sample.
        threshold: of the mean length, in (0, 1].
        weight_S: signs, where the mean is <length sign> / <sign>; a stratum whose signs cancel counts as disordered.

    Raises:
        ValueError: shapes that do not fit, or a threshold outside (0, 1].
    """
    strata = np.asarray(strata_S)
    parts = split(order_SK, orders)
    if len(order_SK) != len(strata):
        raise ValueError(f"need one stratum per sample, got {len(strata)} for {order_SK.shape}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be within (0, 1], got {threshold}")
    names = phase_names(orders)
    order_P = (*(k for k, order in enumerate(orders) for _ in order.phases), NO_ORDER)
    if not orders:
        return Phases(names, np.zeros(len(strata), dtype=np.intp), order_P)
    _, stratum_S = np.unique(strata, return_inverse=True)
    lengths = [order.length(part_SC) for order, part_SC in zip(orders, parts, strict=True)]
    size_HO = np.stack([_stratum_means(length_S, stratum_S, weight_S) for length_S in lengths], axis=1)
    largest_S = size_HO.argmax(axis=1)[stratum_S]
    is_ordered_S = (size_HO.max(axis=1) >= threshold)[stratum_S]
    label_S = np.full(len(strata), len(names) - 1, dtype=np.intp)
    for k, (order, part_SC) in enumerate(zip(orders, parts, strict=True)):
        rows = np.flatnonzero(is_ordered_S & (largest_S == k))
        label_S[rows] = order_P.index(k) + order.direction(part_SC[rows])
    return Phases(names, label_S, order_P)


def _stratum_means(
    length_S: NDArray[np.float64], stratum_S: NDArray[np.intp], weight_S: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    if weight_S is None:
        return np.bincount(stratum_S, length_S) / np.bincount(stratum_S)
    sum_H, weight_H = np.bincount(stratum_S, length_S * weight_S), np.bincount(stratum_S, weight_S)
    return np.divide(sum_H, weight_H, out=np.zeros_like(sum_H), where=weight_H != 0)


def of_labels(label_S: ArrayLike, names: Sequence[str]) -> Phases:
    """Labels that came with the data, such as digits, as phases without an order parameter.

    Raises:
        ValueError: a label outside 0 ... len(names) - 1.
    """
    label = np.asarray(label_S, dtype=np.intp)
    if label.ndim != 1 or not len(label) or label.min() < 0 or label.max() >= len(names):
        raise ValueError(
            f"labels must be whole numbers 0 to {len(names) - 1}, one per sample, got shape {label.shape}"
            + (f" and {label.min()} to {label.max()}" if label.size else "")
        )
    return Phases(tuple(names), label, (NO_ORDER,) * len(names))


def display_names(names: Sequence[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Phase names for people, e.g. ``FM+`` or ``FM 2`` with the alias ``{"magnetization": "FM"}``.

    A name without an alias keeps its words: ``staggered magnetization -``.
    """
    texts = []
    for name in names:
        stem, suffix = name, ""
        if match := re.fullmatch(r"(.+?)([+-]| \d+)", name):
            stem, suffix = match.groups()
        suffix = suffix.replace("-", "\N{MINUS SIGN}")
        plain = f"{stem.replace('_', ' ')} {suffix.lstrip()}".strip()
        texts.append(f"{aliases[stem]}{suffix}" if stem in aliases else plain)
    return tuple(texts)
