"""Figures as aligned lines of text."""

from __future__ import annotations

import textwrap

from workflow.bench._figure import Figure, SkippedFigure, text_of

WIDTH = 120
INDENT = " " * 10
LINE = "{mark:5} {group:9} {name:35} {value:>17} {spread:>19} {n:>3}  {gate:12} {reference}"
HEADER = LINE.format(
    mark="", group="group", name="figure", value="median", spread="range", n="n", gate="gate", reference="reference"
)


def figure_line(figure: Figure) -> str:
    """One line, and the note below it."""
    mark = "" if figure.gate is None else "ok" if figure.holds else "FAIL"
    spread = f"{text_of(figure.spread.low)} .. {text_of(figure.spread.high)}" if figure.repetitions > 1 else ""
    line = LINE.format(
        mark=mark,
        group=figure.group,
        name=figure.name,
        value=f"{text_of(figure.value)} {figure.unit}".rstrip(),
        spread=spread,
        n=figure.repetitions,
        gate="" if figure.gate is None else str(figure.gate),
        reference="" if figure.reference is None else str(figure.reference),
    ).rstrip()
    return "\n".join([line, *textwrap.wrap(figure.note, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)])


def skipped_line(skip: SkippedFigure) -> str:
    return f"{'skip':5} {skip.group:9} {skip.name:35} {skip.reason}"
