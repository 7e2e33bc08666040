"""Every analysis of a trained model, found below ``parts``: those of the checkout and those of users."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

from workflow.analyze import parts
from workflow.analyze.part import Part

ORDER = (
    "information",
    "reconstruction",
    "sign",
    "correlation",
    "separation",
    "isometry",
    "generated",
    "canonical",
    "measured",
    "squares",
    "aligned",
    "geometry",
    "similarity",
    "probe",
    "energies",
    "local_temperatures",
    "readings",
)
"""In which numbers stand in ``summary.json``; parts that are not named here follow, by name."""


class IncompletePart(Exception):
    """A module below ``parts`` that does not offer a part; the message says what is missing."""


def all_parts(first: Sequence[str] = ORDER) -> tuple[Part[Any], ...]:
    """Every part.

    Args:
        first: names of those that come first, in this order; the others follow, by name.

    Raises:
        IncompletePart: a module offers none.
    """
    names = {module.name for module in pkgutil.iter_modules(parts.__path__) if not module.name.startswith("_")}
    place = {name: number for number, name in enumerate(first)}
    return tuple(_load(name) for name in sorted(names, key=lambda name: (place.get(name, len(first)), name)))


def _load(name: str) -> Part[Any]:
    module = importlib.import_module(f"{parts.__name__}.{name}")
    part = getattr(module, "PART", None)
    if not isinstance(part, Part) or part.name != name:
        raise IncompletePart(
            f'{module.__file__}: an analysis ends with PART = Part(name="{name}", ...), got {part!r:.80}'
        )
    return part
