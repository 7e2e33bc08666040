"""Which phase a sample is in, from its own order parameters: no critical temperature is put in.

Axes: S samples, K order parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DISORDERED = "disordered"
"""Name of the phase without order."""


class Phases(NamedTuple):
    """The phase of every sample."""

    names: tuple[str, ...]
    """``<order parameter>+``, ``<order parameter>-`` for each order parameter, then ``disordered``."""
    label_S: NDArray[np.intp]
    """Index into ``names``."""

    @property
    def present(self) -> tuple[int, ...]:
        """Phases with at least one sample, as indices into ``names``."""
        return tuple(int(phase) for phase in np.unique(self.label_S))

    @property
    def orders(self) -> tuple[int, ...]:
        """Order parameters in which some samples are ordered: only these have an axis to look for."""
        return tuple(sorted({phase // 2 for phase in self.present if self.names[phase] != DISORDERED}))


def phase_names(order_names: Sequence[str]) -> tuple[str, ...]:
    """The phases of these order parameters, in the order of ``Phases.names``."""
    return (*(f"{name}{sign}" for name in order_names for sign in "+-"), DISORDERED)


def label(
    order_SK: NDArray[np.float64], order_names: Sequence[str], strata_S: ArrayLike, threshold: float = 0.5
) -> Phases:
    """Label samples with the phase of their parameter point and the sign of their order parameter.

    A stratum is ordered in k if its mean |o_k| reaches the threshold (in the largest, if several do), and its
    samples are in phase k+ where o_k >= 0, k- elsewhere; otherwise all its samples are disordered. Labels
    belong to strata, since a single critical configuration says little.

    Args:
        order_SK: order parameters per site, within [-1, 1].
        order_names: K names.
        strata_S: parameter point (shard) of each sample.
        threshold: of the mean |o_k|, in (0, 1].

    Raises:
        ValueError: shapes that do not fit, or a threshold outside (0, 1].
    """
    strata = np.asarray(strata_S)
    if order_SK.ndim != 2 or order_SK.shape != (len(strata), len(order_names)):
        raise ValueError(
            f"order parameters must be (samples, {len(order_names)}) with one stratum per sample, "
            f"got {order_SK.shape} and {strata.shape}"
        )
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be within (0, 1], got {threshold}")
    names = phase_names(order_names)
    _, stratum_S = np.unique(strata, return_inverse=True)
    count_H = np.bincount(stratum_S)
    size_HK = np.stack([np.bincount(stratum_S, np.abs(o_S)) / count_H for o_S in order_SK.T], axis=1)
    largest_H = size_HK.argmax(axis=1)
    is_ordered_H = size_HK.max(axis=1) >= threshold
    k_S = largest_H[stratum_S]
    is_negative_S = order_SK[np.arange(len(strata)), k_S] < 0
    label_S = np.where(is_ordered_H[stratum_S], 2 * k_S + is_negative_S, len(names) - 1)
    return Phases(names, label_S.astype(np.intp))


def display_names(names: Sequence[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Phase names for people, e.g. ``FM+`` with the alias ``{"magnetization": "FM"}``.

    A name without an alias keeps its words: ``staggered magnetization -``.
    """
    shown = []
    for name in names:
        stem, sign = (name[:-1], name[-1]) if name[-1] in "+-" else (name, "")
        sign = sign.replace("-", "\N{MINUS SIGN}")
        plain = f"{stem.replace('_', ' ')} {sign}".strip()
        shown.append(f"{aliases[stem]}{sign}" if stem in aliases else plain)
    return tuple(shown)
