"""Nearly independent, certified samples of any system: starts, thermalization, spacing, measurement.

Axes: S samples, P points that run together (more than one in parallel tempering only), R chains, T measurements,
Q observables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.contract import SIGN, TEMPERING, System, require
from simulators.sampling import pilot
from simulators.sampling.autocorrelation import autocorrelation_time
from simulators.sampling.certificate import Certificate, Summary, objections, summarize, summarize_signed
from simulators.sampling.choice import Choice
from simulators.sampling.ladder import Group, Ladder, Single
from simulators.sampling.order import Length, Order
from simulators.sampling.pilot import Pilot, Times

TAUS_BETWEEN_SAMPLES = 2
ATTEMPTS = 3
"""How often lengths that were found automatically are doubled, counting the first: a pilot that met no rare event may
take the autocorrelation time for too short, in about one point of two hundred; what the certificate then objects to
becomes a part of the thermalization."""

Keep = Callable[[NDArray[Any]], NDArray[Any]]
"""From the configurations of one round, (R, channels, rows, columns), to what is kept of them, (R, ...)."""


@dataclass(frozen=True)
class PointSamples:
    """Samples of one parameter point."""

    configurations: NDArray[Any]
    """(S, channels, rows, columns), or what ``keep`` made of it."""
    chain: NDArray[np.int32]
    """(S,) which chain; even ones started hot, odd ones ordered."""
    sweep: NDArray[np.int64]
    """(S,) sweeps since the start."""
    observables: dict[str, NDArray[np.float64]]
    """``energy``, then the other columns in the system's order, (S,) each, per site."""
    certificate: Certificate
    inputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Second inputs that were asked for, by name, (S, channels, rows, columns)."""


class Schedule(NamedTuple):
    """When to measure."""

    thermalization: int
    """Sweeps before the interval of the first measurement."""
    spacing: int
    """Sweeps between measurements."""
    times: Times | None
    """What a pilot has found; None where the study gave both lengths."""


class Sampler:
    """Exactly ``order.samples`` configurations of every spec, taken in rounds over the chains.

    With "auto" lengths a pilot run is doubled until it is 20 autocorrelation times long, of the slowest among the
    observables that must mix.  It is the thermalization, and samples are two of these times apart.  Only seeded
    numbers decide, never a clock, so a seed fixes the result.  Where the pilot hits its cap, the certificate is not
    ``converged``.

    Args:
        system: what ``contract.load`` returns.
        specs: one point; with parallel tempering the whole ladder, in order.
        order: what is wanted.
        rng: source of all randomness.
        keep: applied to the configurations of each round before they are stored, for instance to pack them: they are
            most of the memory, and filling it is a tenth of the time of a fast sampler.

    Raises:
        SpecError: an algorithm that is not valid here.
    """

    def __init__(
        self, system: System, specs: Sequence[Any], order: Order, rng: np.random.Generator, keep: Keep = np.asarray
    ) -> None:
        self.system, self.specs, self.order, self.keep = system, list(specs), order, keep
        self._refuse()
        self.names = system.names(self.specs[0], order.measure)
        self._usual = system.names(self.specs[0])
        """What pilots measure, which is enough for them."""
        self._inputs = [name for name in order.measure if system.on_request(self.specs[0])[name].shape is not None]
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
        self._measured: list[NDArray[np.float64]] = []
        self._kept: list[NDArray[Any]] = []
        self._kept_inputs: dict[str, NDArray[np.float32]] = {}
        """Of each point, (rounds that are kept, R, channels, rows, columns)."""
        self._started = False
        self._kept_K = np.arange(1, order.kept + 1) * order.rounds // order.kept - 1

    def _refuse(self) -> None:
        ladder = self.order.algorithm == TEMPERING
        named = () if self.order.algorithm == "auto" else (self.order.algorithm,)
        unmeasured = [self.system.cannot_measure(spec, self.order.measure) for spec in self.specs]
        refusals = [self.system.refusal(spec, name) for spec in self.specs for name in named]
        require(
            *((text is None, "algorithm", str(text)) for text in dict.fromkeys(refusals)),
            *((text is None, "measure", str(text)) for text in dict.fromkeys(unmeasured)),
            (ladder or len(self.specs) == 1, "algorithm", "several points run together with tempering only"),
            (not ladder or len(self.specs) > 1, self.system.ladder, "tempering needs at least two values, got one"),
        )

    @property
    def done(self) -> bool:
        return len(self._measured) == self.order.rounds and not self._wants_another()

    def step(self) -> None:
        """Go on by a bounded piece: about half a second, or one sweep."""
        if not self._started:
            self._start()
        elif self._schedule is None:
            self._find_schedule()
        elif self._wait:
            assert self._group is not None
            part = pilot.bounded(self._group, self._wait)
            self._group.advance(part)
            self._wait -= part
        elif len(self._measured) < self.order.rounds:
            self._take()
        elif self._wants_another():
            self._lengthen()

    def _build(self, algorithm: str) -> Group:
        local = self.system.algorithms[0] if algorithm == TEMPERING else algorithm
        rng = self._rngs[algorithm]
        simulations = [self.system.simulation(spec, self._hot_R, local, rng) for spec in self.specs]
        return Ladder(self.specs, simulations, rng) if algorithm == TEMPERING else Single(simulations[0])

    def _start(self) -> None:
        self._started = True
        order = self.order
        if isinstance(order.thermalization, int) and isinstance(order.spacing, int):
            self._group = self._build(self.algorithm)
            self._schedule = Schedule(order.thermalization, order.spacing, None)
            self._wait = order.thermalization + order.spacing
        elif self.algorithm == "auto":
            self._choice = Choice(self.system, self.specs[0], self._usual, self.order.chains, self._build)
            self._choice.start()
        else:
            self._pilot = Pilot(self._build(self.algorithm), self._usual)

    def _find_schedule(self) -> None:
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
        times, done = self._pilot.times, self._pilot.sweeps
        if isinstance(self.order.spacing, int):
            spacing = self.order.spacing
        else:
            spacing = math.ceil(TAUS_BETWEEN_SAMPLES * times.slowest)
            if not times.converged:
                # The time is only a lower bound, and may be absurd; don't let it ask for more than the pilot's cap.
                spacing = min(spacing, max(1, pilot.CAP // self.order.rounds))
        wanted = self.order.thermalization
        thermalization = max(done, wanted) if isinstance(wanted, int) else done
        self._schedule = Schedule(thermalization, spacing, times)
        self._wait = thermalization - done + spacing
        self._group, self._pilot = self._pilot.group, None

    def _take(self) -> None:
        """One measurement of every chain; the configurations of the rounds that are kept."""
        assert self._group is not None and self._schedule is not None
        number = len(self._measured)
        measured_PQR = pilot.measure(self._group, self._usual)
        inputs: list[dict[str, NDArray[np.float64]]] = []
        if self.order.measure:
            measured_PQR, inputs = self._on_request(measured_PQR)
        self._measured.append(measured_PQR)
        if number in self._kept_K:
            slot = int(np.searchsorted(self._kept_K, number))
            self._keep_inputs(slot, inputs)
            for point, simulation in enumerate(self._group.simulations):
                now_R = self.keep(simulation.configurations())
                if len(self._kept) == point:
                    # All memory at once: a list of rounds would have to be copied.
                    self._kept.append(np.zeros((self.order.kept, *now_R.shape), now_R.dtype))
                self._kept[point][slot] = now_R
        self._wait = self._schedule.spacing

    def _on_request(
        self, usual_PQR: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[dict[str, NDArray[np.float64]]]]:
        """``usual_PQR`` with the columns that were asked for, and the inputs of every point."""
        assert self._group is not None
        simulations: Any = self._group.simulations
        found = [simulation.measure_on_request(self.order.measure) for simulation in simulations]
        columns = self.names.columns[len(self._usual.columns) :]
        more_PQR = np.array([[one[name] for name in columns] for one in found])
        inputs = [{name: one[name] for name in self._inputs} for one in found]
        return np.concatenate([usual_PQR, more_PQR], axis=1) if columns else usual_PQR, inputs

    def _keep_inputs(self, slot: int, inputs: list[dict[str, NDArray[np.float64]]]) -> None:
        for point, one in enumerate(inputs):
            for name, input_R in one.items():
                shape = (self.order.kept, *input_R.shape)
                self._kept_inputs.setdefault(f"{point}.{name}", np.zeros(shape, np.float32))[slot] = input_R

    def _wants_another(self) -> bool:
        """Whether the certificate objects to lengths that were chosen here and may still be doubled."""
        automatic = self.order.thermalization == self.order.spacing == "auto"
        if not automatic or self._attempts == ATTEMPTS:
            return False
        assert self._schedule is not None and self._schedule.times is not None
        return self._schedule.times.converged and any(
            self._objections(self._summaries(point)) for point in range(len(self.specs))
        )

    def _lengthen(self) -> None:
        assert self._schedule is not None
        thermalization, spacing, times = self._schedule
        self._schedule = Schedule(thermalization + spacing * self.order.rounds, 2 * spacing, times)
        self._attempts += 1
        self._measured, self._wait = [], self._schedule.spacing

    def _summaries(self, point: int) -> dict[str, Summary]:
        assert self._schedule is not None
        found = pilot.series(self._measured, point, self.names)
        times = self._schedule.times
        tau = {} if times is None else dict(times.tau[point])
        # Pilots do not measure what is measured on request.
        for name in found.keys() - tau.keys():
            tau[name] = self._schedule.spacing * autocorrelation_time(found[name]).tau
        sign_RT = found[SIGN] if self.names.signed else np.ones(1)
        if (sign_RT == 1).all():
            return {name: summarize(x_RT, self._hot_R, tau[name]) for name, x_RT in found.items()}
        return {
            name: summarize(x_RT, self._hot_R, tau[name])
            if name == SIGN
            else summarize_signed(x_RT, sign_RT, self._hot_R, tau[name])
            for name, x_RT in found.items()
        }

    def _objections(self, summaries: dict[str, Summary]) -> list[str]:
        assert self._schedule is not None
        times = self._schedule.times
        return objections(summaries, self.names.judged, times is None or times.converged)

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
        assert self._group is not None and self._schedule is not None
        order, schedule, names = self.order, self._schedule, self.names
        series = pilot.series(self._measured, point, names)
        summaries = self._summaries(point)
        reasons = self._objections(summaries)
        certificate = Certificate(
            observables=summaries,
            acceptance=self._group.simulations[point].acceptance,
            thermalization=schedule.thermalization,
            spacing=schedule.spacing,
            attempts=self._attempts,
            algorithm=self.algorithm,
            choice=self.reason,
            tempering=report,
            chains=order.chains,
            measurements=order.rounds,
            converged=schedule.times is None or schedule.times.converged,
            certified=not reasons,
            reasons=reasons,
            numerics=getattr(self._group.simulations[point], "numerics", {}),
        )
        kept_KR = self._kept[point]
        sweep_K = schedule.thermalization + schedule.spacing * (self._kept_K + 1)
        return PointSamples(
            configurations=kept_KR.reshape(-1, *kept_KR.shape[2:])[: order.samples],
            chain=np.tile(np.arange(order.chains, dtype=np.int32), order.kept)[: order.samples],
            sweep=np.repeat(sweep_K, order.chains)[: order.samples],
            observables={name: series[name][:, self._kept_K].T.ravel()[: order.samples] for name in names.columns},
            certificate=certificate,
            inputs={name: self._input(point, name) for name in self._inputs},
        )

    def _input(self, point: int, name: str) -> NDArray[np.float32]:
        kept_KR = self._kept_inputs[f"{point}.{name}"]
        return kept_KR.reshape(-1, *kept_KR.shape[2:])[: self.order.samples]

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
        arrays |= {f"kept.{point}": array for point, array in enumerate(self._kept)}
        arrays |= {f"inputs.{name}": array for name, array in self._kept_inputs.items()}
        return arrays | {"measured": np.array(self._measured), "progress": np.array(json.dumps(progress))}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state`` of a sampler that was made with the same arguments, bit for bit."""
        progress = json.loads(str(state["progress"]))
        self.algorithm, self.reason, self._wait = progress["algorithm"], progress["reason"], progress["wait"]
        self._attempts, schedule = progress["attempts"], progress["schedule"]
        if schedule is not None:
            thermalization, spacing, times = schedule
            self._schedule = Schedule(thermalization, spacing, None if times is None else Times(*times))
        # Ordered starts are cheap, and are overwritten.
        self._hot_R, hot_R = np.zeros_like(self._hot_R), self._hot_R
        for name in ("choice", "pilot", "group"):
            part = pilot.unpack(name, state)
            if part:
                self._restore_part(name, part)
        self._hot_R = hot_R
        self._measured = list(state["measured"])
        self._kept = [state[f"kept.{point}"].copy() for point in range(len(self.specs)) if f"kept.{point}" in state]
        self._kept_inputs = {name: array.copy() for name, array in pilot.unpack("inputs", state).items()}
        self._started = True

    def _restore_part(self, name: str, state: dict[str, NDArray[Any]]) -> None:
        if name == "choice":
            self._choice = Choice(self.system, self.specs[0], self._usual, self.order.chains, self._build)
            self._choice.restore(state)
            return
        group = self._build(self.algorithm)
        if name == "pilot":
            self._pilot = Pilot(group, self._usual)
            self._pilot.restore(state)
        else:
            self._group = group
            group.restore(state)


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
    keep: Keep = np.asarray,
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
    sampler = Sampler(system, [spec], order, rng, keep)
    while not sampler.done:
        sampler.step()
    return sampler.result()[0]
