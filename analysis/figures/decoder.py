"""A decoder read along its latents: its mean field and its field against those of the data and of Weiss's theory.

Draws what it is given and computes nothing anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.errors import Estimate
from analysis.figures.curves import errorbar, require_some
from analysis.figures.style import INK, styled

MARGIN = 1.25
"""Fields beyond this multiple of the decoder's and of Weiss's are off the scale: those of bins without a flipped spin
grow without bound."""


class ReadingPanel(NamedTuple):
    """One latent and the order parameter that it stands for."""

    latent: str
    order: str
    place: tuple[float, ...]
    """Mean latent of each bin."""
    conditional: tuple[Estimate, ...]
    """E[o | z] of the data."""
    decoded: tuple[Estimate, ...]
    """The same of the decoder's mean fields."""
    field: tuple[Estimate, ...]
    """Of the decoder, as a logit."""
    conditional_field: tuple[Estimate, ...]
    weiss_field: tuple[Estimate, ...]


@styled
def readings(panels: Sequence[ReadingPanel]) -> Figure:
    """A column per latent: means above, fields below.

    Raises:
        ValueError: no panels.
    """
    require_some(panels, "readings")
    figure = Figure(figsize=(1.9 + 2.9 * len(panels), 4.6))
    axes = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row")
    for (upper, lower), panel in zip(axes.T, panels, strict=True):
        errorbar(upper, panel.place, panel.conditional, 0, r"E$[\,o\,|\,z\,]$, data", "none")
        errorbar(upper, panel.place, panel.decoded, 1, r"$m(z)$, decoder", "-").set_markerfacecolor("none")
        errorbar(lower, panel.place, panel.conditional_field, 0, "conditional, data", "none")
        errorbar(lower, panel.place, panel.field, 1, "$h(z)$, decoder", "-").set_markerfacecolor("none")
        errorbar(lower, panel.place, panel.weiss_field, 2, "Weiss", ":")
        for plot in (upper, lower):
            plot.axhline(0, color=INK, linewidth=0.5, zorder=0)
        upper.set(title=panel.order, ylim=(-1.08, 1.08))
        lower.set_xlabel(f"latent {panel.latent}")
    highest = max(abs(e.value) for panel in panels for e in (*panel.field, *panel.weiss_field))
    if highest > 0:
        axes[1, 0].set_ylim(-MARGIN * highest, MARGIN * highest)
    axes[0, 0].set_ylabel("order parameter")
    axes[1, 0].set_ylabel("field / $T$")
    for row in axes:
        _legend(row[-1])
    return figure


def _legend(plot: Axes) -> None:
    plot.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
