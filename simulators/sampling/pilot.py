"""A run that finds out how long runs must be, from its own measurements and never from a clock.

Axes: P points that run together, Q observables, R chains, T measurements.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.contract import ObservableNames
from simulators.sampling.autocorrelation import autocorrelation_time
from simulators.sampling.ladder import Arrays, Group

START = 64
CAP = 2**17
"""Sweeps after which a pilot stops looking for the autocorrelation time and the certificate says so."""
TAUS = 20
"""Length of a sufficient pilot in autocorrelation times; its first half is not used to measure them."""
INDEPENDENT = 50
"""Independent measurements, over all chains, that the used half must hold: tau is then known to a fifth."""
MEASUREMENTS = 1024
"""A longer pilot measures more rarely."""
STEP_NANOSECONDS = 5e8
"""Expected work between two points at which a run may be saved."""


class Times(NamedTuple):
    """Autocorrelation times, as a pilot has measured them."""

    tau: list[dict[str, float]]
    """For each point, the integrated autocorrelation time of each observable, in sweeps."""
    slowest: float
    """The longest of those that must mix, over all points."""
    converged: bool


def measure(group: Group, names: ObservableNames) -> NDArray[np.float64]:
    """(P, Q, R) all columns now."""
    values = [simulation.measure() for simulation in group.simulations]
    return np.stack([np.stack([of_point[name] for name in names.columns]) for of_point in values])


def series(measured: list[NDArray[np.float64]], point: int, names: ObservableNames) -> dict[str, NDArray[np.float64]]:
    """x_RT of the columns of one point, and of the magnitudes of order parameters and judged columns."""
    series_QRT = np.stack([values_PQR[point] for values_PQR in measured], axis=2)
    signed = dict(zip(names.columns, series_QRT, strict=True))
    return signed | {name: np.abs(signed[name.removeprefix("abs_")]) for name in names.magnitudes}


def bounded(group: Group, sweeps: int) -> int:
    """At most ``sweeps``, at least one, and no more than may pass between two points of saving."""
    return min(sweeps, max(1, int(STEP_NANOSECONDS / max(group.cost, 1.0))))


class Pilot:
    """Doubles a run until its second half shows that the whole is 20 autocorrelation times long, or the cap is hit.

    Args:
        group: what runs; freshly started.
        names: of its observables.
        enough: autocorrelation time in sweeps from which on the run may stop, because it is too slow to be chosen.
    """

    def __init__(self, group: Group, names: ObservableNames, enough: float = math.inf) -> None:
        self.group = group
        self.sweeps = 0
        self.times: Times | None = None
        """None until the pilot is done."""
        self._names = names
        self._enough = enough
        self._target, self._every = START, 1
        self._measured: list[NDArray[np.float64]] = []

    def step(self) -> None:
        """Go on by a bounded piece."""
        due = self._every * (len(self._measured) + 1)
        part = bounded(self.group, due - self.sweeps)
        self.group.advance(part)
        self.sweeps += part
        if self.sweeps == due:
            self._measured.append(measure(self.group, self._names))
            if self.sweeps >= self._target:
                self._judge()

    def _judge(self) -> None:
        times = self._times()
        hopeless = times.slowest >= self._enough
        if times.converged or hopeless or 2 * self._target > CAP:
            self.times = times
            self._measured = []
            return
        self._target *= 2
        if len(self._measured) >= MEASUREMENTS:
            self._measured, self._every = self._measured[1::2], 2 * self._every

    def _times(self) -> Times:
        half = self._measured[len(self._measured) // 2 :]
        tau, judged = [], []
        for point in range(len(self.group.simulations)):
            times = {name: autocorrelation_time(x) for name, x in series(half, point, self._names).items()}
            tau.append({name: self._every * time.tau for name, time in times.items()})
            judged += [times[name] for name in self._names.judged]
        slowest = self._every * max(time.tau for time in judged)
        independent = len(half) * half[0].shape[-1] * self._every / (2 * slowest)
        long_enough = all(time.long_enough for time in judged) and self.sweeps >= TAUS * slowest
        return Times(tau, slowest, long_enough and independent >= INDEPENDENT)

    def state(self) -> Arrays:
        """All that a resumed pilot needs."""
        progress = {
            "sweeps": self.sweeps,
            "target": self._target,
            "every": self._every,
            "enough": self._enough,
            "times": self.times,
        }
        return pack("group", self.group.state()) | {
            "measured": np.array(self._measured),
            "progress": np.array(json.dumps(progress)),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state`` of a pilot of an equal group, bit for bit."""
        progress = json.loads(str(state["progress"]))
        self.sweeps, self._target, self._every = progress["sweeps"], progress["target"], progress["every"]
        self._enough = progress["enough"]
        self.times = None if progress["times"] is None else Times(*progress["times"])
        self._measured = list(state["measured"])
        self.group.restore(unpack("group", state))


def pack(prefix: str, state: Mapping[str, NDArray[Any]]) -> Arrays:
    """``state`` with a prefix to its names."""
    return {f"{prefix}.{name}": array for name, array in state.items()}


def unpack(prefix: str, state: Mapping[str, NDArray[Any]]) -> Arrays:
    """The part of ``state`` whose names have the prefix, without it."""
    return {name.removeprefix(f"{prefix}."): x for name, x in state.items() if name.startswith(f"{prefix}.")}
