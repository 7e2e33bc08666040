"""Many small pictures in one: generated fields side by side, and over the latent plane.

Axes: X and Y places of tiles, H rows, W columns, C colour channels (red, green, blue).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.errors import Array
from analysis.figures.style import INK

Extent = tuple[float, float, float, float]


def draw_tiles(plot: Axes, tile_YXHW: Array, extent: Extent, **image: Any) -> None:
    """Tiles with the gaps between them transparent, as one image; each tile framed in the text colour.

    Args:
        plot: where.
        tile_YXHW: numbers, or colours with a last axis C; the first row of tiles on top.
        extent: left, right, bottom and top in data coordinates.
        image: for numbers, colour map and scale as ``imshow`` takes them.
    """
    rows, columns, height, width = tile_YXHW.shape[:4]
    gap = max(1, height // 8)
    pitch_y, pitch_x = height + gap, width + gap
    is_colour = tile_YXHW.ndim == 5
    shape = (rows * pitch_y + gap, columns * pitch_x + gap)
    canvas = np.zeros((*shape, 4)) if is_colour else np.full(shape, np.nan)
    left, right, bottom, top = extent
    unit_x, unit_y = (right - left) / shape[1], (top - bottom) / shape[0]
    for row in range(rows):
        for column in range(columns):
            y, x = gap + row * pitch_y, gap + column * pitch_x
            if is_colour:
                canvas[y : y + height, x : x + width, 3] = 1.0
                canvas[y : y + height, x : x + width, :3] = tile_YXHW[row, column]
            else:
                canvas[y : y + height, x : x + width] = tile_YXHW[row, column]
            corner = (left + x * unit_x, top - (y + height) * unit_y)
            plot.add_patch(_frame(corner, width * unit_x, height * unit_y))
    plot.imshow(
        canvas if is_colour else np.ma.masked_invalid(canvas), interpolation="none",
        extent=extent, aspect="equal" if height == width and rows == columns else "auto", **image,
    )  # fmt: skip


def plane_extent(z1_X: Array, z2_Y: Array) -> Extent:
    """Extent of tiles centred on evenly spaced values."""
    half_x, half_y = (z1_X[1] - z1_X[0]) / 2, (z2_Y[1] - z2_Y[0]) / 2
    return z1_X[0] - half_x, z1_X[-1] + half_x, z2_Y[0] - half_y, z2_Y[-1] + half_y


def require_grid(shape: tuple[int, ...], ndim: int, z1_X: Array, z2_Y: Array) -> None:
    """Refuse fields that do not fit a grid over the latent plane.

    Raises:
        ValueError: another number of axes or tiles, or fewer than two values of a latent.
    """
    if len(shape) != ndim or shape[:2] != (len(z2_Y), len(z1_X)) or min(len(z1_X), len(z2_Y)) < 2:
        raise ValueError(
            f"need fields (z2, z1, rows, columns{', colours' if ndim == 5 else ''}) on a grid of at least two by two, "
            f"got {shape} on {len(z2_Y)} x {len(z1_X)}"
        )


def colour_bar(figure: Figure, axes: NDArray[np.object_], colours: ScalarMappable, label: str) -> None:
    """A colour bar beside the axes, as an image: hundreds of strips would show seams."""
    bar = figure.colorbar(colours, ax=axes, aspect=14, pad=0.02)
    bar.set_label(label)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    bar.ax.spines["outline"].set_linewidth(0.5)


def _frame(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    return Rectangle(corner, width, height, fill=False, edgecolor=INK, linewidth=0.5)
