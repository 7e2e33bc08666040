"""A sweep over beta at several lattice sizes: where latents collapse, as one curve per size.

Draws what it is given and computes nothing anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.curves import beta_lines, require_some, series
from analysis.figures.style import INK, styled


class SweepCurve(NamedTuple):
    """Models of one size; several seeds may share a ratio."""

    size: int
    ratio: tuple[float, ...]
    """beta / lambda of each model."""
    values: Mapping[str, tuple[float, ...]]
    """By the label of a panel, one number per model."""


@styled
def sweep(curves: Sequence[SweepCurve], bounds: Mapping[str, float] | None = None) -> Figure:
    """One panel per quantity, one curve per size: every seed as a point, the line through their means.

    Args:
        curves: all with the same quantities.
        bounds: a threshold to draw as a dotted line, by panel.

    Raises:
        ValueError: no curves, different quantities, or lengths that differ.
    """
    require_some(curves, "curves")
    labels = list(curves[0].values)
    if any(list(c.values) != labels or any(len(v) != len(c.ratio) for v in c.values.values()) for c in curves):
        raise ValueError(f"need {labels} of every model in each curve, got {[list(c.values) for c in curves]}")
    figure = Figure(figsize=(6.6, 0.6 + 1.9 * len(labels)))
    axes = figure.subplots(len(labels), 1, squeeze=False, sharex=True)[:, 0]
    for plot, label in zip(axes, labels, strict=True):
        for index, curve in enumerate(curves):
            colour, marker = series(index)
            ratio, value = np.array(curve.ratio), np.array(curve.values[label], dtype=float)
            # Settings such as "0.2 lam" agree between seeds to rounding.
            places, group = np.unique(ratio.round(9), return_inverse=True)
            means = [value[group == k].mean() for k in range(len(places))]
            plot.plot(places, means, color=colour, linewidth=1.2)
            plot.plot(ratio, value, color=colour, marker=marker, markersize=3.5, linestyle="none", alpha=0.7)
        if bounds and label in bounds:
            plot.axhline(bounds[label], color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        plot.set(ylabel=label, xscale="log")
        plot.set_ylim(bottom=0)
    beta_lines(list(axes))
    axes[-1].set_xlabel(r"$\beta\,/\,\lambda$")
    handles = [
        Line2D([], [], color=colour, marker=marker, linewidth=1.2, label=f"$L={curve.size}$")
        for curve, (colour, marker) in zip(curves, map(series, range(len(curves))), strict=True)
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure
