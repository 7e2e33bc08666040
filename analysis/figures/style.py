"""How figures look, and how they become SVG: one set of colours for print, light and dark pages."""

from __future__ import annotations

import functools
import hashlib
import io
import re
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, ParamSpec

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")

INK: Final = "#010203"
"""Colour of text, axes and reference lines. No other mark uses it, so ``to_svg`` can turn it into
``currentColor``, the text colour of the page; in a PNG it is all but black."""

NEUTRAL: Final = "#8c8c8c"
"""Grey with the same contrast to white and to black: the disordered phase."""

SERIES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe-Ito colours that show on white and on black, for curves."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
"""Marker of each curve: colour is never the only difference."""
DASHES: Final[tuple[Literal["-", "--", ":", "-."], ...]] = ("-", "--", ":", "-.")

DIVERGING: Final = LinearSegmentedColormap.from_list("blue-grey-amber", ["#1f4fa3", "#949494", "#f5a400"])
"""Order parameters from -1 to 1. Lightness rises throughout, so that a grey print is readable; the middle is
grey, so that 0 shows on white and on black; blue to yellow is safe for the colour-blind."""

PARAMETERS: Final[dict[Any, Any]] = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.facecolor": "none",
    "figure.facecolor": "none",
    "figure.dpi": 150.0,
    "savefig.dpi": 150.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "latentphase",
    "figure.constrained_layout.use": True,
}


class Mark(NamedTuple):
    """Colour and marker of a phase."""

    colour: str
    marker: str


_MARKS = (
    Mark("#D55E00", "^"),
    Mark("#E69F00", "v"),
    Mark("#0072B2", "s"),
    Mark("#56B4E9", "D"),
    Mark("#009E73", "P"),
    Mark("#CC79A7", "X"),
    Mark("#0072B2", "<"),
    Mark("#56B4E9", ">"),
    Mark("#D55E00", "p"),
    Mark("#E69F00", "h"),
    Mark("#CC79A7", "*"),
    Mark("#009E73", "d"),
)
"""Twelve that differ in the pair of colour and marker; consecutive ones are the shades of one hue."""


def phase_mark(phase: int, num_phases: int, has_disorder: bool = True) -> Mark:
    """Mark of a phase by its index in ``Phases.names``: a hue per pair of phases, such as the signs of one order.

    Beyond twelve ordered phases the marks repeat.

    Args:
        phase: the index.
        num_phases: number of names.
        has_disorder: the last phase is the one without order, which is grey.
    """
    if has_disorder and phase == num_phases - 1:
        return Mark(NEUTRAL, "o")
    return _MARKS[phase % len(_MARKS)]


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw with this module's parameters, leaving matplotlib's own as they were."""

    @functools.wraps(draw)
    def in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(PARAMETERS):
            figure = draw(*args, **kwargs)
            # Every pass of the layout starts from the last one and moves things a little: make one, and keep it.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            return figure

    return in_style


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element to embed in a page, or to save as a file.

    The background is transparent and text and axes take the page's text colour. The same figure gives the same
    bytes; identifiers carry a prefix made from the drawing, so that several figures can share a page.
    """
    buffer = io.StringIO()
    with mpl.rc_context(PARAMETERS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    prefix = f"f{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    # Matplotlib's rule for all elements would reach the whole page.
    text = text.replace('<style type="text/css">*{', f'<style type="text/css">#{prefix} *{{')
    text = text.replace(INK, "currentColor")
    # Mathematics names one font alone; without it a browser would take its serif default.
    text = text.replace("font-family: 'DejaVu Sans';", "font-family: 'DejaVu Sans', 'Verdana', sans-serif;")
    return text.replace("<svg ", f'<svg id="{prefix}" role="img" style="max-width: 100%; height: auto" ', 1).rstrip()
