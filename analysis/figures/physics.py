"""Energies and specific heats of generated configurations against temperature, and what is traded for what over beta.

Draws what it is given and computes nothing anew.
Axes: T temperatures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.errors import Array, Estimate
from analysis.figures.curves import errorbar
from analysis.figures.style import INK, styled


class ThermalCurve(NamedTuple):
    """What one decoder generates at each temperature."""

    label: str
    temperature: tuple[float, ...]
    energy: tuple[Estimate, ...]
    """Per site."""
    heat: tuple[Estimate, ...]
    """Specific heat per site."""


class ExactCurve(NamedTuple):
    """The same, exact, on a grid of temperatures."""

    temperature_T: Array
    energy_T: Array
    heat_T: Array


class BetaSeries(NamedTuple):
    """One quantity of models that differ in beta; several seeds may share a beta."""

    label: str
    ratio: tuple[float, ...]
    """beta, or beta / lambda."""
    value: tuple[Estimate, ...]


@styled
def energy_and_heat(curves: Sequence[ThermalCurve], exact: ExactCurve | None = None) -> Figure:
    """Energy and specific heat against temperature, a series per decoder, exact values as lines.

    Raises:
        ValueError: no curves, or one whose lengths differ.
    """
    if not curves or any(not len(c.temperature) == len(c.energy) == len(c.heat) for c in curves):
        raise ValueError(
            "need curves with one energy and heat per temperature, got "
            f"{[(c.label, len(c.temperature), len(c.energy), len(c.heat)) for c in curves]}"
        )
    figure = Figure(figsize=(7.0, 2.9))
    left, right = figure.subplots(1, 2, sharex=True)
    if exact is not None:
        for plot, values_T in ((left, exact.energy_T), (right, exact.heat_T)):
            plot.plot(exact.temperature_T, values_T, color=INK, linewidth=1.0, label="exact", zorder=0)
    for index, curve in enumerate(curves):
        errorbar(left, curve.temperature, curve.energy, index, curve.label, "none")
        errorbar(right, curve.temperature, curve.heat, index, curve.label, "none")
    left.set(xlabel="temperature $T$", ylabel="energy per site")
    right.set(xlabel="temperature $T$", ylabel="specific heat per site")
    _widen_if_steep(right, [e.value for curve in curves for e in curve.heat])
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure


@styled
def against_beta(
    panels: Mapping[str, Sequence[BetaSeries]],
    xlabel: str = r"$\beta\,/\,\lambda$",
    bounds: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """One panel per quantity, above each other, against beta on a logarithmic axis.

    Args:
        panels: the series of each panel, by the label of its axis.
        xlabel: which beta it is.
        bounds: thresholds to draw as dotted lines, by panel.

    Raises:
        ValueError: no panels, a panel without series, or lengths that differ.
    """
    if not panels or any(not series for series in panels.values()):
        raise ValueError(f"need panels with series to draw, got {dict.fromkeys(panels, 'no series')}")
    if any(len(s.ratio) != len(s.value) for series in panels.values() for s in series):
        lengths = [(s.label, len(s.ratio), len(s.value)) for series in panels.values() for s in series]
        raise ValueError(f"need one value per beta, got {lengths}")
    figure = Figure(figsize=(6.2, 0.6 + 1.9 * len(panels)))
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    index = 0
    for plot, (label, series) in zip(axes, panels.items(), strict=True):
        for curve in series:
            order = np.argsort(curve.ratio, kind="stable")
            errorbar(plot, [curve.ratio[i] for i in order], [curve.value[i] for i in order], index, curve.label, "none")
            index += 1
        for bound in (bounds or {}).get(label, ()):
            plot.axhline(bound, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        plot.set_ylabel(label)
        plot.set_xscale("log")
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes[-1].set_xlabel(xlabel)
    return figure


STEEP = 20.0
"""Largest over smallest specific heat from which a linear axis would hide the small ones."""


def _widen_if_steep(plot: Axes, values: Sequence[float]) -> None:
    positive = [value for value in values if value > 0]
    if len(positive) == len(values) and max(positive) > STEEP * min(positive):
        plot.set_yscale("log")
