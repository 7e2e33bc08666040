"""Output for people: progress of long work, a live bar on a terminal and elsewhere a line every ten seconds; tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

EVERY = 10.0
"""Seconds between plain lines."""


def duration(seconds: float) -> str:
    """3.2 s, 4 min 10 s or 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def say(text: str) -> None:
    """Print a line to stderr: what commands print to stdout is their result."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Progress of one stage over ``total`` units of work; ``with Progress(...) as progress: progress.advance(1)``."""

    def __init__(self, stage: str, total: float, unit: str, quiet: bool = False, done: float = 0.0) -> None:
        self._stage, self._total, self._unit, self._quiet = stage, total, unit, quiet
        # What was done before is no work of this run and says nothing about its rate.
        self._before = self._done = done
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        self._start = self._last = time.monotonic()
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Live

            columns = (
                TextColumn("{task.description:>10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
                TimeRemainingColumn(),
            )
            self._bar = Live(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._stage, total=self._total, unit=self._unit, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._total:
            self._line(final=True)

    def advance(self, amount: float) -> None:
        """Note ``amount`` more units as done."""
        self.reach(self._done + amount)

    def reach(self, done: float) -> None:
        """Note that ``done`` units are done in all."""
        self._done = done
        now = time.monotonic()
        if self._bar is not None:
            rate = f"{self._rate():,.1f}/s"
            self._bar.update(self._task, completed=round(done), rate=rate)
        elif now - self._last >= EVERY:
            self._last = now
            self._line(final=False)

    def say(self, text: str) -> None:
        """Print a line without disturbing the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif not self._quiet:
            say(text)

    def _rate(self) -> float:
        return (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)

    def _line(self, final: bool) -> None:
        elapsed = time.monotonic() - self._start
        left = (self._total - self._done) / self._rate() if self._rate() else float("nan")
        tail = f"in {duration(elapsed)}" if final else f"{self._rate():,.1f}/s"
        if not final and self._rate():
            tail += f", {duration(left)} left"
        if not self._quiet:
            say(f"{self._stage:>10}  {self._done:,.0f}/{self._total:,.0f} {self._unit}  {tail}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned first column, right-aligned others."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def size(count: float) -> str:
    """Bytes with a binary prefix."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
