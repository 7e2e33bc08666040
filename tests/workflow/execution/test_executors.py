"""Serial and Ray executors: the same outcomes, failures apart from each other, lost workers replaced."""

import ctypes
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from workflow.execution import ray_executor as ray_executor_module
from workflow.execution.executors import BUNDLE_SECONDS, Executor, Outcome, SerialExecutor, bundles
from workflow.execution.ray_executor import WINDOW, RayExecutor


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


def square_in(x: int) -> tuple[int, str]:
    """And the call of Ray that it came with."""
    import ray

    return square(x), ray.get_runtime_context().get_task_id()


@pytest.mark.ray
def test_short_items_share_a_call_and_have_their_own_outcomes(ray_executor: RayExecutor) -> None:
    """Three to a bundle, one of which fails."""
    calls = WINDOW * ray_executor.workers
    outcomes = list(ray_executor.run_all(square_in, range(3 * calls), seconds=lambda x: 1e-6))
    assert {o.item: o.value and o.value[0] for o in outcomes} == {
        x: None if x == 3 else x * x for x in range(3 * calls)
    }
    assert [outcome.item for outcome in outcomes if isinstance(outcome.error, ValueError)] == [3]
    assert len({outcome.value[1] for outcome in outcomes if outcome.value}) == calls
    # Negative control.
    apart = list(ray_executor.run_all(square_in, range(4, 3 * calls)))
    assert len({outcome.value[1] for outcome in apart}) == 3 * calls - 4


class Locked(ValueError):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("is locked")
        self.lock = threading.Lock()


class TwoWords(OSError):
    """Can be pickled, and not read again."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def fail(x: int) -> int:
    if x == 1:
        raise Locked
    if x == 2:
        raise TwoWords("disk", "full")
    return x


@pytest.mark.ray
def test_errors_that_cannot_be_sent_keep_their_words(ray_executor: RayExecutor) -> None:
    outcomes = sorted(ray_executor.run_all(fail, range(3)), key=lambda outcome: outcome.item)
    assert [type(outcome.error) for outcome in outcomes] == [type(None), RuntimeError, OSError]
    assert [str(outcome.error) for outcome in outcomes[1:]] == ["Locked: is locked", "disk full"]
    assert all("raise" in outcome.traceback for outcome in outcomes[1:])


def die(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.ray
def test_an_item_that_kills_its_workers_takes_no_other_along(
    ray_executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflow.execution.ray_executor.SYSTEM_RETRIES", 0)
    count = 2 * WINDOW * ray_executor.workers
    outcomes = list(ray_executor.run_all(die, range(count), seconds=lambda x: 1e-6))
    assert by_item(outcomes) == {x: None if x == 3 else x for x in range(count)}
    assert len(outcomes) == count


def vanish_once(x: int, folder: str) -> str:
    """The first time, fails in a directory that somebody has removed."""
    place = Path(folder) / "place"
    if x == 2 and not (Path(folder) / "seen").exists():
        (Path(folder) / "seen").touch()
        place.mkdir()
        os.chdir(place)
        place.rmdir()
    return str(Path.cwd())


@pytest.mark.ray
def test_items_of_a_worker_whose_directory_is_gone_are_done_elsewhere(
    ray_executor: RayExecutor, tmp_path: Path
) -> None:
    outcomes = list(ray_executor.run_all(vanish_once, range(4), str(tmp_path)))
    assert (tmp_path / "seen").exists()
    assert all(outcome.error is None for outcome in outcomes), [outcome.traceback for outcome in outcomes]


PAGES = 16 * 8 * 256
"""Of 4 kB, in all that ``page_faults`` allocates."""


def page_faults(_: int = 0) -> int:
    """In a thread, as trainings run in: of taking memory that was given back before, 128 MiB in blocks of 8."""
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    counts = []

    def step() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [libc.malloc(8 << 20) for _ in range(16)]
        for block in blocks:
            ctypes.memset(block, 1, 8 << 20)
        for block in reversed(blocks):
            libc.free(block)
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    thread = threading.Thread(target=lambda: [step() for _ in range(3)])
    thread.start()
    thread.join()
    return counts[-1]


@pytest.mark.ray
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc")
def test_workers_keep_memory_that_was_freed(ray_executor: RayExecutor) -> None:
    (outcome,) = ray_executor.run_all(page_faults, [0])
    assert outcome.value < PAGES / 10
    # Negative control: this process, where memory goes back to the system.
    assert page_faults() > PAGES / 4


@pytest.mark.ray
def test_leaving_early_cancels_the_rest(ray_executor: RayExecutor) -> None:
    stream = ray_executor.run_all(square, range(1000))
    assert next(iter(stream)).error is None
    stream.close()  # type: ignore[attr-defined]


def test_what_ray_adds_to_an_environment_is_not_there_the_next_time() -> None:
    """A process may start Ray several times, and Ray writes into what it is given."""
    with ray_executor_module._runtime_environment(joined=False) as first:
        names = set(first["env_vars"])
        first["env_vars"]["ADDED"] = "by Ray"
    with ray_executor_module._runtime_environment(joined=False) as second:
        assert set(second["env_vars"]) == names


def test_nothing_to_do_starts_no_ray() -> None:
    executor = RayExecutor(workers=1, address="nowhere:1")
    assert list(executor.run_all(square, [])) == []
