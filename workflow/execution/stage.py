"""What all stages share: how they are called, and the loop over their jobs with its progress, costs and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from workflow import terminal
from workflow.execution.executors import Executor, Seconds
from workflow.execution.failures import StageFailed, note_failure
from workflow.execution.stage_costs import timed
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.terminal import Progress

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Execution:
    """How the stages of a run are carried out."""

    executor: Executor
    device: str = "auto"
    """Where models are trained: ``auto``, ``cpu`` or ``cuda``."""
    quiet: bool = False
    """Whether to print errors only."""

    def say(self, text: str) -> None:
        """Print a line to stderr, unless ``quiet``; while there is progress to show, use ``Progress.say``."""
        if not self.quiet:
            terminal.say(text)


class Stage(Protocol):
    """A stage does what is missing of a study's work in its run folder, and keeps what is there.

    Raises:
        StageFailed: some of the work failed; the rest is there and is kept.
        OSError: what an earlier stage makes is missing, or a file cannot be read or written.
        Uncertified: shards are not certified, and the study does not allow them.
        Unavailable: there is no such device.
    """

    def __call__(self, study: Study, run: RunDirectory, execution: Execution) -> object: ...


class Failure(NamedTuple):
    """How the failure of a job is told."""

    file: str
    """Name of its file in the folder of failures, without the ending."""
    subject: str
    """What failed, in words."""


@dataclass
class StageWork:
    """The work of one stage, while it is carried out."""

    run: RunDirectory
    executor: Executor
    progress: Progress
    cost: dict[str, float]
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by subject."""

    def carry_out(
        self,
        function: Callable[[Job, str], Value],
        jobs: Sequence[Job],
        failure: Callable[[Job], Failure],
        seconds: Seconds | None = None,
        fatal: type[Exception] | tuple[()] = (),
    ) -> Iterator[Value]:
        """Call ``function(job, place of the run folder)`` for every job; yield the values in the order of completion.

        Args:
            function: does a job, in whatever process.
            jobs: one call each.
            failure: how the failure of a job is told.
            seconds: roughly how long a job takes; None: all as long.
            fatal: an error of this type, which every further job would meet too, ends the loop.
        """
        for outcome in self.executor.run_all(function, jobs, str(self.run.root), seconds=seconds):
            if outcome.error is None:
                yield outcome.value
                continue
            file, subject = failure(outcome.item)
            self.failures[subject] = f"{type(outcome.error).__name__}: {outcome.error}"
            if isinstance(outcome.error, fatal):
                return
            note_failure(self.run, file, f"{subject}\n\n{outcome.traceback}")

    def count(self, core_seconds: float, done: int = 1) -> None:
        """Add to what the stage has cost and done."""
        self.cost["core_seconds"] += core_seconds
        self.cost["done"] += done

    def advance(self, core_seconds: float) -> None:
        """Count one more unit of the stage's progress."""
        self.count(core_seconds)
        self.progress.advance(1)


@contextmanager
def stage_work(
    stage: str, run: RunDirectory, execution: Execution, total: int, unit: str, done: float = 0.0
) -> Iterator[StageWork]:
    """Show the progress of a stage and note its cost, while the body carries it out.

    Args:
        stage: its name.
        run: where it works.
        execution: how.
        total: units of work.
        unit: what they are, in words: shards, models.
        done: how many of them were done before.

    Raises:
        StageFailed: after the body, if some of its work failed.
    """
    with timed(run, stage) as cost, Progress(stage, total, unit, execution.quiet, done) as progress:
        work = StageWork(run, execution.executor, progress, cost)
        yield work
    if work.failures:
        raise StageFailed(stage, work.failures, run.failures, total)
