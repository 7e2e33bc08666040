"""Nearly independent, certified samples of any system: starts, thermalization, spacing, measurement.

Axes: S samples, R chains, T measurements, Q observables.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.autocorrelation import autocorrelation_time
from simulators.certificate import Certificate, objections, summarize
from simulators.contract import Simulation, System, require

FEWEST_CHAINS = 4
"""Two hot, two ordered: the fewest that show whether the start is forgotten."""
FEWEST_ROUNDS = 16
FEWEST_MEASUREMENTS = 400
"""Over all chains: with measurements two tau apart, about three times the effective samples that a certificate asks
for, since these are known to no better than a factor when chains are few."""

PILOT_START = 64
PILOT_CAP = 2**17
"""Sweeps after which "auto" stops looking for the autocorrelation time and the certificate says so."""
PILOT_TAUS = 20
"""Length of a sufficient pilot in autocorrelation times; its first half is not used to measure them."""
PILOT_INDEPENDENT = 50
"""Independent measurements, over all chains, that the used half must hold: tau is then known to a fifth."""
PILOT_MEASUREMENTS = 1024
"""A longer pilot measures more rarely."""
TAUS_BETWEEN_SAMPLES = 2


Keep = Callable[[NDArray[Any]], NDArray[Any]]
"""From the configurations of one round, (R, channels, rows, columns), to what is kept of them, (R, ...)."""


@dataclass(frozen=True)
class Samples:
    """What ``sample`` returns."""

    configurations: NDArray[Any]
    """(S, channels, rows, columns), or what ``keep`` made of it."""
    chain: NDArray[np.int32]
    """(S,) which chain; even ones started hot, odd ones ordered."""
    sweep: NDArray[np.int64]
    """(S,) sweeps since the start."""
    observables: dict[str, NDArray[np.float64]]
    """``energy``, then the order parameters in the system's order, (S,) each, per site."""
    certificate: Certificate


class Schedule(NamedTuple):
    """When to measure."""

    thermalization: int
    """Sweeps that have been done."""
    spacing: int
    tau: dict[str, float] | None
    """Autocorrelation times in sweeps, where a pilot has found them."""
    converged: bool


class Record(NamedTuple):
    """What was measured."""

    series: dict[str, NDArray[np.float64]]
    """x_RT of every observable, magnitudes of order parameters included."""
    kept_KR: NDArray[Any]
    """(K, R, ...) what was kept of the configurations of K rounds."""
    kept_K: NDArray[np.int64]
    """Their numbers, the first round being 0."""


def sample(
    system: System,
    spec: Any,
    *,
    chains: int,
    samples: int,
    algorithm: str,
    thermalization: int | Literal["auto"],
    spacing: int | Literal["auto"],
    rng: np.random.Generator,
    keep: Keep = np.asarray,
) -> Samples:
    """Exactly ``samples`` configurations of ``spec``, taken in rounds over the chains.

    With "auto" a pilot run is doubled until it is 20 autocorrelation times long, of the slowest among the energy and
    the magnitudes of the order parameters (their signs never mix in an ordered phase).  It is the thermalization, and
    samples are two of these times apart.  Only seeded numbers decide, never a clock, so a seed fixes the result.
    Where the pilot hits its cap, the certificate is not ``converged``.

    Args:
        system: what ``contract.load`` returns.
        spec: a ``system.spec``.
        chains: independent chains, at least 4; even ones start hot, odd ones ordered.
        samples: at least 1; if no multiple of ``chains``, the last round gives its first chains only.
        algorithm: one of ``system.algorithms``, or "auto" for the first.
        thermalization: sweeps, at least 0, before measuring; a pilot for the spacing may make it longer.
        spacing: sweeps between measurements, at least 1.
        rng: source of all randomness.
        keep: applied to the configurations of each round before they are stored, for instance to pack them: they are
            most of the memory, and filling it is a tenth of the time of a fast sampler.

    Raises:
        SpecError: arguments out of range, all of them at once.
    """
    algorithm = system.algorithms[0] if algorithm == "auto" else algorithm
    require(
        (chains >= FEWEST_CHAINS, "chains", f"must be at least {FEWEST_CHAINS}, got {chains}"),
        (samples >= 1, "samples", f"must be at least 1, got {samples}"),
        (
            algorithm in system.algorithms,
            "algorithm",
            f"must be auto or one of {', '.join(system.algorithms)}, got {algorithm!r}",
        ),
        _auto_or_at_least(0, "thermalization", thermalization),
        _auto_or_at_least(1, "spacing", spacing),
    )
    hot_R = np.arange(chains) % 2 == 0
    simulation = system.simulation(spec, hot_R, algorithm, rng)
    kept = -(-samples // chains)
    rounds = max(kept, FEWEST_ROUNDS, -(-FEWEST_MEASUREMENTS // chains))
    schedule = _thermalize(simulation, system.order_parameters, thermalization, spacing, rounds)
    record = _measure(simulation, system.order_parameters, schedule.spacing, rounds, kept, keep)
    certificate = _certify(record.series, system.order_parameters, schedule, hot_R, algorithm, simulation.acceptance)
    sweep_K = schedule.thermalization + schedule.spacing * (record.kept_K + 1)
    return Samples(
        configurations=record.kept_KR.reshape(-1, *record.kept_KR.shape[2:])[:samples],
        chain=np.tile(np.arange(chains, dtype=np.int32), kept)[:samples],
        sweep=np.repeat(sweep_K, chains)[:samples],
        observables={
            name: record.series[name][:, record.kept_K].T.ravel()[:samples]
            for name in ("energy", *system.order_parameters)
        },
        certificate=certificate,
    )


def _auto_or_at_least(least: int, field: str, value: int | Literal["auto"]) -> tuple[bool, str, str]:
    usable = value == "auto" or (isinstance(value, int) and value >= least)
    return usable, field, f'must be "auto" or a number of sweeps of at least {least}, got {value!r}'


def _thermalize(
    simulation: Simulation,
    order_parameters: tuple[str, ...],
    thermalization: int | Literal["auto"],
    spacing: int | Literal["auto"],
    rounds: int,
) -> Schedule:
    """Advance ``simulation`` until its measurements may begin."""
    if isinstance(thermalization, int) and isinstance(spacing, int):
        simulation.advance(thermalization)
        return Schedule(thermalization, spacing, None, True)
    pilot = run_pilot(simulation, order_parameters)
    done = pilot.sweeps
    if isinstance(thermalization, int) and thermalization > done:
        simulation.advance(thermalization - done)
        done = thermalization
    if isinstance(spacing, int):
        return Schedule(done, spacing, pilot.tau, pilot.converged)
    apart = math.ceil(TAUS_BETWEEN_SAMPLES * pilot.slowest)
    if not pilot.converged:
        # The time is only a lower bound, and may be absurd; don't let it ask for more than the pilot's cap.
        apart = min(apart, max(1, PILOT_CAP // rounds))
    return Schedule(done, apart, pilot.tau, pilot.converged)


class Pilot(NamedTuple):
    """A run that finds out how long runs must be."""

    sweeps: int
    tau: dict[str, float]
    """Integrated autocorrelation time of each observable, in sweeps."""
    slowest: float
    """The longest of those that must mix."""
    converged: bool


def run_pilot(simulation: Simulation, order_parameters: tuple[str, ...]) -> Pilot:
    """Double a run until its second half shows that the whole is 20 autocorrelation times long, or the cap is hit."""
    measured: list[NDArray[np.float64]] = []
    sweeps, every = PILOT_START, 1
    while True:
        while len(measured) * every < sweeps:
            simulation.advance(every)
            measured.append(_measure_all(simulation, order_parameters))
        series = _with_magnitudes(measured[len(measured) // 2 :], order_parameters)
        times = {name: autocorrelation_time(x_RT) for name, x_RT in series.items()}
        judged = [times[name] for name in _judged(order_parameters)]
        slowest = every * max(time.tau for time in judged)
        independent = series["energy"].size * every / (2 * slowest)
        converged = (
            all(time.long_enough for time in judged)
            and sweeps >= PILOT_TAUS * slowest
            and independent >= PILOT_INDEPENDENT
        )
        if converged or 2 * sweeps > PILOT_CAP:
            return Pilot(sweeps, {name: every * time.tau for name, time in times.items()}, slowest, converged)
        sweeps *= 2
        if len(measured) >= PILOT_MEASUREMENTS:
            measured, every = measured[1::2], 2 * every


def _measure(
    simulation: Simulation, order_parameters: tuple[str, ...], spacing: int, rounds: int, kept: int, keep: Keep
) -> Record:
    """``rounds`` measurements; the configurations of ``kept`` of them, evenly spread, the last one included."""
    kept_K = np.arange(1, kept + 1) * rounds // kept - 1
    measured: list[NDArray[np.float64]] = []
    now_R = keep(simulation.configurations())
    # All memory at once: configurations are most of what a task holds, and a list of them would have to be copied.
    kept_KR = np.empty((kept, *now_R.shape), now_R.dtype)
    taken = 0
    for number in range(rounds):
        simulation.advance(spacing)
        measured.append(_measure_all(simulation, order_parameters))
        if number == kept_K[taken]:
            kept_KR[taken] = keep(simulation.configurations())
            taken = min(taken + 1, kept - 1)
    return Record(_with_magnitudes(measured, order_parameters), kept_KR, kept_K)


def _measure_all(simulation: Simulation, order_parameters: tuple[str, ...]) -> NDArray[np.float64]:
    """(Q, R) the energy and the order parameters now."""
    values = simulation.measure()
    return np.stack([values[name] for name in ("energy", *order_parameters)])


def _with_magnitudes(
    measured: list[NDArray[np.float64]], order_parameters: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """x_RT of the energy, the order parameters and their magnitudes, from T measurements (Q, R)."""
    series_QRT = np.stack(measured, axis=2)
    signed = dict(zip(("energy", *order_parameters), series_QRT, strict=True))
    return signed | {f"abs_{name}": np.abs(signed[name]) for name in order_parameters}


def _judged(order_parameters: tuple[str, ...]) -> tuple[str, ...]:
    """The observables that must mix."""
    return "energy", *(f"abs_{name}" for name in order_parameters)


def _certify(
    series: dict[str, NDArray[np.float64]],
    order_parameters: tuple[str, ...],
    schedule: Schedule,
    hot_R: NDArray[np.bool_],
    algorithm: str,
    acceptance: float,
) -> Certificate:
    tau = schedule.tau or {name: schedule.spacing * autocorrelation_time(x).tau for name, x in series.items()}
    observables = {name: summarize(x_RT, hot_R, tau[name]) for name, x_RT in series.items()}
    reasons = objections(observables, _judged(order_parameters), schedule.converged)
    return Certificate(
        observables=observables,
        acceptance=acceptance,
        thermalization=schedule.thermalization,
        spacing=schedule.spacing,
        algorithm=algorithm,
        chains=len(hot_R),
        measurements=series["energy"].shape[1],
        converged=schedule.converged,
        certified=not reasons,
        reasons=reasons,
    )
