"""Results as curves: against epoch, beta, lattice size and temperature.

Draws what it is given and computes nothing anew.
Axes: E epochs, Z latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from analysis.errors import Estimate
from analysis.figures.style import DASHES, INK, MARKERS, SERIES, styled
from analysis.latent_space.mmd import Neighbours
from analysis.scans import Record, Scan

BETA_LINES = (0.2, 0.6, 0.9, 1.0)
"""beta / lambda: the rule, where alignment becomes too slow, where a run is refused, collapse."""


NARROW = 0.01
"""Least range of an axis of results."""


class CollapsePoint(NamedTuple):
    """One trained model of a sweep over beta."""

    ratio: float
    """beta / lambda, lambda the largest eigenvalue of the data's covariance."""
    divergence: tuple[Estimate, ...]
    """KL per unit."""
    own: tuple[Estimate, ...]
    """|correlation| of each matched pair, or what takes its place."""


class NeighbourCurve(NamedTuple):
    """Distances of neighbouring temperatures at one size."""

    size: int
    side: str
    """Panel that it belongs to, e.g. ``J > 0``."""
    neighbours: Neighbours


@styled
def collapse(points: Sequence[CollapsePoint], names: Sequence[str] = (), ylabel: str = "|correlation|") -> Figure:
    """KL per unit, and what correlations or accuracies say of the same models, against beta / lambda.

    Args:
        points: any number of seeds per ratio.
        names: names for people of the numbers in ``CollapsePoint.own``; none: KL alone.
        ylabel: what these numbers are.

    Raises:
        ValueError: no points, or numbers of them and of names that differ.
    """
    require_some(points, "points")
    if any(len(point.own) != len(names) for point in points):
        raise ValueError(f"need {len(names)} numbers per point, got {[len(p.own) for p in points]}")
    figure = Figure(figsize=(6.2, 4.4 if names else 2.7))
    plots = list(figure.subplots(2 if names else 1, 1, sharex=True, squeeze=False)[:, 0])
    by_ratio = sorted(points, key=lambda point: point.ratio)
    ratios = [point.ratio for point in by_ratio]
    num_units = len(by_ratio[0].divergence)
    is_many = num_units > len(SERIES)
    for unit in range(num_units):
        label = ("each unit" if unit == 0 else "_") if is_many else f"$z_{{{unit + 1}}}$"
        errorbar(plots[0], ratios, [p.divergence[unit] for p in by_ratio], 0 if is_many else unit, label, "none")
    for index, name in enumerate(names):
        first = 1 if is_many else num_units
        errorbar(plots[1], ratios, [p.own[index] for p in by_ratio], first + index, name, "none")
    for plot in plots:
        plot.set_xscale("log")
        plot.set_ylim(bottom=0)
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    beta_lines(plots)
    plots[0].set(ylabel="KL per unit / nats")
    plots[-1].set(xlabel=r"$\beta\,/\,\lambda$")
    if names:
        plots[1].set(ylabel=ylabel, ylim=(0, 1.05))
    return figure


def beta_lines(plots: Sequence[Axes]) -> None:
    """Dotted lines at ``BETA_LINES``, with their numbers above the first of the axes."""
    for plot in plots:
        for line in BETA_LINES:
            plot.axvline(line, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    for line in BETA_LINES:
        plots[0].annotate(
            f"{line:g}", (line, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center" if line < 0.8 else "right" if line < 1 else "left", fontsize=8,
        )  # fmt: skip


@styled
def against_size(records: Sequence[Record], labels: Mapping[str, str], bounds: Mapping[str, Sequence[float]]) -> Figure:
    """One panel per quantity: its value at each size, one series per seed.

    Args:
        records: numbers of one system; of these only the quantities in ``labels`` are drawn.
        labels: axis label of each quantity, in the order of the panels.
        bounds: thresholds to draw as dotted lines, by quantity.

    Raises:
        ValueError: a quantity without records.
    """
    columns = min(3, len(labels))
    rows = -(-len(labels) // max(columns, 1))
    figure = Figure(figsize=(0.6 + 2.35 * columns, 2.1 * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    seeds = sorted({record.seed for record in records})
    sizes = sorted({record.size for record in records})
    for plot, (quantity, label) in zip(axes.flat, labels.items(), strict=False):
        chosen = [record for record in records if record.quantity == quantity]
        require_some(chosen, f"records of {quantity}")
        for index, seed in enumerate(seeds):
            of_seed = sorted((r for r in chosen if r.seed == seed), key=lambda record: record.size)
            # Seeds side by side: at one size their error bars would cover each other.
            shift = 2 ** (min(0.12, 0.6 / len(seeds)) * (index - (len(seeds) - 1) / 2))
            places = [record.size * shift for record in of_seed]
            errorbar(plot, places, [r.estimate for r in of_seed], index, f"seed {seed}", "none")
        for bound in bounds.get(quantity, ()):
            plot.axhline(bound, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        plot.set_ylabel(label)
        _size_axis(plot, sizes)
        low, high = plot.get_ylim()
        if high - low < NARROW:
            # Else the ticks of equal values are differences from an offset.
            plot.set_ylim((low + high - NARROW) / 2, (low + high + NARROW) / 2)
    for plot in axes.flat[len(labels) :]:
        plot.set_axis_off()
    legend_right(figure, axes.flat[0])
    return figure


def _size_axis(plot: Axes, sizes: Sequence[int]) -> None:
    plot.set_xscale("log", base=2)
    plot.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    plot.set_xticks(sizes, [str(size) for size in sizes])
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.set_xlabel("$L$")


@styled
def neighbour_distances(
    curves: Sequence[NeighbourCurve], ylabel: str = "MMD", xlabel: str = "temperature $T$"
) -> Figure:
    """Distance between neighbouring temperatures against their midpoint: a panel per side, a curve per size.

    Raises:
        ValueError: no curves.
    """
    require_some(curves, "curves")
    sides = list(dict.fromkeys(curve.side for curve in curves))
    sizes = sorted({curve.size for curve in curves})
    figure = Figure(figsize=(1.2 + 2.9 * len(sides), 2.8))
    axes = figure.subplots(1, len(sides), squeeze=False, sharey=True)[0]
    for plot, side in zip(axes, sides, strict=True):
        for curve in (curve for curve in curves if curve.side == side):
            index = sizes.index(curve.size)
            errorbar(plot, curve.neighbours.temperature, curve.neighbours.distance, index, f"$L={curve.size}$", "-")
        plot.set(xlabel=xlabel, title=side)
    axes[0].set_ylabel(ylabel)
    axes[0].set_ylim(bottom=0)
    legend_right(figure, axes[0])
    return figure


@styled
def thermal_scan(
    panels: Mapping[str, tuple[Scan, Scan]],
    order_names: Sequence[str],
    latent_names: Sequence[str],
    xlabel: str = "temperature $T$",
) -> Figure:
    """Mean |order parameters| (filled) with mean |latents| (open, right-hand scale) against temperature.

    Args:
        panels: by title, a scan of the order parameters and one of the latents.
        order_names: names for people.
        latent_names: the same of the latents.
        xlabel: temperature, or what was scanned in its place.

    Raises:
        ValueError: no panels.
    """
    require_some(panels, "panels")
    figure = Figure(figsize=(1.7 + 2.9 * len(panels), 2.9))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    twins = [plot.twinx() for plot in axes]
    highest, top = (max(e.value for scans in panels.values() for row in scans[k].mean_TF for e in row) for k in (1, 0))
    for plot, twin, (title, (orders, latents)) in zip(axes, twins, panels.items(), strict=True):
        _curves(plot, orders, 0, [f"|{name}|" for name in order_names], "-", True)
        _curves(twin, latents, len(order_names), [f"|{name}|" for name in latent_names], DASHES[1], False)
        plot.set(xlabel=xlabel, title=title, ylim=(0, 1.05 * max(1.0, top)))
        twin.set_ylim(0, 1.05 * highest if highest > 0 else 1.0)
        twin.spines["right"].set_visible(True)
        twin.tick_params(labelright=twin is twins[-1])
    axes[0].set_ylabel("|order parameter|")
    twins[-1].set_ylabel("|latent|")
    handles = [handle for plot in (axes[0], twins[0]) for handle in plot.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside right center")
    return figure


@styled
def readings(panels: Mapping[str, tuple[Scan | None, Sequence[Scan]]], ylabel: str, xlabel: str) -> Figure:
    """What several models give (open) of what was measured otherwise (a line), a panel for each curve.

    Args:
        panels: by title, a scan of one column as measured, or None, and one of each model.
        ylabel: what it is.
        xlabel: what was scanned.

    Raises:
        ValueError: no panels.
    """
    require_some(panels, "panels")
    figure = Figure(figsize=(1.7 + 2.4 * len(panels), 2.9))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for plot, (title, (direct, models)) in zip(axes, panels.items(), strict=True):
        if direct is not None:
            _curves(plot, direct, 0, ["measured"], "-", True)
        for k, scan in enumerate(models):
            _curves(plot, scan, 1, ["latent squared" if k == 0 else "_"], "none", False)
        plot.set(xlabel=xlabel, title=title)
        plot.set_ylim(bottom=0)
    axes[0].set_ylabel(ylabel)
    legend_right(figure, axes[0])
    return figure


def _curves(plot: Axes, scan: Scan, first: int, names: Sequence[str], dash: object, is_filled: bool) -> None:
    for column, name in enumerate(names):
        estimates = [row[column] for row in scan.mean_TF]
        container = errorbar(plot, scan.temperature, estimates, first + column, name, dash)
        if not is_filled:
            container.set_markerfacecolor("none")


def errorbar(
    plot: Axes, x: Sequence[float], estimates: Sequence[Estimate], index: int, label: str, linestyle: object
) -> Line2D:
    """Points with error bars, without the bars where the error is unknown."""
    colour, marker = series(index)
    container = plot.errorbar(
        x, [e.value for e in estimates], yerr=np.nan_to_num([e.error for e in estimates]),
        color=colour, marker=marker, linestyle=linestyle, linewidth=1.2, elinewidth=0.9, capsize=2, label=label,
    )  # fmt: skip
    return container.lines[0]


def series(index: int) -> tuple[str, str]:
    """Colour and marker; from the seventh on, colours come with other markers."""
    return SERIES[index % len(SERIES)], MARKERS[(index + index // len(SERIES)) % len(MARKERS)]


def vertical(plot: Axes, x: float, text: str) -> None:
    """A dotted line with its name above the axes."""
    plot.axvline(x, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    plot.annotate(
        text, (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
        ha="center", fontsize=8,
    )  # fmt: skip


def legend_right(figure: Figure, plot: Axes) -> None:
    """The legend of one of the axes, outside all of them."""
    handles, labels = plot.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")


def require_some(items: Sequence[object] | Mapping[str, object], what: str) -> None:
    if len(items) == 0:
        raise ValueError(f"need {what} to draw, got none")
