"""Runs of one study whose processes are killed on the way, and resumed by the same command until they end."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import tomli_w

from tests.chaos import checks, processes
from tests.chaos.kills import Hit, Kill, await_moment, draw, in_order, stage_of, strike
from tests.chaos.rays import OwnRay, Rays, TwoNodes
from workflow.execution.stage_costs import costs_so_far
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

CHECKOUT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {
    "name": "chaos",
    "seed": 5,
    "simulate": [
        {"system": "ising", "size": 8, "coupling": [1.0, -1.0], "temperature": [1.2, 2.0, 4.5], "samples": 512}
    ],
    "train": [{"name": "phases", "seed": [0, 1], "epochs": 40, "batch": 64}],
    "analyze": {"resamples": 50, "generated": 16},
}
"""Six shards, two trainings; about a minute on two cores, most of it the start of Ray and its workers."""

PROGRAM = """
import workflow.simulate.stage as stage
from workflow.train.worker import Job
Job.__init__.__kwdefaults__["checkpoint_seconds"] = 0.3
whole = stage.run_job
def often(job, root):
    import workflow.simulate.worker as worker
    worker.run_sampler.__defaults__ = (0.1,)
    return whole(job, root)
stage.run_job = often
from workflow.cli.main import main
main()
"""
"""``latentphase``, but simulations and trainings save their state all the time, so that there is one to go on from."""

TOLERANCE = 1e-3
"""Of results where nodes come and go, relative to the larger of 1 and their size.

Trainings that are resumed are bit-equal as long as they are dealt out to workers as in the undisturbed run, which a Ray
of one node always does: there the tolerance is 0.  If a node is away when the stage begins, both trainings share one
worker as a stack, whose matrix products add in another order.  That costs a rounding of float32 (6e-8) in each of the
720 steps, which training amplifies; more than a thousandth would be something else: another seed is 0.1 to 1 away.
"""
ATTEMPTS = 12
"""Starts of the driver per run."""
RUN_SECONDS = 1200.0
"""One start of the driver takes less."""
AWAY_SECONDS = 5.0
"""Longest time until a lost node is replaced."""


@dataclass
class Outcome:
    """What became of one run."""

    number: int
    kind: str
    hits: list[Hit] = field(default_factory=list)
    missed: list[Kill] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    starts: int = 0
    seconds: float = 0.0

    def shown(self) -> dict[str, Any]:
        return asdict(self)


class Chaos:
    """An undisturbed run, and any number of disturbed ones that are compared with it; use as a context."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._random = Random(seed)
        self._study = parse(STUDY)
        self._file = folder / "study.toml"
        self._file.write_text(tomli_w.dumps(STUDY))
        # Short, since Ray puts sockets there; its name marks every process of ours.
        self._private = Path(tempfile.mkdtemp(prefix="chaos."))
        self._nodes: TwoNodes | None = None
        self._seconds: dict[str, float] = {}
        self.reference = RunDirectory(folder / "reference")

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nodes is not None:
            self._nodes.close()
        processes.kill_all(f"RAY_TMPDIR={self._private}")
        shutil.rmtree(self._private, ignore_errors=True)

    def all(self, runs: int, kills: int) -> list[Outcome]:
        """The undisturbed run, then at least ``runs`` with at least ``kills`` hits between them."""
        self.undisturbed()
        deck = draw(self._random, kills)
        outcomes: list[Outcome] = []
        while len(outcomes) < runs or deck:
            share = max(1, round(len(deck) / max(1, runs - len(outcomes)))) if deck else 0
            mine, deck = deck[:share], deck[share:]
            outcome = self.disturbed(len(outcomes) + 1, mine)
            # A kill that came too late is owed.
            deck += outcome.missed
            outcomes.append(outcome)
        return outcomes

    def undisturbed(self) -> None:
        """The reference, and how long each stage takes."""
        process = self._start(self.reference.root, OwnRay(self._private))
        if process.wait():
            raise RuntimeError(f"the undisturbed run failed: {self._log(self.reference.root).read_text()[-2000:]}")
        if bad := list(checks.of_verify(self.reference)):
            raise RuntimeError(f"the undisturbed run is not in order: {bad}")
        self._seconds = {stage: cost.wall_seconds for stage, cost in costs_so_far(self.reference).items()}
        self._say("undisturbed: " + ", ".join(f"{name} {value:.0f} s" for name, value in self._seconds.items()))

    def disturbed(self, number: int, kills: list[Kill]) -> Outcome:
        """One run with ``kills``, to its end, and what is wrong with it."""
        rays = self._rays(number)
        root = self._folder / f"run-{number}"
        outcome = Outcome(number, rays.kind)
        begun = time.monotonic()
        self._run(root, rays, in_order(kills), outcome)
        outcome.seconds = round(time.monotonic() - begun, 1)
        tolerance = 0.0 if rays.takes_driver_along else TOLERANCE
        if not outcome.complaints:
            outcome.complaints += checks.complaints(RunDirectory(root), self.reference, self._study, tolerance)
        struck = ", ".join(f"{hit.victim} ({hit.process}) in {hit.stage}" for hit in outcome.hits) or "nothing"
        result = "; ".join(outcome.complaints) or "as undisturbed"
        self._say(
            f"run {number} ({rays.kind}): {struck} killed; {outcome.starts} starts, {outcome.seconds:.0f} s: {result}"
        )
        if not outcome.complaints:
            shutil.rmtree(root)
            self._log(root).unlink()
        return outcome

    def _rays(self, number: int) -> Rays:
        if number % 2:
            return OwnRay(self._private)
        if self._nodes is None:
            self._nodes = TwoNodes(self._private)
        return self._nodes

    def _run(self, root: Path, rays: Rays, kills: list[Kill], outcome: Outcome) -> None:
        now = partial(stage_of, root, checks.names(Path(str(self.reference.root))))
        queue = list(kills)
        process = self._start(root, rays)
        outcome.starts = 1
        while True:
            along = False
            while queue and process.poll() is None and not along:
                kill = queue.pop(0)
                hit = self._strike(kill, rays, process, now)
                if hit is None:
                    outcome.missed.append(kill)
                    continue
                outcome.hits.append(hit)
                along = hit.victim == "driver" or (hit.victim == "node" and rays.takes_driver_along)
                if hit.victim == "node" and not along:
                    time.sleep(self._random.uniform(0, AWAY_SECONDS))
                    rays.mend()
            code = self._end(process, outcome)
            if code == 0:
                outcome.missed += queue
                return
            if not along:
                outcome.complaints.append(f"the driver left with {code} although it was not killed")
            if outcome.complaints or outcome.starts == ATTEMPTS:
                outcome.complaints.append(f"not finished after {outcome.starts} starts; see {self._log(root)}")
                return
            process = self._start(root, rays)
            outcome.starts += 1

    def _strike(
        self, kill: Kill, rays: Rays, process: subprocess.Popen[bytes], now: Callable[[], str | None]
    ) -> Hit | None:
        """Wait for the moment, then for a victim as long as the run goes on."""
        await_moment(kill, now, self._seconds[kill.stage], lambda: process.poll() is None)
        while process.poll() is None:
            if (hit := strike(kill, self._random, rays, process.pid, now)) is not None:
                return hit
            time.sleep(0.05)
        return None

    def _end(self, process: subprocess.Popen[bytes], outcome: Outcome) -> int:
        try:
            return process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            outcome.complaints.append(f"the driver had not ended after {RUN_SECONDS:.0f} s")
            process.kill()
            return process.wait()

    def _start(self, root: Path, rays: Rays) -> subprocess.Popen[bytes]:
        with self._log(root).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "run", self._file, "--run-dir", root, *rays.options()],
                cwd=CHECKOUT,
                env=os.environ | rays.environment(),
                stdout=log,
                stderr=log,
            )

    def _log(self, root: Any) -> Path:
        return self._folder / f"{Path(str(root)).name}.log"
