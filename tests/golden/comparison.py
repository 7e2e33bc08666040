"""Two portable lists of one study: where they differ by more than processors do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.golden.portable import CHAOTIC_ALGORITHM, Portable

MEASURED = 1e-8
"""Of a column's largest number: half a unit of the last of nine digits. Rounding of 1e-16 grows to some 1e-14 in the
list's chains of real numbers, and to 1e-10 in Green's functions, which are computed anew every few slices."""
STORED = 1e-6
"""Of the largest number of configurations, which are stored in single precision, with a last bit of 6e-8."""
NOTHING = 1e-12
"""Error of what is a constant, but for rounding."""
SHARE = 0.05
"""Of a number's own error, which changes no judgement: of the two digits of an error that are printed at most the last.
Rounding alone comes to 0.015 after 48 steps, and to less than 0.001 in most models."""
ANGLE = 0.05
"""Degrees: the rotation with the largest correlations is looked for on a grid of this width, and where many are equally
good, rounding decides which one: it may be off by its whole error, too (analysis/latent_space/correlation.py)."""
WITHOUT_ERROR = 1e-4
"""Of a number without an error, or absolute if it is below one: a thousand roundings of single precision."""
EIGENVALUE = 1e-5
"""Relative accuracy of the largest eigenvalue, of which beta is a multiple."""
STEP = 10 * 2.0**-23
"""Relative change of the loss by a step of training: a unit of single precision's last place, ten times as large by
what later steps make of it. 1.5 units a step have been the most, of 48 steps."""
FIRST_EPOCH = 1e-3
"""Relative change of the loss of a chaotic training, before rounding has grown."""
PATH, RATE = 0.01, 3e-3
"""Root mean squares of weights may differ by this share of Adam's longest way, with steps of this length."""


class Difference(NamedTuple):
    """What is not as listed."""

    place: str
    listed: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.place}: {self.listed} in the list, {self.now} now"


def compare(listed: Portable, now: Portable, same_machine: bool = False) -> list[Difference]:
    """Differences of one study.

    Args:
        listed, now: of ``portable``.
        same_machine: processor and releases are those of the list, so that files must be the same, too.
    """
    differences: list[Difference] = []
    for part, check in (("shards", _shard), ("models", _model)):
        differences += _same(part, list(listed[part]), list(now[part]))
        for name in listed[part].keys() & now[part].keys():
            place, entry = f"{part} {name}", now[part][name]
            if same_machine:
                differences += _same(f"{place} file", listed[part][name]["file"], entry["file"])
            differences += check(place, listed[part][name], entry)
    return differences + list(_estimates("data", listed["data"], now["data"]))


def _shard(place: str, listed: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    for part in ("exact", "sweeps"):
        yield from _same(f"{place} {part}", listed[part], now[part])
    yield from _same(f"{place} columns", list(listed["rounded"]), list(now["rounded"]))
    yield from _same(f"{place} certificate", list(listed["certificate"]), list(now["certificate"]))
    if listed["sweeps"][0] == CHAOTIC_ALGORITHM:
        return
    for name, moments in listed["rounded"].items():
        share = STORED if name.startswith("configuration") else MEASURED
        yield from _close(f"{place} {name}", moments, now["rounded"].get(name, ()), share * moments[1])
    for name, (error, tau) in listed["certificate"].items():
        of_now = now["certificate"].get(name, (None, None))
        yield from _close(f"{place} error of {name}", (error,), of_now[:1], MEASURED * error + NOTHING)
        if error > NOTHING:
            yield from _close(f"{place} tau of {name}", (tau,), of_now[1:], MEASURED * tau)


def _model(place: str, listed: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    for part in ("steps", "chaotic"):
        yield from _same(f"{place} {part}", listed[part], now[part])
    steps, is_chaotic = listed["steps"], listed["chaotic"]
    yield from _close(f"{place} beta", (listed["beta"],), (now["beta"],), EIGENVALUE * listed["beta"])
    for part in ("first_loss",) if is_chaotic else ("first_loss", "last_loss"):
        allowed = (FIRST_EPOCH if is_chaotic else steps * STEP) * abs(listed[part])
        yield from _close(f"{place} {part}", (listed[part],), (now.get(part),), allowed)
    if is_chaotic:
        return
    sizes, of_now = listed["size_of_weights"], now["size_of_weights"]
    yield from _same(f"{place} tensors", list(sizes), list(of_now))
    yield from _close(f"{place} weights", list(sizes.values()), list(of_now.values()), PATH * RATE * steps)
    yield from _estimates(place, listed["numbers"], now["numbers"])


def _estimates(place: str, listed: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    yield from _same(f"{place} numbers", list(listed), list(now))
    for name, (value, error) in listed.items():
        allowed = SHARE * error if error else WITHOUT_ERROR * max(1.0, abs(value or 0.0))
        if name == "rotation_angle":
            allowed = ANGLE + (error or 0.0)
        yield from _close(f"{place} {name}", (value, error), now.get(name, ()), allowed)


def _same(place: str, listed: Any, now: Any) -> Iterator[Difference]:
    if listed != now:
        yield Difference(place, listed, now)


def _close(place: str, listed: Sequence[Any], now: Sequence[Any], allowed: float) -> Iterator[Difference]:
    """Numbers, or None in both."""
    pairs = zip(listed, now, strict=False)
    apart = any((a is None) != (b is None) or (a is not None and not abs(a - b) <= allowed) for a, b in pairs)
    if len(listed) != len(now) or apart:
        yield Difference(f"{place} (within {allowed:.1e})", list(listed), list(now))
