"""Independent samples of |m| per second of one core: Ising at T_c, against mcising, and what ``auto`` chooses.

A rate of sweeps over twice the integrated autocorrelation time of |m|, which is measured the same way for all: by
``simulators.sampling.autocorrelation`` from the series of |m| after every sweep (or every so many, where that is
long).  A sweep is whatever the program calls one, so a ratio does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators import contract
from simulators.reference.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.sampling import sampler as sampling
from simulators.sampling.autocorrelation import autocorrelation_time
from simulators.sampling.order import Order
from simulators.systems import ising
from workflow.bench._figure import Figure, FigureGate, Reference, SkippedFigure
from workflow.bench._timing import Work, interleaved, lasting
from workflow.bench.kernels import MCISING, SEED, peer

GROUP = "independent"
CHAINS = 64
GATES = {
    16: FigureGate(low=15),
    32: FigureGate(low=5),
    64: FigureGate(low=1.3),
    128: FigureGate(low=1.1),
    256: FigureGate(low=1.1),
}
"""Ours over the best of mcising's algorithms, by lattice size."""
WOLFF_GATE = FigureGate(low=1.3)
WOLFF_GATED = (128, 256)
"""Spins per second of single clusters."""
CHOICE_GATE = FigureGate(high=1.3)
"""What the best algorithm gives over what ``auto``'s gives."""
METROPOLIS_UP_TO = {"ours": 128, MCISING: 64}
"""Beyond this size the autocorrelation time of Metropolis takes too long to measure, and clusters win anyway."""
SERIES_TAUS = 60
"""Autocorrelation times in a series of 64 chains, whose tau is then known to a few per cent; one chain needs more."""
PEER_TAUS = 4000
CAP = 2**17


def measure(quick: bool) -> Iterator[Figure | SkippedFigure]:
    """The contest at T_c by size, then the choice of ``auto``."""
    rounds, seconds = (3, 0.1) if quick else (7, 0.4)
    mcising = peer(MCISING)
    for size in list(GATES)[: 2 if quick else None]:
        yield from _contest(size, mcising, rounds, seconds)
    for size in list(GATES)[: 2 if quick else None]:
        for temperature, words in ((T_C, "T_c"), (1.5 * T_C, "1.5 T_c")):
            yield _chosen(size, temperature, words, rounds, seconds)


class Contestant(NamedTuple):
    """One algorithm of one program."""

    work: Work
    """Does sweeps and returns how many chains times sweeps they were."""
    tau: float
    """Of |m|, in its sweeps."""
    spins: float
    """Spins that one sweep of a chain turns, or tries to."""


def magnetization_tau(series: list[NDArray[np.float64]], every: int) -> tuple[float, bool]:
    """tau of |m| in sweeps from measurements (R,) that are ``every`` sweeps apart, and whether they show it."""
    estimate = autocorrelation_time(np.abs(np.stack(series, axis=1)))
    return every * estimate.tau, estimate.long_enough


def ours(size: int, temperature: float, algorithm: str, seconds: float) -> Contestant | None:
    """One of our algorithms with 64 chains; None where its tau is too long to be measured."""
    spec = ising.Spec(size=size, coupling=1.0, temperature=temperature)
    hot = np.arange(CHAINS) % 2 == 0
    simulation = ising.Simulation(spec, hot, algorithm, np.random.default_rng(SEED))
    every = 1
    guess = ising.expected_tau(spec, algorithm)
    while 8 * every < guess:
        every *= 2
    length = max(64, int(SERIES_TAUS * guess / every))
    if length * every > CAP:
        return None
    simulation.advance(int(20 * guess))
    tau, enough = guess, False
    series: list[NDArray[np.float64]] = []
    while not enough or len(series) * every < SERIES_TAUS * tau / 2:
        if len(series) * every > CAP:
            return None
        for _ in range(length):
            simulation.advance(every)
            series.append(simulation.measure()["magnetization"])
        tau, enough = magnetization_tau(series, every)

    def step(sweeps: int) -> float:
        simulation.advance(sweeps)
        return sweeps * CHAINS

    spins = simulation.acceptance * size**2 if algorithm == "wolff" else float(size**2)
    return Contestant(lasting(step, seconds, time.process_time), tau, spins)


def theirs(mcising: ModuleType, size: int, algorithm: str, seconds: float) -> Contestant:
    """One of mcising's algorithms, one lattice; a sweep of its Wolff is one cluster."""
    simulation = mcising.IsingSimulation(size, 1.0, 0.0, 0.0, 0.0, SEED, algorithm.replace("-", "_"))
    guess = ising.expected_tau(ising.Spec(size=size, coupling=1.0, temperature=T_C), algorithm) + 2
    # From an ordered start, which single clusters bring to T_c sooner than a random one.
    simulation.set_spins(np.ones_like(simulation.get_spins()))
    simulation.sweep(int(200 * guess), temperature=T_C)
    every = max(1, int(guess / 8))
    series: list[NDArray[np.float64]] = []
    turned = 0
    for _ in range(int(PEER_TAUS * guess / every)):
        turned += simulation.sweep(every, temperature=T_C)[0]
        series.append(np.array([simulation.magnetization()]))
    tau, _ = magnetization_tau(series, every)

    def step(sweeps: int) -> float:
        simulation.sweep(sweeps, temperature=T_C)
        return sweeps

    spins = turned / (len(series) * every) if algorithm == "wolff" else float(size**2)
    return Contestant(lasting(step, seconds, time.process_time), tau, spins)


def _contest(size: int, mcising: ModuleType | None, rounds: int, seconds: float) -> Iterator[Figure | SkippedFigure]:
    names = [name for name in ising.ALGORITHMS if name != "metropolis" or size <= METROPOLIS_UP_TO["ours"]]
    entered = {f"ours {name}": ours(size, T_C, name, seconds) for name in names}
    if mcising is not None:
        names = [name for name in ising.ALGORITHMS if name != "metropolis" or size <= METROPOLIS_UP_TO[MCISING]]
        entered |= {f"{MCISING} {name}": theirs(mcising, size, name, seconds) for name in names}
    field = {name: contestant for name, contestant in entered.items() if contestant is not None}
    rates = interleaved({name: contestant.work for name, contestant in field.items()}, rounds, time.process_time)
    independent = {name: rates[name] / (2 * field[name].tau) for name in field}
    median = {name: float(np.median(values)) for name, values in independent.items()}
    best = max((name for name in median if name.startswith("ours")), key=median.__getitem__)
    note = ", ".join(f"{name} {median[name]:,.0f}/s (tau {field[name].tau:.3g})" for name in field)
    if mcising is None:
        yield SkippedFigure(GROUP, f"L={size} / {MCISING}", f"{MCISING} is not installed; the extra bench brings it")
        return
    rival = max((name for name in median if name.startswith(MCISING)), key=median.__getitem__)
    yield Figure.over(
        independent[best] / independent[rival],
        group=GROUP,
        name=f"L={size} {best} / {rival}",
        unit="x",
        reference=Reference(rival, median[rival], "samples/s"),
        gate=GATES[size],
        note=note,
    )
    for name in ("wolff", "swendsen-wang"):
        own, peer = f"ours {name}", f"{MCISING} {name}"
        spins = {contestant: rates[contestant] * field[contestant].spins / 1e9 for contestant in (own, peer)}
        yield Figure.over(
            spins[own] / spins[peer],
            group=GROUP,
            name=f"L={size} {name}, spins, / {MCISING}",
            unit="x",
            reference=Reference(peer, float(np.median(spins[peer])), "spins/ns"),
            gate=WOLFF_GATE if name == "wolff" and size in WOLFF_GATED else None,
        )


def auto(size: int, temperature: float) -> str:
    """What ``auto`` chooses."""
    order = Order(chains=CHAINS, samples=CHAINS, algorithm="auto", thermalization="auto", spacing="auto")
    spec = ising.Spec(size=size, coupling=1.0, temperature=temperature)
    work = sampling.Sampler(contract.load("ising"), [spec], order, np.random.default_rng(SEED))
    while work.algorithm == "auto":
        work.step()
    return work.algorithm


def _chosen(size: int, temperature: float, words: str, rounds: int, seconds: float) -> Figure:
    entered = {name: ours(size, temperature, name, seconds) for name in ising.ALGORITHMS}
    field = {name: contestant for name, contestant in entered.items() if contestant is not None}
    rates = interleaved({name: contestant.work for name, contestant in field.items()}, rounds, time.process_time)
    independent = {name: rates[name] / (2 * field[name].tau) for name in field}
    choice = auto(size, temperature)
    best = max(independent, key=lambda name: float(np.median(independent[name])))
    medians = ", ".join(f"{name} {np.median(independent[name]):,.0f}/s" for name in field)
    return Figure.over(
        independent[best] / independent[choice],
        group=GROUP,
        name=f"auto L={size} {words}: {choice}",
        unit="x",
        reference=Reference(f"{best}, the best", float(np.median(independent[best])), "samples/s"),
        gate=CHOICE_GATE,
        note=medians,
    )
