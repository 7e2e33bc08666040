"""When samplers measure: lengths that a study gives, lengths from a pilot, and the next attempt."""

from types import SimpleNamespace
from typing import Any

import pytest

from simulators.sampling import pilot, schedule
from simulators.sampling.order import Length, Order
from simulators.sampling.pilot import Times
from simulators.sampling.schedule import Schedule


def order(thermalization: Length, spacing: Length) -> Order:
    return Order(chains=32, samples=64, algorithm="auto", thermalization=thermalization, spacing=spacing)


def finished(sweeps: int, slowest: float, converged: bool = True) -> Any:
    """As much of a pilot as a schedule reads."""
    return SimpleNamespace(sweeps=sweeps, times=Times([], slowest, converged))


def test_a_study_may_give_both_lengths() -> None:
    assert schedule.from_lengths(order(10, 3)) == Schedule(10, 3, None)
    assert schedule.from_lengths(order("auto", 3)) is None
    assert schedule.from_lengths(order(10, "auto")) is None


@pytest.mark.parametrize(
    ("thermalization", "spacing", "lengths"),
    [("auto", "auto", (256, 15)), (1000, "auto", (1000, 15)), (10, "auto", (256, 15)), ("auto", 4, (256, 4))],
)
def test_a_pilot_fills_in_the_others(thermalization: Length, spacing: Length, lengths: tuple[int, int]) -> None:
    """Samples are two autocorrelation times apart, rounded up."""
    assert schedule.from_pilot(order(thermalization, spacing), finished(256, 7.1))[:2] == lengths


def test_times_that_are_lower_bounds_ask_for_no_more_than_the_cap() -> None:
    request = order("auto", "auto")
    capped = schedule.from_pilot(request, finished(256, 1e9, converged=False))
    assert capped.spacing == pilot.CAP // request.rounds
    assert not capped.converged
    assert schedule.from_pilot(request, finished(256, 1e9)).spacing == 2 * 10**9, "negative control"


def test_the_next_attempt_is_twice_as_long() -> None:
    times = Times([], 5.0, True)
    assert Schedule(100, 10, times).next_attempt(16) == Schedule(260, 20, times)
    assert Schedule(100, 10, None).converged
