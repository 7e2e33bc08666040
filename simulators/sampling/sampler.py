"""Nearly independent, certified samples of any system: starts, thermalization, spacing, measurement.

Axes: S samples, R chains, T measurements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.contract import TEMPERING, System, require
from simulators.sampling import pilot, schedule
from simulators.sampling.autocorrelation import autocorrelation_time
from simulators.sampling.certificate import Certificate, Summary, objections, summaries
from simulators.sampling.choice import Choice
from simulators.sampling.ladder import Group, Ladder, Single
from simulators.sampling.order import Length, Order
from simulators.sampling.pilot import Pilot, Times
from simulators.sampling.recording import Encode, Recording
from simulators.sampling.samples import PointSamples
from simulators.sampling.schedule import Schedule

ATTEMPTS = 3
"""How often samples with automatic lengths are measured at most, each time with twice the spacing.  A pilot that met
no rare event may measure too short an autocorrelation time, in about one point of two hundred.  Where the certificate
then objects, the measurements become a part of the thermalization."""


class Sampler:
    """Exactly ``order.samples`` configurations of every spec, taken in rounds over the chains.

    With "auto" lengths a pilot run is doubled until it is 20 autocorrelation times long, of the slowest among the
    observables that must mix.  It is the thermalization, and samples are two of these times apart.  Only seeded
    numbers decide, never a clock, so a seed fixes the result.  Where the pilot hits its cap, the certificate is not
    ``converged``.

    Args:
        system: from ``contract.load``.
        specs: one point; with parallel tempering the whole ladder, in order.
        order: how many samples, of which algorithm and lengths.
        rng: source of all randomness.
        encode: applied to the configurations of each round before they are stored, for instance to pack them: they
            are most of the memory, and filling it is a tenth of the time of a fast sampler.

    Raises:
        SpecError: an algorithm that is not valid here.
    """

    def __init__(
        self, system: System, specs: Sequence[Any], order: Order, rng: np.random.Generator, encode: Encode = np.asarray
    ) -> None:
        self.system, self.specs, self.order = system, list(specs), order
        self._refuse()
        self._recording = Recording(system, self.specs, order, encode)
        # A stream for each algorithm, so that none depends on which others were tried.
        self._rngs = dict(zip((*system.algorithms, TEMPERING), rng.spawn(len(system.algorithms) + 1), strict=True))
        self._hot_R = np.arange(order.chains) % 2 == 0
        self._choice: Choice | None = None
        self._pilot: Pilot | None = None
        self._group: Group | None = None
        self._schedule: Schedule | None = None
        self.algorithm, self.reason = order.algorithm, ""
        if "auto" not in (order.thermalization, order.spacing) and order.algorithm == "auto":
            self.algorithm = system.algorithms[0]
            self.reason = f"auto: {self.algorithm}, because the study counts in its sweeps"
        self._wait = 0
        """Sweeps before the next measurement."""
        self._attempts = 1
        self._started = False

    def _refuse(self) -> None:
        ladder = self.order.algorithm == TEMPERING
        algorithms = () if self.order.algorithm == "auto" else (self.order.algorithm,)
        unmeasured = [self.system.cannot_measure(spec, self.order.measure) for spec in self.specs]
        refusals = [self.system.refusal(spec, name) for spec in self.specs for name in algorithms]
        require(
            *((text is None, "algorithm", str(text)) for text in dict.fromkeys(refusals)),
            *((text is None, "measure", str(text)) for text in dict.fromkeys(unmeasured)),
            (ladder or len(self.specs) == 1, "algorithm", "several points run together with tempering only"),
            (not ladder or len(self.specs) > 1, self.system.ladder, "tempering needs at least two values, got one"),
        )

    @property
    def done(self) -> bool:
        return self._recording.complete and not self._must_lengthen()

    def step(self) -> None:
        """Go on by a bounded piece: about half a second, or one sweep."""
        if not self._started:
            self._start()
        elif self._schedule is None:
            self._run_pilots()
        elif self._wait:
            assert self._group is not None
            part = pilot.bounded(self._group, self._wait)
            self._group.advance(part)
            self._wait -= part
        elif not self._recording.complete:
            assert self._group is not None
            self._recording.take(self._group)
            self._wait = self._schedule.spacing
        elif self._must_lengthen():
            self._schedule = self._schedule.next_attempt(self.order.rounds)
            self._attempts += 1
            self._recording.clear()
            self._wait = self._schedule.spacing

    def _build(self, algorithm: str) -> Group:
        local = self.system.algorithms[0] if algorithm == TEMPERING else algorithm
        rng = self._rngs[algorithm]
        simulations = [self.system.simulation(spec, self._hot_R, local, rng) for spec in self.specs]
        return Ladder(self.specs, simulations, rng) if algorithm == TEMPERING else Single(simulations[0])

    def _new_choice(self) -> Choice:
        return Choice(self.system, self.specs[0], self._recording.pilot_names, self.order.chains, self._build)

    def _new_pilot(self) -> Pilot:
        return Pilot(self._build(self.algorithm), self._recording.pilot_names)

    def _start(self) -> None:
        self._started = True
        self._schedule = schedule.from_lengths(self.order)
        if self._schedule is not None:
            self._group = self._build(self.algorithm)
            self._wait = self._schedule.thermalization + self._schedule.spacing
        elif self.algorithm == "auto":
            self._choice = self._new_choice()
            self._choice.start()
        else:
            self._pilot = self._new_pilot()

    def _run_pilots(self) -> None:
        """Go on with the pilots of the algorithms, then with that of the chosen one; in the end make the schedule."""
        if self._choice is not None:
            self._choice.step()
            if not self._choice.done:
                return
            self._pilot, self.algorithm, self.reason = self._choice.best, self._choice.algorithm, self._choice.reason
            self._choice = None
        assert self._pilot is not None
        if self._pilot.times is None:
            self._pilot.step()
            return
        self._schedule = schedule.from_pilot(self.order, self._pilot)
        self._wait = self._schedule.thermalization - self._pilot.sweeps + self._schedule.spacing
        self._group, self._pilot = self._pilot.group, None

    def _must_lengthen(self) -> bool:
        """Whether the certificate objects to lengths that were chosen here and may still be doubled."""
        automatic = self.order.thermalization == self.order.spacing == "auto"
        if not automatic or self._attempts == ATTEMPTS:
            return False
        assert self._schedule is not None
        return self._schedule.converged and any(
            self._objections(self._summaries(point)) for point in range(len(self.specs))
        )

    def _summaries(self, point: int) -> dict[str, Summary]:
        assert self._schedule is not None
        series, times = self._recording.series(point), self._schedule.times
        tau = {} if times is None else dict(times.tau[point])
        # Pilots do not measure what is measured on request.
        for name in series.keys() - tau.keys():
            tau[name] = self._schedule.spacing * autocorrelation_time(series[name]).tau
        return summaries(series, self._hot_R, tau, self._recording.names.signed)

    def _objections(self, of_point: dict[str, Summary]) -> list[str]:
        assert self._schedule is not None
        return objections(of_point, self._recording.names.judged, self._schedule.converged)

    def result(self) -> list[PointSamples]:
        """The samples of every spec.

        Raises:
            RuntimeError: called before ``done``.
        """
        if not self.done or self._group is None:
            raise RuntimeError("the samples are not done yet")
        reports = self._group.report()
        return [self._samples(point, report) for point, report in enumerate(reports)]

    def _samples(self, point: int, report: dict[str, Any] | None) -> PointSamples:
        assert self._schedule is not None
        order, recording = self.order, self._recording
        sweep_K = self._schedule.thermalization + self._schedule.spacing * (recording.round_K + 1)
        return PointSamples(
            configurations=recording.configurations(point),
            chain=np.tile(np.arange(order.chains, dtype=np.int32), order.stored_rounds)[: order.samples],
            sweep=np.repeat(sweep_K, order.chains)[: order.samples],
            observables=recording.observables(point),
            certificate=self._certificate(point, report),
            inputs=recording.second_inputs(point),
        )

    def _certificate(self, point: int, report: dict[str, Any] | None) -> Certificate:
        assert self._group is not None and self._schedule is not None
        observables = self._summaries(point)
        reasons = self._objections(observables)
        simulation = self._group.simulations[point]
        return Certificate(
            observables=observables,
            acceptance=simulation.acceptance,
            thermalization=self._schedule.thermalization,
            spacing=self._schedule.spacing,
            attempts=self._attempts,
            algorithm=self.algorithm,
            choice=self.reason,
            tempering=report,
            chains=self.order.chains,
            measurements=self.order.rounds,
            converged=self._schedule.converged,
            certified=not reasons,
            reasons=reasons,
            numerics=getattr(simulation, "numerics", {}),
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """All that a resumed run needs, as arrays; empty before the first step."""
        progress = {
            "algorithm": self.algorithm,
            "reason": self.reason,
            "wait": self._wait,
            "attempts": self._attempts,
            "schedule": self._schedule,
        }
        parts = {"choice": self._choice, "pilot": self._pilot, "group": self._group}
        arrays: dict[str, NDArray[Any]] = {}
        for name, part in parts.items():
            if part is not None:
                arrays |= pilot.pack(name, part.state())
        if not arrays:
            return {}
        return arrays | self._recording.state() | {"progress": np.array(json.dumps(progress))}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state`` of a sampler that was made with the same arguments, bit for bit."""
        progress = json.loads(str(state["progress"]))
        self.algorithm, self.reason, self._wait = progress["algorithm"], progress["reason"], progress["wait"]
        self._attempts = progress["attempts"]
        if progress["schedule"] is not None:
            thermalization, spacing, times = progress["schedule"]
            self._schedule = Schedule(thermalization, spacing, None if times is None else Times(*times))
        # Ordered starts are cheap, and are overwritten.
        self._hot_R, hot_R = np.zeros_like(self._hot_R), self._hot_R
        for name in ("choice", "pilot", "group"):
            part = pilot.unpack(name, state)
            if part:
                self._restore_part(name, part)
        self._hot_R = hot_R
        self._recording.restore(state)
        self._started = True

    def _restore_part(self, name: str, state: dict[str, NDArray[Any]]) -> None:
        if name == "choice":
            self._choice = self._new_choice()
            self._choice.restore(state)
        elif name == "pilot":
            self._pilot = self._new_pilot()
            self._pilot.restore(state)
        else:
            self._group = self._build(self.algorithm)
            self._group.restore(state)


def sample(
    system: System,
    spec: Any,
    *,
    chains: int,
    samples: int,
    algorithm: str,
    thermalization: Length,
    spacing: Length,
    rng: np.random.Generator,
    encode: Encode = np.asarray,
    measure: tuple[str, ...] = (),
) -> PointSamples:
    """What a ``Sampler`` of one spec gives when it is run to its end; arguments as there and in ``Order``."""
    order = Order(
        chains=chains,
        samples=samples,
        algorithm=algorithm,
        thermalization=thermalization,
        spacing=spacing,
        measure=measure,
    )
    sampler = Sampler(system, [spec], order, rng, encode)
    while not sampler.done:
        sampler.step()
    return sampler.result()[0]
