"""The arithmetic of interleaved rates, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workflow.bench._timing import interleaved, lasting, rate


class Hand:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, amount: float, *seconds: float) -> Callable[[], float]:
        """Work that takes the given times in turn."""
        times = iter(seconds)

        def one() -> float:
            self.now += next(times)
            return amount

        return one


def test_a_rate_is_work_over_time() -> None:
    clock = Hand()
    assert rate(clock.work(6.0, 1.5), clock) == 4.0


def test_the_first_round_does_not_count() -> None:
    clock = Hand()
    rates = interleaved({"a": clock.work(8.0, 100.0, 1.0, 2.0), "b": clock.work(2.0, 50.0, 1.0, 4.0)}, 2, clock)
    np.testing.assert_array_equal(rates["a"], [8.0, 4.0])
    np.testing.assert_array_equal(rates["b"], [2.0, 0.5])


def test_works_take_turns() -> None:
    order: list[str] = []
    clock = Hand()

    def named(name: str) -> Callable[[], float]:
        def one() -> float:
            order.append(name)
            clock.now += 1.0
            return 1.0

        return one

    interleaved({name: named(name) for name in "abc"}, 2, clock)
    assert "".join(order) == "abcabcabc"


def test_a_machine_that_slows_down_does_not_change_ratios() -> None:
    clock = Hand()
    slower = (1.0, 1.0, 2.0, 4.0)
    ours, peer = clock.work(30.0, *slower), clock.work(1.0, *slower)
    rates = interleaved({"ours": ours, "peer": peer}, 3, clock)
    np.testing.assert_array_equal(rates["ours"] / rates["peer"], 30.0)
    # Negative control: means taken apart from each other, as if measured one after the other, are off.
    assert rates["ours"].mean() / rates["peer"][0] < 30.0


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one round is needed, got 0"):
        interleaved({}, 0)


@pytest.mark.parametrize("each", [1e-6, 0.003, 0.2, 0.7, 5.0])
def test_work_is_made_to_last(each: float) -> None:
    """At least half a second and at most one, unless a single step takes longer."""
    clock = Hand()

    def step(count: int) -> float:
        clock.now += each * count
        return float(count)

    work = lasting(step, 1.0, clock)
    start = clock.now
    assert work() * each == pytest.approx(clock.now - start)
    took = clock.now - start
    assert took >= 0.5
    assert took <= max(1.0, each)
