"""Serial and Ray executors: the same outcomes, failures apart from each other, lost workers replaced."""

import os
import signal
from pathlib import Path

import pytest

from workflow.executors import Executor, Outcome, RayExecutor, SerialExecutor


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


@pytest.mark.ray
def test_leaving_early_cancels_the_rest(ray_executor: RayExecutor) -> None:
    stream = ray_executor.run_all(square, range(1000))
    assert next(iter(stream)).error is None
    stream.close()  # type: ignore[attr-defined]


def test_nothing_to_do_starts_no_ray() -> None:
    executor = RayExecutor(workers=1, address="nowhere:1")
    assert list(executor.run_all(square, [])) == []
