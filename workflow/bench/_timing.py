"""Rates of work, measured in turns: what slows the machine down slows all of them down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Work = Callable[[], float]
"""Does some work and returns how much."""
Clock = Callable[[], float]


def rate(work: Work, clock: Clock = time.perf_counter) -> float:
    """Work per second of one call."""
    start = clock()
    amount = work()
    return amount / (clock() - start)


def interleaved(
    works: Mapping[str, Work], rounds: int, clock: Clock = time.perf_counter
) -> dict[str, NDArray[np.float64]]:
    """Rates (rounds,) of each work, measured A B C A B C ... after one round that does not count.

    Raises:
        ValueError: fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"at least one round is needed, got {rounds}")
    for work in works.values():
        work()
    measured = [[rate(work, clock) for work in works.values()] for _ in range(rounds)]
    return dict(zip(works, np.array(measured).T, strict=True))


def lasting(step: Callable[[int], float], seconds: float, clock: Clock = time.perf_counter) -> Work:
    """``step(count)`` with a count, found by doubling, that takes about ``seconds``.

    Args:
        step: does something ``count`` times and returns the amount of work; called here, so it is warm afterwards.
        seconds: between half of it and all of it is what one call of the result will take.
    """
    step(1)
    count = 1
    while True:
        start = clock()
        step(count)
        took = clock() - start
        if took >= seconds / 2:
            return lambda: step(count)
        # A clock too coarse to see the step must not stop the doubling.
        count = 2 * count if took < seconds / 16 else max(count + 1, int(count * 0.75 * seconds / took))
