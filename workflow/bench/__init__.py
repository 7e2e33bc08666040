"""``latentphase bench``: speed as ratios to work done in the same run, and physics with absolute gates.

A group of figures is one module of this package, and the module is its only registration: a module ``x`` that offers

    def measure(quick: bool) -> Iterator[Figure | SkippedFigure]

is the group ``x``; one that can be told on which device to measure takes ``device: str = "auto"`` as well and names
the choices in ``DEVICES``.  Modules whose name starts with an underscore are not groups.  ``measure`` yields each
figure when it has it; ``quick`` asks for fewer repetitions and smaller sizes.
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from workflow.bench._figure import Figure, Report, SkippedFigure
from workflow.bench._machine import facts, headline
from workflow.bench._table import HEADER, figure_line, skipped_line
from workflow.storage.whole_files import write_whole


class Group(Protocol):
    """A module of this package."""

    def measure(self, quick: bool, **told: str) -> Iterator[Figure | SkippedFigure]: ...


class Groups(Mapping[str, Group]):
    """Every group by name; a group's module, and with it what it measures, is imported when asked for."""

    def __getitem__(self, name: str) -> Group:
        if name not in set(self):
            raise KeyError(name)
        return cast(Group, importlib.import_module(f"{__name__}.{name}"))

    def __iter__(self) -> Iterator[str]:
        names = {module.name for module in pkgutil.iter_modules(__path__)}
        return iter(sorted(name for name in names if not name.startswith("_")))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        # The mapping's own way would import the module.
        return name in list(iter(self))


GROUPS = Groups()


def run_bench(
    groups: Sequence[str], quick: bool, output: Path | None, say: Callable[[str], None], device: str | None = None
) -> list[str]:
    """Measure ``groups``, a line for every figure as it comes.

    A group that raises is named as failed, with its traceback, and the others go on.

    Args:
        groups: names out of ``GROUPS``.
        quick: fewer repetitions and smaller sizes.
        output: where to write the same as JSON, after every group; None: nowhere.
        say: takes the text.
        device: what groups that can be told are to measure on; None: what they choose.

    Returns:
        What failed: figures outside their gates, and groups that broke off.

    Raises:
        ValueError: a name that is no group, or a device for a group that cannot be told.
    """
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        raise ValueError(f"groups must be among {', '.join(GROUPS)}, got {unknown[0]!r}")
    deaf = [name for name in groups if device is not None and not hasattr(GROUPS[name], "DEVICES")]
    if deaf:
        raise ValueError(f"device is not a setting of the group {deaf[0]}")
    told = {} if device is None else {"device": device}
    machine = facts()
    say(headline(machine))
    say(HEADER)
    figures: list[Figure] = []
    skipped: list[SkippedFigure] = []
    failed: list[str] = []
    for name in groups:
        try:
            for measurement in GROUPS[name].measure(quick, **told):
                if isinstance(measurement, SkippedFigure):
                    skipped.append(measurement)
                    say(skipped_line(measurement))
                else:
                    figures.append(measurement)
                    failed += [] if measurement.holds else [measurement.title]
                    say(figure_line(measurement))
        except Exception as error:
            failed.append(f"{name} ({type(error).__name__})")
            say(traceback.format_exc())
        if output is not None:
            report = Report(
                machine=machine, quick=quick, figures=tuple(figures), skipped=tuple(skipped), failed=tuple(failed)
            )
            write_whole(output, report.to_json())
    return failed
