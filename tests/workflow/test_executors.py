"""Serial and Ray executors: the same outcomes, failures apart from each other, lost workers replaced."""

import os
import signal
from pathlib import Path

import pytest

from workflow.executors import BUNDLE_SECONDS, WINDOW, Executor, Outcome, RayExecutor, SerialExecutor, bundles


def square(x: int) -> int:
    if x == 3:
        raise ValueError("three is refused")
    return x * x


def die_once(x: int, folder: str) -> int:
    """Kills its own process the first time it sees each of 0, 1, 2."""
    mark = Path(folder) / str(x)
    if x < 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def by_item(outcomes: list[Outcome]) -> dict[int, object]:
    return {outcome.item: outcome.value for outcome in outcomes}


def check(executor: Executor) -> None:
    outcomes = list(executor.run_all(square, range(6)))
    assert by_item(outcomes) == {0: 0, 1: 1, 2: 4, 3: None, 4: 16, 5: 25}
    (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
    assert failed.item == 3
    assert isinstance(failed.error, ValueError)
    assert "three is refused" in failed.traceback


def test_serial_outcomes() -> None:
    check(SerialExecutor())


@pytest.mark.ray
def test_ray_outcomes_are_the_same(ray_executor: RayExecutor) -> None:
    check(ray_executor)


@pytest.mark.ray
def test_killed_workers_are_replaced(ray_executor: RayExecutor, tmp_path: Path) -> None:
    outcomes = list(ray_executor.run_all(die_once, range(6), str(tmp_path)))
    assert by_item(outcomes) == {x: x for x in range(6)}
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2"}


def test_short_items_travel_together() -> None:
    some = BUNDLE_SECONDS / 4
    assert list(bundles(range(6), lambda x: some, most=9)) == [[0, 1, 2, 3], [4, 5]]
    assert list(bundles(range(5), lambda x: some, most=2)) == [[0, 1], [2, 3], [4]]
    assert list(bundles(range(3), lambda x: (4 - 2 * x) * some, most=9)) == [[0], [1, 2]]
    assert list(bundles(range(2), None, most=9)) == [[0], [1]]


@pytest.mark.ray
def test_short_items_have_their_own_outcomes(ray_executor: RayExecutor) -> None:
    """Three to a bundle, one of which fails."""
    count = 3 * WINDOW * ray_executor.workers
    outcomes = list(ray_executor.run_all(square, range(count), seconds=lambda x: 1e-6))
    assert by_item(outcomes) == {x: None if x == 3 else x * x for x in range(count)}
    assert [outcome.item for outcome in outcomes if isinstance(outcome.error, ValueError)] == [3]


def die(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.ray
def test_an_item_that_kills_its_workers_takes_no_other_along(
    ray_executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflow.executors.SYSTEM_RETRIES", 0)
    count = 2 * WINDOW * ray_executor.workers
    outcomes = list(ray_executor.run_all(die, range(count), seconds=lambda x: 1e-6))
    assert by_item(outcomes) == {x: None if x == 3 else x for x in range(count)}
    assert len(outcomes) == count


@pytest.mark.ray
def test_leaving_early_cancels_the_rest(ray_executor: RayExecutor) -> None:
    stream = ray_executor.run_all(square, range(1000))
    assert next(iter(stream)).error is None
    stream.close()  # type: ignore[attr-defined]


def test_nothing_to_do_starts_no_ray() -> None:
    executor = RayExecutor(workers=1, address="nowhere:1")
    assert list(executor.run_all(square, [])) == []
