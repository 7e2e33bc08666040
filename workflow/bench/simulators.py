"""Cost of every algorithm of every system, the vector kernels against plain ones, and how far they are from their roof.

Nanoseconds of one core per site and sweep; the constants ``nanoseconds`` in ``simulators/systems``, from which
``algorithm = "auto"`` computes, come from here.  All works of a lattice size take turns, in processor seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators import contract
from simulators.reference import plain, plain_continuous
from simulators.reference.exact import ISING_CRITICAL_TEMPERATURE
from simulators.rng import lanes, sfc64
from workflow.bench._figure import Figure, FigureGate, Reference
from workflow.bench._timing import Work, interleaved, lasting

GROUP = "simulators"
CHAINS = 64
SEED = 20210
SIZES = (32, 128)
WARM_UP = 30
FILLS = 64
"""Blocks of random words per call of the roof."""

Plain = Callable[[Any, NDArray[Any], NDArray[np.uint64], int], object]
"""(spec, states_RIJ, state_RV, sweeps): a plain kernel of a system's first algorithm."""


def _potts_energy(spec: Any) -> NDArray[np.float64]:
    return -spec.coupling * (np.arange(spec.states) == 0).astype(float)


def _clock_energy(spec: Any) -> NDArray[np.float64]:
    angles: NDArray[np.float64] = -spec.coupling * np.cos(2 * np.pi * np.arange(spec.states) / spec.states)
    return angles


def _potts_metropolis(spec: Any, states: NDArray[Any], state: NDArray[np.uint64], sweeps: int) -> object:
    weights = np.exp(-np.arange(1, 5) * spec.coupling / spec.temperature)
    return plain.potts_metropolis(states, state, spec.states, weights, sweeps)


def _blume_capel(spec: Any, states: NDArray[Any], state: NDArray[np.uint64], sweeps: int) -> object:
    weights = plain.blume_capel_weights(spec.coupling, spec.crystal_field, spec.temperature)
    return plain.blume_capel(states, state, weights, sweeps)


def _xy(spec: Any, states: NDArray[Any], state: NDArray[np.uint64], sweeps: int) -> object:
    return plain_continuous.planar(states, state, spec.coupling / spec.temperature, 1.0, sweeps)


def _phi4(spec: Any, states: NDArray[Any], state: NDArray[np.uint64], sweeps: int) -> object:
    return plain_continuous.phi4_metropolis(states, state, spec.hopping, spec.quartic, 1.0, sweeps)


class KernelCase(NamedTuple):
    """One system near its transition."""

    fields: dict[str, float]
    plain: dict[str, Plain]
    """A plain kernel of the same move, for each algorithm that has one."""
    gate: FigureGate | None
    """For the best of these ratios."""


CASES = {
    "ising": KernelCase({"coupling": 1.0, "temperature": ISING_CRITICAL_TEMPERATURE}, {}, None),
    "potts": KernelCase(
        {"states": 3, "coupling": 1.0, "temperature": 1 / math.log(1 + math.sqrt(3))},
        {
            "metropolis": _potts_metropolis,
            "heat-bath": lambda p, s, v, n: plain.heat_bath(s, v, _potts_energy(p), p.temperature, n),
        },
        FigureGate(low=8),
    ),
    "clock": KernelCase(
        {"states": 6, "coupling": 1.0, "temperature": 0.9},
        {
            "metropolis": lambda p, s, v, n: plain.metropolis(s, v, _clock_energy(p), p.temperature, n),
            "heat-bath": lambda p, s, v, n: plain.heat_bath(s, v, _clock_energy(p), p.temperature, n),
        },
        FigureGate(low=8),
    ),
    "blume-capel": KernelCase(
        {"coupling": 1.0, "crystal_field": 1.0, "temperature": 1.4},
        {"metropolis": _blume_capel},
        FigureGate(low=8),
    ),
    "xy": KernelCase({"coupling": 1.0, "temperature": 0.89}, {"metropolis": _xy}, FigureGate(low=4)),
    "phi4": KernelCase({"hopping": 0.28, "quartic": 0.1}, {"metropolis": _phi4}, FigureGate(low=4)),
}


def measure(quick: bool) -> Iterator[Figure]:
    """Every system at both sizes."""
    rounds, seconds = (3, 0.1) if quick else (7, 0.3)
    for name in CASES:
        for size in SIZES[: 1 if quick else None]:
            yield from _system(name, size, rounds, seconds)


def _system(name: str, size: int, rounds: int, seconds: float) -> Iterator[Figure]:
    case, system = CASES[name], contract.load(name)
    spec = system.spec(size=size, **case.fields)
    hot = np.arange(CHAINS) % 2 == 0
    simulations = {
        algorithm: system.simulation(spec, hot, algorithm, np.random.default_rng(SEED))
        for algorithm in system.algorithms
    }
    works: dict[str, Work] = {}
    for algorithm, simulation in simulations.items():
        simulation.advance(WARM_UP)
        works[algorithm] = _advancing(simulation, size, seconds)
    for algorithm, kernel in case.plain.items():
        works[f"plain {algorithm}"] = _plainly(simulations[algorithm], kernel, spec, seconds)
    words = {algorithm: words_per_update(simulation, size) for algorithm, simulation in simulations.items()}
    works["random words"] = _random_words(seconds)
    works["memory"] = _copying(simulations[system.algorithms[0]], seconds)
    rates = interleaved(works, rounds, time.process_time)
    cost = {work: 1e9 / rates[work] for work in works}
    best = max(
        case.plain, key=lambda algorithm: float(np.median(rates[algorithm] / rates[f"plain {algorithm}"])), default=""
    )
    for algorithm in simulations:
        ours = float(np.median(cost[algorithm]))
        roof = float(np.median(cost["random words"])) * words[algorithm]
        memory = float(np.median(cost["memory"]))
        notes = [f"table {system.nanoseconds(algorithm, spec):g} ns"]
        if roof:
            notes.append(f"its {words[algorithm]:.2g} random words alone take {roof / ours:.0%} of it")
        notes.append(f"to copy the states takes {memory / ours:.0%}")
        yield Figure.over(
            cost[algorithm],
            group=GROUP,
            name=f"{name} {algorithm} L={size}",
            unit="ns",
            reference=None,
            note=", ".join(notes),
        )
        if algorithm in case.plain:
            other = f"plain {algorithm}"
            yield Figure.over(
                rates[algorithm] / rates[other],
                group=GROUP,
                name=f"{name} {algorithm} L={size} / plain",
                unit="x",
                reference=Reference("plain kernel", float(np.median(cost[other])), "ns"),
                gate=case.gate if algorithm == best else None,
            )


def _advancing(simulation: contract.Simulation, size: int, seconds: float) -> Work:
    def step(sweeps: int) -> float:
        simulation.advance(sweeps)
        return sweeps * CHAINS * size**2

    return lasting(step, seconds, time.process_time)


def _plainly(simulation: contract.Simulation, kernel: Plain, spec: Any, seconds: float) -> Work:
    """The plain kernel on a few chains, which is as fast per site as on many."""
    configurations = simulation.configurations()[:4, 0]
    states = configurations.astype(np.float64) if configurations.dtype.kind == "f" else configurations.astype(np.int8)
    sites = states.size
    if configurations.dtype.kind == "f" and not hasattr(spec, "hopping"):
        states = np.stack([np.cos(states), np.sin(states)], axis=-1)
    state = sfc64.generators(np.random.default_rng(SEED), len(states))

    def step(sweeps: int) -> float:
        kernel(spec, states, state, sweeps)
        return sweeps * sites

    return lasting(step, seconds, time.process_time)


def words_per_update(simulation: contract.Simulation, size: int) -> float:
    """Random words of 64 bits that a kernel of lanes draws per site and sweep; 0 for other kernels."""
    before = simulation.state().get("streams")
    if before is None or before.shape[-1] != lanes.STREAM_LENGTH:
        return 0.0
    simulation.advance(4)
    drawn = (simulation.state()["streams"][:, lanes.COUNTER] - before[:, lanes.COUNTER]).sum() * lanes.LANES
    return float(drawn) / (4 * CHAINS * size**2)


def _random_words(seconds: float) -> Work:
    stream_S = lanes.streams(np.random.default_rng(SEED), 1)[0]

    def step(times: int) -> float:
        fill_blocks(stream_S, times * FILLS)
        return times * FILLS * lanes.BLOCK * lanes.LANES

    return lasting(step, seconds, time.process_time)


@njit(cache=True, nogil=True)
def fill_blocks(stream_S: NDArray[np.uint64], fills: int) -> None:
    """Make ``fills`` blocks of random words, each over the last."""
    for _ in range(fills):
        lanes.fill(stream_S)


def _copying(simulation: contract.Simulation, seconds: float) -> Work:
    """Read and write the states of all chains once: what memory alone would allow."""
    state = simulation.state()
    sites = simulation.configurations().size
    arrays = [array for name, array in state.items() if name in ("states", "even", "odd")]
    copies = [np.empty_like(array) for array in arrays]

    def step(times: int) -> float:
        for _ in range(times):
            for copy, array in zip(copies, arrays, strict=True):
                np.copyto(copy, array)
        return times * sites

    return lasting(step, seconds, time.process_time)
