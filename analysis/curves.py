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
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from analysis.errors import Array, Estimate
from analysis.mmd import Neighbours
from analysis.scans import Record, Scan
from analysis.style import DASHES, INK, MARKERS, SERIES, styled

BETA_LINES = (0.2, 0.6, 0.9, 1.0)
"""beta / lambda: the rule, where alignment becomes too slow, where a run is refused, collapse."""


class LearningCurve(NamedTuple):
    """One training run."""

    label: str
    epoch_E: Array
    reconstruction_E: Array
    """-log-likelihood, summed over sites, mean over samples."""
    divergence_EZ: Array
    """KL per unit in nats, mean over samples."""


class CollapsePoint(NamedTuple):
    """One trained model of a sweep over beta."""

    ratio: float
    """beta / lambda, lambda the largest eigenvalue of the data's covariance."""
    divergence: tuple[Estimate, ...]
    """KL per unit."""
    own: tuple[Estimate, ...]
    """|correlation| of each matched pair."""


class NeighbourCurve(NamedTuple):
    """Distances of neighbouring temperatures at one size."""

    size: int
    side: str
    """Panel that it belongs to, e.g. ``J > 0``."""
    neighbours: Neighbours


@styled
def learning_curves(curves: Sequence[LearningCurve], kick_epochs: Sequence[int] = ()) -> Figure:
    """Reconstruction, and KL of each unit, against epoch; dotted lines mark rotations onto the axes.

    Raises:
        ValueError: no curves.
    """
    _require_some(curves, "learning curves")
    figure = Figure(figsize=(7.0, 2.8))
    left, right = figure.subplots(1, 2)
    for index, curve in enumerate(curves):
        colour, marker = _series(index)
        style = {"color": colour, "marker": marker, "markevery": max(1, len(curve.epoch_E) // 8)}
        left.plot(curve.epoch_E, curve.reconstruction_E, label=curve.label, **style)
        for unit, divergence_E in enumerate(curve.divergence_EZ.T):
            right.plot(curve.epoch_E, divergence_E, linestyle=DASHES[unit % len(DASHES)], **style)
    left.set(xlabel="epoch", ylabel="$-$log-likelihood / nats")
    right.set(xlabel="epoch", ylabel="KL per unit / nats")
    right.set_ylim(bottom=0)
    for plot in (left, right):
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
        for kick in kick_epochs:
            _vertical(plot, kick, "kick")
    handles, _ = left.get_legend_handles_labels()
    for unit in range(curves[0].divergence_EZ.shape[1]):
        dash = DASHES[unit % len(DASHES)]
        handles.append(Line2D([], [], color=INK, linestyle=dash, label=f"KL of $z_{{{unit + 1}}}$"))
    figure.legend(handles=handles, loc="outside right center")
    return figure


@styled
def collapse(points: Sequence[CollapsePoint], order_names: Sequence[str]) -> Figure:
    """KL per unit, and |correlation| with the order parameters, against beta / lambda.

    Args:
        points: any number of seeds per ratio.
        order_names: names for people of the matched order parameters, in the order of ``CollapsePoint.own``.

    Raises:
        ValueError: no points, or numbers of correlations and names that differ.
    """
    _require_some(points, "points")
    if any(len(point.own) != len(order_names) for point in points):
        raise ValueError(f"need {len(order_names)} correlations per point, got {[len(p.own) for p in points]}")
    figure = Figure(figsize=(6.2, 4.4))
    upper, lower = figure.subplots(2, 1, sharex=True)
    by_ratio = sorted(points, key=lambda point: point.ratio)
    ratios = [point.ratio for point in by_ratio]
    num_units = len(by_ratio[0].divergence)
    for unit in range(num_units):
        errorbar(upper, ratios, [p.divergence[unit] for p in by_ratio], unit, f"$z_{{{unit + 1}}}$", "none")
    for pair, name in enumerate(order_names):
        errorbar(lower, ratios, [p.own[pair] for p in by_ratio], pair + num_units, name, "none")
    for plot in (upper, lower):
        plot.set_xscale("log")
        plot.set_ylim(bottom=0)
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        for line in BETA_LINES:
            plot.axvline(line, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    for line in BETA_LINES:
        upper.annotate(
            f"{line:g}", (line, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center" if line < 0.8 else "right" if line < 1 else "left", fontsize=8,
        )  # fmt: skip
    upper.set(ylabel="KL per unit / nats")
    lower.set(xlabel=r"$\beta\,/\,\lambda$", ylabel="|correlation|")
    lower.set_ylim(0, 1.05)
    return figure


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
        _require_some(chosen, f"records of {quantity}")
        for index, seed in enumerate(seeds):
            of_seed = sorted((r for r in chosen if r.seed == seed), key=lambda record: record.size)
            # Seeds side by side: at one size their error bars would cover each other.
            shift = 2 ** (0.12 * (index - (len(seeds) - 1) / 2))
            places = [record.size * shift for record in of_seed]
            errorbar(plot, places, [r.estimate for r in of_seed], index, f"seed {seed}", "none")
        for bound in bounds.get(quantity, ()):
            plot.axhline(bound, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        plot.set_ylabel(label)
        _size_axis(plot, sizes)
    for plot in axes.flat[len(labels) :]:
        plot.set_axis_off()
    _legend_right(figure, axes.flat[0])
    return figure


def _size_axis(plot: Axes, sizes: Sequence[int]) -> None:
    plot.set_xscale("log", base=2)
    plot.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    plot.set_xticks(sizes, [str(size) for size in sizes])
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.set_xlabel("$L$")


@styled
def neighbour_distances(curves: Sequence[NeighbourCurve], ylabel: str = "MMD") -> Figure:
    """Distance between neighbouring temperatures against their midpoint: a panel per side, a curve per size.

    Raises:
        ValueError: no curves.
    """
    _require_some(curves, "curves")
    sides = list(dict.fromkeys(curve.side for curve in curves))
    sizes = sorted({curve.size for curve in curves})
    figure = Figure(figsize=(1.2 + 2.9 * len(sides), 2.8))
    axes = figure.subplots(1, len(sides), squeeze=False, sharey=True)[0]
    for plot, side in zip(axes, sides, strict=True):
        for curve in (curve for curve in curves if curve.side == side):
            index = sizes.index(curve.size)
            errorbar(plot, curve.neighbours.temperature, curve.neighbours.distance, index, f"$L={curve.size}$", "-")
        plot.set(xlabel="temperature $T$", title=side)
    axes[0].set_ylabel(ylabel)
    axes[0].set_ylim(bottom=0)
    _legend_right(figure, axes[0])
    return figure


@styled
def thermal_scan(
    panels: Mapping[str, tuple[Scan, Scan]], order_names: Sequence[str], latent_names: Sequence[str]
) -> Figure:
    """Mean |order parameters| (filled) with mean |latents| (open, right-hand scale) against temperature.

    Args:
        panels: by title, a scan of the order parameters and one of the latents.
        order_names: names for people.
        latent_names: the same of the latents.

    Raises:
        ValueError: no panels.
    """
    _require_some(panels, "panels")
    figure = Figure(figsize=(1.7 + 2.9 * len(panels), 2.9))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    twins = [plot.twinx() for plot in axes]
    highest = max(e.value for _, latents in panels.values() for row in latents.mean_TF for e in row)
    for plot, twin, (title, (orders, latents)) in zip(axes, twins, panels.items(), strict=True):
        _curves(plot, orders, 0, [f"|{name}|" for name in order_names], "-", True)
        _curves(twin, latents, len(order_names), [f"|{name}|" for name in latent_names], DASHES[1], False)
        plot.set(xlabel="temperature $T$", title=title, ylim=(0, 1.05))
        twin.set_ylim(0, 1.05 * highest if highest > 0 else 1.0)
        twin.spines["right"].set_visible(True)
        twin.tick_params(labelright=twin is twins[-1])
    axes[0].set_ylabel("|order parameter|")
    twins[-1].set_ylabel("|latent|")
    handles = [handle for plot in (axes[0], twins[0]) for handle in plot.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside right center")
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
    colour, marker = _series(index)
    container = plot.errorbar(
        x, [e.value for e in estimates], yerr=np.nan_to_num([e.error for e in estimates]),
        color=colour, marker=marker, linestyle=linestyle, linewidth=1.2, elinewidth=0.9, capsize=2, label=label,
    )  # fmt: skip
    return container.lines[0]


def _series(index: int) -> tuple[str, str]:
    """Colour and marker; from the seventh on, colours come with other markers."""
    return SERIES[index % len(SERIES)], MARKERS[(index + index // len(SERIES)) % len(MARKERS)]


def _vertical(plot: Axes, x: float, text: str) -> None:
    """A dotted line with its name above the axes."""
    plot.axvline(x, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    plot.annotate(
        text, (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
        ha="center", fontsize=8,
    )  # fmt: skip


def _legend_right(figure: Figure, plot: Axes) -> None:
    """The legend of one of the axes, outside all of them."""
    handles, labels = plot.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")


def _require_some(items: Sequence[object] | Mapping[str, object], what: str) -> None:
    if len(items) == 0:
        raise ValueError(f"need {what} to draw, got none")
