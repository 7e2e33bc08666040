"""What a group of the benchmark yields: figures with their spread, reference and gate, and what was left out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

FORMAT = 1
INFINITY = math.inf


class FigureGate(NamedTuple):
    """The range that a figure must lie in, ends included."""

    low: float = -INFINITY
    high: float = INFINITY

    def holds(self, value: float) -> bool:
        """Not a number is outside every range."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.high == INFINITY:
            return f">= {text_of(self.low)}"
        return f"<= {text_of(self.high)}" if self.low == -INFINITY else f"{text_of(self.low)} to {text_of(self.high)}"


class Spread(NamedTuple):
    """Smallest and largest of the repetitions."""

    low: float
    high: float


class Reference(NamedTuple):
    """What a figure is compared with: work done in the same run, or an exact value."""

    words: str
    rate: float | None = None
    """Its own absolute figure; None where there is none."""
    unit: str = ""

    def __str__(self) -> str:
        return self.words if self.rate is None else f"{self.words}: {text_of(self.rate)} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the benchmark."""

    group: str
    name: str
    value: float
    """The median over the repetitions."""
    spread: Spread
    unit: str
    repetitions: int
    reference: Reference | None
    gate: FigureGate | None = None
    """None: reported, never failed."""
    note: str = ""

    @classmethod
    def over(cls, values: Sequence[float] | np.ndarray, **rest: Any) -> Figure:
        """The figure of repeated measurements; ``rest`` are its other fields.

        Raises:
            ValueError: no values.
        """
        if len(values) == 0:
            raise ValueError("a figure needs at least one measurement, got none")
        array = np.asarray(values, dtype=np.float64)
        spread = Spread(float(array.min()), float(array.max()))
        return cls(value=float(np.median(array)), spread=spread, repetitions=len(array), **rest)

    @property
    def holds(self) -> bool:
        return self.gate is None or self.gate.holds(self.value)

    @property
    def title(self) -> str:
        """What the figure is called where it failed."""
        return f"{self.group}/{self.name}"


class SkippedFigure(NamedTuple):
    """A figure that could not be taken, which is no failure: why, and what would help."""

    group: str
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that one benchmark came to."""

    machine: dict[str, Any]
    quick: bool
    figures: tuple[Figure, ...]
    skipped: tuple[SkippedFigure, ...]
    failed: tuple[str, ...]
    """Titles of figures outside their gates, and groups that broke off."""

    def to_json(self) -> str:
        """JSON text; infinities and what is not a number become null."""
        figures = [asdict(figure) | {"holds": figure.holds} for figure in self.figures]
        for figure in figures:
            figure["spread"] = figure["spread"]._asdict()
            figure["reference"] = None if figure["reference"] is None else figure["reference"]._asdict()
            figure["gate"] = None if figure["gate"] is None else figure["gate"]._asdict()
        content = {
            "format": FORMAT,
            "machine": self.machine,
            "quick": self.quick,
            "figures": figures,
            "skipped": [skip._asdict() for skip in self.skipped],
            "failed": list(self.failed),
        }
        return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The inverse of ``to_json``.

        Raises:
            ValueError: the text has another format.
        """
        content = json.loads(text)
        if content.get("format") != FORMAT:
            raise ValueError(f"a benchmark of format {FORMAT} is needed, got {content.get('format')!r}")
        return cls(
            machine=content["machine"],
            quick=content["quick"],
            figures=tuple(_figure(entry) for entry in content["figures"]),
            skipped=tuple(SkippedFigure(**skip) for skip in content["skipped"]),
            failed=tuple(content["failed"]),
        )


def text_of(value: float) -> str:
    """A number with three digits, or whole with separators from 1,000 on."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(content: dict[str, Any]) -> Figure:
    fields = {key: value for key, value in content.items() if key != "holds"}
    value, spread, gate, reference = (fields.pop(key) for key in ("value", "spread", "gate", "reference"))
    return Figure(
        **fields,
        value=_number(value, math.nan),
        spread=Spread(_number(spread["low"], math.nan), _number(spread["high"], math.nan)),
        gate=None if gate is None else FigureGate(_number(gate["low"], -INFINITY), _number(gate["high"], INFINITY)),
        reference=None if reference is None else Reference(**reference),
    )


def _number(value: float | None, missing: float) -> float:
    return missing if value is None else value
