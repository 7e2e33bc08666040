"""The loop that stages share: values, costs, failures that are noted, told and raised, errors that end it."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from workflow.execution.executors import SerialExecutor
from workflow.execution.failures import StageFailed
from workflow.execution.stage import Execution, Failure, StageWork, stage_work
from workflow.storage.run_directory import RunDirectory

EXECUTION = Execution(SerialExecutor(), quiet=True)


class Halving(NamedTuple):
    number: int


def halve(job: Halving, root: str) -> float:
    if job.number == 0:
        raise OSError("the disk is gone")
    if job.number % 2:
        raise ValueError(f"{job.number} is odd")
    return job.number / 2


def failure(job: Halving) -> Failure:
    return Failure(f"halve-{job.number}", f"half of {job.number}")


def halves(work: StageWork, *numbers: int, fatal: type[Exception] | tuple[()] = ()) -> list[float]:
    values = []
    for value in work.carry_out(halve, [Halving(number) for number in numbers], failure, fatal=fatal):
        work.advance(value)
        values.append(value)
    return values


def notes(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.failures.glob("*"))


def test_values_come_and_costs_are_noted(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with stage_work("halve", run, EXECUTION, 2, "halves") as work:
        assert halves(work, 4, 6) == [2.0, 3.0]
    record = json.loads(run.stages.read_text())
    assert (record["stage"], record["core_seconds"], record["done"]) == ("halve", 5.0, 2)
    assert not run.failures.exists()


def test_failures_are_noted_and_the_rest_is_done(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    values = []
    with (
        pytest.raises(StageFailed, match=r"^halve: 2 of 4 failed: half of 1: ValueError: 1 is odd \(and 1 more\)"),
        stage_work("halve", run, EXECUTION, 4, "halves") as work,
    ):
        values = halves(work, 1, 4, 3, 6)
    assert values == [2.0, 3.0]
    assert notes(run) == ["halve-1.txt", "halve-3.txt"]
    text = (run.failures / "halve-1.txt").read_text()
    assert text.startswith("half of 1\n\nTraceback") and "ValueError: 1 is odd" in text
    assert json.loads(run.stages.read_text())["done"] == 2


@pytest.mark.parametrize(("fatal", "values"), [(OSError, [2.0]), (ValueError, [2.0, 3.0]), ((), [2.0, 3.0])])
def test_an_error_that_all_would_meet_ends_the_loop(
    tmp_path: Path, fatal: type[Exception] | tuple[()], values: list[float]
) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(StageFailed, match="the disk is gone"), stage_work("halve", run, EXECUTION, 3, "halves") as work:
        assert halves(work, 4, 0, 6, fatal=fatal) == values
    # On a lost disk there is no place for a note.
    assert notes(run) == ([] if fatal is OSError else ["halve-0.txt"])


def test_a_stage_that_is_interrupted_keeps_its_cost_and_raises_the_interruption(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(KeyboardInterrupt), stage_work("halve", run, EXECUTION, 2, "halves") as work:
        halves(work, 4, 1)
        raise KeyboardInterrupt
    assert json.loads(run.stages.read_text())["done"] == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_only_errors_are_said_when_quiet(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    Execution(SerialExecutor(), quiet=quiet).say("3 shards are not certified")
    assert capsys.readouterr() == ("", "" if quiet else "3 shards are not certified\n")
