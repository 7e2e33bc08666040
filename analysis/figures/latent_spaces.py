"""Pictures of latent spaces of more than two dimensions: planar projections, and cosines between samples.

Draws what it is given and computes nothing anew.
Axes: S samples, Z latents, M samples of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.errors import Array, Estimate
from analysis.figures.latent_plane import LatentPanel, legend_columns, phase_handles, scatter_phases
from analysis.figures.style import DIVERGING, INK, styled
from analysis.figures.tiles import colour_bar
from analysis.latent_space.similarity import CosineMatrix

MOST_LATENTS = 4
"""Beyond, there are more than six planes."""


class SimilarityPanel(NamedTuple):
    """Cosines of one trained model."""

    title: str
    matrix: CosineMatrix
    divergence: Estimate
    """KL of all units, in nats: without it, blocks cannot be told from those of a collapsed network."""


@styled
def latent_projections(
    panels: Sequence[LatentPanel], phase_names: Sequence[str], has_disorder: bool = True, units: Sequence[int] = ()
) -> Figure:
    """A row per model: every plane of two latents, by phase.

    Args:
        panels: models with the same number of latents.
        phase_names: names for people, in the order of ``Phases.names``.
        has_disorder: the last phase is the one without order.
        units: latents to draw, 2 to 4 of them; all by default.

    Raises:
        ValueError: no panels, different numbers of latents, or other than 2 to 4 to draw.
    """
    sizes = {panel.mean_SZ.shape[1] for panel in panels}
    drawn = list(units) or list(range(max(sizes, default=0)))
    if len(sizes) != 1 or not 2 <= len(drawn) <= MOST_LATENTS:
        raise ValueError(
            f"need panels with one number of latents, 2 to {MOST_LATENTS} of them to draw, got {sorted(sizes)}, {drawn}"
        )
    planes = list(combinations(drawn, 2))
    width = 0.6 + 2.0 * max(len(planes), 2)
    figure = Figure(figsize=(width, 0.9 + 2.1 * len(panels)))
    axes = figure.subplots(len(panels), len(planes), squeeze=False, sharex=True, sharey=True)
    # One scale for all, since that of the prior is 1: a collapsed network must look like one.
    reach = 1.08 * max(float(np.abs(panel.mean_SZ[:, drawn]).max()) for panel in panels)
    axes[0, 0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    for row, panel in zip(axes, panels, strict=True):
        for plot, (first, second) in zip(row, planes, strict=True):
            scatter_phases(plot, panel.mean_SZ[:, [first, second]], panel.label_S, len(phase_names), has_disorder)
            plot.set(xlabel=f"$z_{{{first + 1}}}$", ylabel=f"$z_{{{second + 1}}}$")
            plot.set_box_aspect(1)
        row[0].set_title(panel.title)
    present = sorted({int(phase) for panel in panels for phase in np.unique(panel.label_S)})
    handles = phase_handles(present, phase_names, has_disorder)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, width))
    return figure


@styled
def cosine_matrices(panels: Sequence[SimilarityPanel], class_names: Sequence[str]) -> Figure:
    """Cosines between samples sorted by class (Figs. 5 (d), 6 (c)), with lines between classes.

    Args:
        panels: usually one per beta, the one without information among them.
        class_names: names for people, in the order of ``Phases.names``.

    Raises:
        ValueError: no panels.
    """
    if not panels:
        raise ValueError("need cosine matrices to draw, got none")
    figure = Figure(figsize=(1.3 + 2.7 * len(panels), 3.1))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    scale = Normalize(-1, 1)
    for plot, panel in zip(axes, panels, strict=True):
        edges, middles, labels = _blocks(panel.matrix.label_M)
        plot.imshow(panel.matrix.cosine_MM, cmap=DIVERGING, norm=scale, interpolation="none")
        for edge in edges:
            plot.axhline(edge, color=INK, linewidth=0.6)
            plot.axvline(edge, color=INK, linewidth=0.6)
        names = [class_names[label] for label in labels]
        plot.set_xticks(middles, names, rotation=0 if max(map(len, names)) < 5 else 45)
        plot.set_yticks(middles, names if plot is axes[0] else [])
        plot.tick_params(length=0)
        plot.set_title(f"{panel.title}\nKL {panel.divergence} nat")
    colour_bar(figure, axes, ScalarMappable(scale, DIVERGING), "cosine")
    return figure


def _blocks(label_M: NDArray[np.intp]) -> tuple[Array, Array, list[int]]:
    """Inner edges between classes, middles of the classes, and their labels, in pixels of the matrix."""
    starts = np.flatnonzero(np.diff(label_M, prepend=label_M[0] - 1))
    ends = np.append(starts[1:], len(label_M))
    edges, middles = starts[1:].astype(float) - 0.5, (starts + ends).astype(float) / 2 - 0.5
    return edges, middles, [int(label) for label in label_M[starts]]
