"""Parameter grids of a study: a value, a list or a range per field, and their product over a system's fields."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from math import prod
from typing import Any, NamedTuple, get_type_hints, overload

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from simulators.contract import SpecError, System
from workflow.dataset.points import Point, Scalar


class Problem(NamedTuple):
    """One thing wrong with a study, at its dotted place."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True)
class Grid(Sequence[Point]):
    """The product of the values of a system's fields; the last field varies fastest.

    A grid makes its points one at a time, so that a million of them take no memory.
    """

    axes: dict[str, tuple[Scalar, ...]]
    """Values of each field as the study has them, none twice, in the spec's order. Without fields there is no point."""
    rounded: tuple[Point, ...] | None = None
    """The points themselves, each once, where the system's specs have rounded values: these are no product."""

    def __len__(self) -> int:
        if self.rounded is not None:
            return len(self.rounded)
        return prod(map(len, self.axes.values())) if self.axes else 0

    def __iter__(self) -> Iterator[Point]:
        if self.rounded is not None:
            yield from self.rounded
            return
        for values in itertools.product(*self.axes.values()) if self.axes else ():
            yield Point(tuple(zip(self.axes, values, strict=True)))

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Point, ...]: ...
    def __getitem__(self, index: int | slice) -> Point | tuple[Point, ...]:
        if self.rounded is not None:
            return self.rounded[index]
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        rest = range(len(self))[index]
        values: list[Scalar] = []
        for axis in reversed(self.axes.values()):
            rest, number = divmod(rest, len(axis))
            values.insert(0, axis[number])
        return Point(tuple(zip(self.axes, values, strict=True)))

    def shared(self, other: Grid) -> Grid:
        """The points that both grids have, in the order of this one."""
        if self.axes.keys() != other.axes.keys():
            return Grid({})
        if self.rounded is not None or other.rounded is not None:
            other_points = set(other)
            return Grid(self.axes, tuple(point for point in self if point in other_points))
        others = {name: set(axis) for name, axis in other.axes.items()}
        return Grid({name: tuple(x for x in axis if x in others[name]) for name, axis in self.axes.items()})


def spec_fields(system: System) -> dict[str, type]:
    """Names and types of the fields of ``system``'s spec, in order."""
    hints = get_type_hints(system.spec)
    return {field.name: hints[field.name] for field in fields(system.spec)}


def expand(raw: Any, kind: type) -> tuple[Scalar, ...]:
    """The values that one field of a ``[[simulate]]`` block names: ``2.0``, ``[1.0, 2.0]`` or ``{start, stop, count}``.

    Raises:
        ValueError: empty, of the wrong type, repeated, or a range that is not start, stop and count.
    """
    values = _range(raw) if isinstance(raw, dict) else list(raw) if isinstance(raw, list) else [raw]
    if not values:
        raise ValueError("must name at least one value, got an empty list")
    checker: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(strict=True))
    checked: list[Scalar] = []
    for value in values:
        if kind is int and isinstance(value, float) and isinstance(raw, dict) and value.is_integer():
            value = int(value)
        try:
            checked.append(checker.validate_python(value))
        except ValidationError as error:
            raise ValueError(f"{error.errors()[0]['msg'].lower()}, got {value!r}") from None
    repeated = sorted({str(value) for value, count in Counter(checked).items() if count > 1})
    if repeated:
        raise ValueError(f"must not repeat a value, got {', '.join(repeated)} more than once")
    return tuple(checked)


def _range(raw: dict[str, Any]) -> list[float]:
    if set(raw) != {"start", "stop", "count"}:
        raise ValueError(f"a range needs exactly start, stop and count, got {', '.join(map(str, raw)) or 'nothing'}")
    start, stop, count = raw["start"], raw["stop"], raw["count"]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in (start, stop)):
        raise ValueError(f"start and stop of a range must be numbers, got {start!r} and {stop!r}")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"count of a range must be a whole number from 1, got {count!r}")
    # Rounded so that 2.3 is the same point, and the same random stream, however it was written.
    return [round(float(x), 12) for x in np.linspace(start, stop, count)]


def points(system: System, raw: dict[str, Any], place: str) -> tuple[Grid, list[Problem]]:
    """All parameter points of a block, in the spec's field order (the last field varies fastest).

    Args:
        system: whose spec the block fills.
        raw: the block's entries for the spec's fields.
        place: where the block stands in the study, for messages.

    Returns:
        The points, and every problem; no points where there is a problem with a field.
    """
    problems: list[Problem] = []
    axes: dict[str, tuple[Scalar, ...]] = {}
    kinds = spec_fields(system)
    for field in fields(system.spec):
        name = field.name
        if name not in raw:
            if field.default is MISSING:
                problems.append(Problem(f"{place}.{name}", f"is missing; the system {system.name} needs it"))
            else:
                axes[name] = (field.default,)
            continue
        try:
            axes[name] = expand(raw[name], kinds[name])
        except ValueError as error:
            problems.append(Problem(f"{place}.{name}", str(error)))
    if problems:
        return Grid({}), problems
    faults: dict[Problem, None] = {}
    grid, rounded = Grid(axes), False
    for point in grid:
        try:
            # A spec may round a value of the study to the nearest possible one, which is what shards hold.
            rounded |= _stored(system, point) != point
        except SpecError as error:
            faults.update(dict.fromkeys(Problem(f"{place}.{name}", message) for name, message in error.problems))
    if rounded and not faults:
        grid = Grid(axes, tuple(dict.fromkeys(_stored(system, point) for point in grid)))
    return grid, list(faults)


def _stored(system: System, point: Point) -> Point:
    spec = system.spec(**dict(point.values))
    return Point(tuple((name, getattr(spec, name)) for name, _ in point.values))


def matches(value: Scalar, choice: Any) -> bool:
    """Whether ``value`` meets one entry of ``select``: it is equal, in the list, or in the range."""
    if isinstance(choice, dict):
        return not isinstance(value, str) and bool(choice["start"] <= value <= choice["stop"])
    return value in choice if isinstance(choice, list) else bool(value == choice)
