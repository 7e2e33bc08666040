"""Where tasks run: in this process, or as Ray tasks; the same results either way."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

BUNDLE_SECONDS = 0.5
"""Short items go to a worker several at a time, up to this: each call of Ray costs the driver over a millisecond."""


class Unavailable(RuntimeError):
    """What was asked for on the command line is not there: a cluster, a device, room for the workers."""


class Outcome(NamedTuple):
    """What became of one item: its value, or the error with its traceback."""

    item: Any
    value: Any
    error: BaseException | None
    traceback: str


Seconds = Callable[[Any], float]
"""Roughly how long an item takes."""


class Executor(Protocol):
    """Calls ``function(item, *shared)`` for many items and yields outcomes in the order of completion.

    ``seconds`` says what an item takes, roughly; without it all count as long.
    """

    workers: int

    def run_all(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: object,
        label: str = "simulation",
        seconds: Seconds | None = None,
    ) -> Iterator[Outcome]: ...

    def close(self) -> None: ...


class SerialExecutor:
    """A plain loop in this process: clean tracebacks, debuggers and profilers work."""

    workers = 1

    def run_all(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: object,
        label: str = "simulation",
        seconds: Seconds | None = None,
    ) -> Iterator[Outcome]:
        for item in items:
            try:
                yield Outcome(item, function(item, *shared), None, "")
            except Exception as error:
                yield Outcome(item, None, error, traceback.format_exc())

    def close(self) -> None:
        pass


def bundles(items: Iterable[Any], seconds: Seconds | None, most: int) -> Iterator[list[Any]]:
    """``items`` in their order, together until they take ``BUNDLE_SECONDS`` or are ``most``; one each by default."""
    bundle: list[Any] = []
    total = 0.0
    for item in items:
        bundle.append(item)
        total += seconds(item) if seconds is not None else BUNDLE_SECONDS
        if total >= BUNDLE_SECONDS or len(bundle) == most:
            yield bundle
            bundle, total = [], 0.0
    if bundle:
        yield bundle
