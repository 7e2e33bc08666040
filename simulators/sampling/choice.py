"""``algorithm = "auto"``: the algorithm with the cheapest independent sample, from seeded pilots.

A pilot measures the autocorrelation time.  The cost of a sweep comes from a table in the sources and from counted
moves, never from a clock, so that a seed decides the choice.  Algorithms are tried in the order of their expected cost.
One is skipped where even uncorrelated sweeps of it would cost more than the best so far, and given up as soon as its
autocorrelation time is too long to win.
"""

from __future__ import annotations

import json
import math
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.contract import ObservableNames, System
from simulators.sampling.ladder import Arrays, Group
from simulators.sampling.pilot import Pilot, pack, unpack

LEAST_TAU = 0.5
GIVE_UP = 1.5
"""A pilot is given up when its algorithm costs this many times as much as the best one: an autocorrelation time that is
still growing is known to about a fifth."""


class Choice:
    """Pilots of one algorithm after the other.

    Args:
        system, spec: the parameter point to sample.
        names: of its observables.
        chains: how many are simulated.
        build: makes a freshly started group that uses an algorithm; called when the algorithm is tried.
    """

    def __init__(
        self, system: System, spec: Any, names: ObservableNames, chains: int, build: Callable[[str], Group]
    ) -> None:
        self._system, self._spec, self._names, self._build = system, spec, names, build
        self._sites = chains * math.prod(spec.shape)
        """Of all chains."""
        valid = [name for name in system.algorithms if system.refusal(spec, name) is None]
        self._queue = sorted(valid, key=lambda name: system.expected_tau(spec, name) * system.nanoseconds(name, spec))
        self._notes: list[str] = []
        self.best: Pilot | None = None
        self.algorithm = ""
        """Of the best pilot."""
        self._current: Pilot | None = None
        self._name = ""

    def start(self) -> None:
        """Begin with the first algorithm."""
        self._next()

    @property
    def done(self) -> bool:
        return self._current is None

    @property
    def reason(self) -> str:
        """The cost of each algorithm, in nanoseconds per independent sample and site."""
        return f"auto: {self.algorithm}; " + ", ".join(self._notes)

    def step(self) -> None:
        """Go on by a bounded piece."""
        if self._current is None:
            return
        self._current.step()
        if self._current.times is not None:
            self._compare(self._current)
            self._next()

    def state(self) -> Arrays:
        """All that a resumed choice needs."""
        progress = {"queue": self._queue, "notes": self._notes, "best": self.algorithm, "current": self._name}
        pilots = {"best": self.best, "current": self._current}
        states = [pack(name, pilot.state()) for name, pilot in pilots.items() if pilot is not None]
        return dict(ChainMap(*states)) | {"progress": np.array(json.dumps(progress))}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state`` of an equal choice, bit for bit."""
        progress = json.loads(str(state["progress"]))
        self._queue, self._notes = progress["queue"], progress["notes"]
        self.algorithm, self._name = progress["best"], progress["current"]
        self.best, self._current = (
            self._restore_pilot(name, unpack(part, state))
            for name, part in ((self.algorithm, "best"), (self._name, "current"))
        )

    def _restore_pilot(self, algorithm: str, state: Arrays) -> Pilot | None:
        if not state:
            return None
        pilot = Pilot(self._build(algorithm), self._names)
        pilot.restore(state)
        return pilot

    def _price(self, pilot: Pilot, tau: float) -> float:
        """Expected nanoseconds for one independent sample of every chain."""
        return 2 * tau * pilot.group.cost

    def _compare(self, pilot: Pilot) -> None:
        assert pilot.times is not None
        price = self._price(pilot, pilot.times.slowest)
        per_site = price / self._sites
        least = "" if pilot.times.converged else "at least "
        self._notes.append(f"{self._name} {least}{per_site:.3g} ns (tau {least}{pilot.times.slowest:.3g})")
        better = self.best is None or self.best.times is None or self._rank(pilot) < self._rank(self.best)
        if better:
            self.best, self.algorithm = pilot, self._name

    def _rank(self, pilot: Pilot) -> tuple[bool, float]:
        """Converged pilots first: the time of another is a lower bound only."""
        assert pilot.times is not None
        return not pilot.times.converged, self._price(pilot, pilot.times.slowest)

    def _next(self) -> None:
        """Start the next algorithm that can still win."""
        self._current = None
        while self._queue and self._current is None:
            self._name = self._queue.pop(0)
            if self.best is None or self.best.times is None or not self.best.times.converged:
                self._current = Pilot(self._build(self._name), self._names)
                continue
            price = self._price(self.best, self.best.times.slowest)
            least = 2 * LEAST_TAU * self._system.nanoseconds(self._name, self._spec) * self._sites
            if least >= price:
                self._notes.append(f"{self._name} at least {least / self._sites:.3g} ns")
                continue
            group = self._build(self._name)
            self._current = Pilot(group, self._names, GIVE_UP * price / (2 * group.cost))
