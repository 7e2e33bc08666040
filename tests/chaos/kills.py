"""Which process is killed when: drawn with a seed, carried out on what a run is seen to be doing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

from tests.chaos import processes
from tests.chaos.checks import names
from tests.chaos.rays import Rays

STAGES = {
    "simulate": "dataset/",
    "train": "training/",
    "encode": "latents/",
    "analyze": "analysis/",
    "report": "report/",
}
"""Stages in their order, and where what they make lies."""
VICTIMS = ("worker", "driver", "node")
KINDS = [(stage, victim) for stage, victim in product(STAGES, VICTIMS) if (stage, victim) != ("report", "worker")]
"""The report is drawn by the driver."""
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Kill:
    """One that is to be."""

    stage: str
    victim: str
    moment: float
    """Between 0 and 1, of what the stage takes undisturbed."""


@dataclass(frozen=True)
class Hit:
    """One that was: a process that lived and belonged to the run."""

    stage: str
    """The one that was under way then, which may be a later one than was meant."""
    victim: str
    process: str


def draw(random: Random, count: int) -> list[Kill]:
    """Kills at random moments; every kind (stage and victim) comes before any comes again."""
    kills: list[Kill] = []
    while len(kills) < count:
        for stage, victim in random.sample(KINDS, len(KINDS)):
            kills.append(Kill(stage, victim, random.random()))
    return kills[:count]


def in_order(kills: list[Kill]) -> list[Kill]:
    """As they come in one run."""
    return sorted(kills, key=lambda kill: (list(STAGES).index(kill.stage), kill.moment))


def stage_of(root: Path, complete: set[str]) -> str | None:
    """The stage that is under way in a run folder: the first whose files are not all there; None if they are.

    Args:
        root: the run folder.
        complete: the names of all files of a finished run of the same study.
    """
    there = names(root)
    missing = [name for name in complete if name not in there]
    for stage, folder in STAGES.items():
        if any(name.startswith(folder) for name in missing):
            return stage
    return None


def await_moment(kill: Kill, now: Callable[[], str | None], seconds: float, alive: Callable[[], bool]) -> None:
    """Return when ``kill`` is due, or its stage is over, or the driver has ended.

    Args:
        kill: what is to be done.
        now: the stage that is under way.
        seconds: what that stage takes undisturbed.
        alive: whether the driver is.
    """
    order = [*STAGES, None]
    target = order.index(kill.stage)
    while alive() and order.index(now()) < target:
        time.sleep(LOOK_SECONDS)
    end = time.monotonic() + kill.moment * seconds
    while alive() and order.index(now()) == target and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)


def strike(kill: Kill, random: Random, rays: Rays, driver: int, now: Callable[[], str | None]) -> Hit | None:
    """Kill one process of the kind; None if there is none now."""
    if kill.victim == "worker":
        found = [pid for root in rays.roots(driver) for pid in processes.workers(root)]
    elif kill.victim == "node":
        found = [pid for pid in [rays.node(driver)] if pid is not None]
    else:
        found = [driver]
    stage = now()
    if not found or stage is None:
        return None
    pid = random.choice(sorted(found))
    name = processes.title(pid).partition(" ")[0] if kill.victim != "driver" else "latentphase run"

    def belongs() -> bool:
        family = [driver, *(child for root in rays.roots(driver) for child in processes.descendants(root))]
        return pid in family and pid in processes.parents()

    return Hit(stage, kill.victim, Path(name).name) if processes.kill(pid, belongs) else None
