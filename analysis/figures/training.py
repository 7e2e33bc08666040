"""What happened in training, against epoch: loss, divergence, and the free energy of latent space.

Draws what it is given and computes nothing anew.
Axes: E epochs, Z latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.errors import Array
from analysis.figures.curves import require_some, series, vertical
from analysis.figures.style import DASHES, INK, styled


class LearningCurve(NamedTuple):
    """One training run."""

    label: str
    epoch_E: Array
    reconstruction_E: Array
    """-log-likelihood, summed over sites, mean over samples."""
    divergence_EZ: Array
    """KL per unit in nats, mean over samples."""


class FreeEnergyCurve(NamedTuple):
    """One training run, by the two parts of its objective (arXiv:2110.08082, Eq. 12), in nats."""

    label: str
    epoch_E: Array
    free_energy_E: Array
    """-beta <ln Z_x>: the decoder's alone."""
    gap_E: Array
    """beta <KL[q || q*]>: what the encoder adds to it."""


@styled
def learning_curves(curves: Sequence[LearningCurve], kick_epochs: Sequence[int] = ()) -> Figure:
    """Reconstruction, and KL of each unit, against epoch; dotted lines mark rotations onto the axes.

    Raises:
        ValueError: no curves.
    """
    require_some(curves, "learning curves")
    figure = Figure(figsize=(7.0, 2.8))
    left, right = figure.subplots(1, 2)
    num_units = curves[0].divergence_EZ.shape[1]
    dashes = DASHES if num_units <= len(DASHES) else DASHES[:1]
    for index, curve in enumerate(curves):
        colour, marker = series(index)
        style = {"color": colour, "marker": marker, "markevery": max(1, len(curve.epoch_E) // 8)}
        left.plot(curve.epoch_E, curve.reconstruction_E, label=curve.label, **style)
        for unit, divergence_E in enumerate(curve.divergence_EZ.T):
            right.plot(curve.epoch_E, divergence_E, linestyle=dashes[unit % len(dashes)], **style)
    left.set(xlabel="epoch", ylabel="$-$log-likelihood / nats")
    right.set(xlabel="epoch", ylabel="KL per unit / nats")
    right.set_ylim(bottom=0)
    _mark_epochs((left, right), kick_epochs)
    handles, _ = left.get_legend_handles_labels()
    if num_units <= len(DASHES):
        for unit in range(num_units):
            handles.append(Line2D([], [], color=INK, linestyle=DASHES[unit], label=f"KL of $z_{{{unit + 1}}}$"))
    figure.legend(handles=handles, loc="outside right center")
    return figure


@styled
def free_energies(curves: Sequence[FreeEnergyCurve], kick_epochs: Sequence[int] = ()) -> Figure:
    """Free energy and encoder gap against epoch, and how far each is from its final value.

    The last epoch is the final value, so the distances end one epoch earlier.

    Raises:
        ValueError: no curves.
    """
    require_some(curves, "free energies")
    figure = Figure(figsize=(8.6, 2.8))
    plots = figure.subplots(1, 3)
    for index, curve in enumerate(curves):
        colour, marker = series(index)
        style = {"color": colour, "marker": marker, "markevery": max(1, len(curve.epoch_E) // 8)}
        plots[0].plot(curve.epoch_E, curve.free_energy_E, label=curve.label, **style)
        plots[1].plot(curve.epoch_E, curve.gap_E, linestyle=DASHES[1], **style)
        for values_E, dash in ((curve.free_energy_E, "-"), (curve.gap_E, DASHES[1])):
            plots[2].plot(curve.epoch_E[:-1], np.abs(values_E - values_E[-1])[:-1], linestyle=dash, **style)
    labels = (r"free energy $-\beta\langle\ln Z_x\rangle$ / nats", "encoder gap / nats", "distance to the end / nats")
    for plot, label in zip(plots, labels, strict=True):
        plot.set(xlabel="epoch", ylabel=label)
    plots[1].set_ylim(bottom=0)
    if any(line.get_ydata().size and np.nanmax(line.get_ydata()) > 0 for line in plots[2].lines):
        plots[2].set_yscale("log")
    _mark_epochs(plots, kick_epochs)
    handles, _ = plots[0].get_legend_handles_labels()
    handles += [
        Line2D([], [], color=INK, linestyle="-", label="free energy"),
        Line2D([], [], color=INK, linestyle=DASHES[1], label="gap"),
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure


def _mark_epochs(plots: Sequence[Axes], kick_epochs: Sequence[int]) -> None:
    for plot in plots:
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
        for kick in kick_epochs:
            vertical(plot, kick, "kick")
