"""A parameter point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Scalar = int | float | str


@dataclass(frozen=True, slots=True)
class Point:
    """One parameter point: the fields of a system's ``Spec`` as plain values, in the spec's order."""

    values: tuple[tuple[str, Scalar], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.values)

    def __getitem__(self, name: str) -> Any:
        """The value of the field called ``name``."""
        return dict(self.values)[name]
