"""Spin updates per second of one core: Ising at T_c, against other programs, a plain kernel and the kernel's roof.

All works of one lattice size take turns and are timed in processor seconds of this process, which other programs on
the machine disturb least.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import ModuleType

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.discrete import multispin
from simulators.reference.exact import ISING_CRITICAL_TEMPERATURE as T_C
from simulators.rng import lanes, sfc64
from simulators.systems import ising
from workflow.bench._figure import Figure, FigureGate, Reference, SkippedFigure
from workflow.bench._timing import Work, interleaved, lasting

GROUP = "kernels"
OURS = "ours"
MASKS = "random masks"
SCALAR = "scalar kernel"
MCISING = "mcising"
PEAPODS = "peapods"
PEERS = (MCISING, PEAPODS)
CHAINS = 64
SEED = 20210
FASTER_THAN_MCISING = {32: FigureGate(low=35), 128: FigureGate(low=40), 512: FigureGate(low=45)}
"""Metropolis, by lattice size."""
CLUSTER_SIZES = (32, 128)
WARM_UP_SWEEPS = {"metropolis": 200, "swendsen-wang": 20}
"""Before the timing starts: the share of accepted moves, and with it the speed, is then that of T_c."""
MASKS_PER_FILL = multispin.BLOCK * lanes.LANES
"""Moves that one call of the mask generator decides."""


def measure(quick: bool) -> Iterator[Figure | SkippedFigure]:
    """Metropolis at every size, then Swendsen-Wang; ratios of rates of one core."""
    rounds, seconds = (3, 0.1) if quick else (9, 0.4)
    peers = {name: peer(name) for name in PEERS}
    for size in list(FASTER_THAN_MCISING)[: 2 if quick else None]:
        rates = interleaved(_metropolis(size, peers, seconds), rounds, time.process_time)
        yield from compared("metropolis", size, rates, peers)
    for size in CLUSTER_SIZES:
        rates = interleaved(_swendsen_wang(size, peers, seconds), rounds, time.process_time)
        yield from compared("swendsen-wang", size, rates, {MCISING: peers[MCISING]})


def peer(name: str) -> ModuleType | None:
    """The package ``name`` of the extra ``bench``; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def compared(
    algorithm: str, size: int, rates: Mapping[str, NDArray[np.float64]], peers: Mapping[str, ModuleType | None]
) -> Iterator[Figure | SkippedFigure]:
    """Ours over each of the others, round by round.

    Args:
        algorithm, size: what was measured.
        rates: (rounds,) spin updates per second, by name; ours among them.
        peers: other programs by name; None where one is not installed.
    """
    ours = f"ours: {np.median(rates[OURS]) / 1e9:.3g} spins/ns of one core with {CHAINS} chains"
    for name in rates:
        if name != OURS:
            gates = FASTER_THAN_MCISING if algorithm == "metropolis" and name == MCISING else {}
            yield Figure.over(
                rates[OURS] / rates[name],
                group=GROUP,
                name=f"{algorithm} L={size} / {name}",
                unit="x",
                reference=Reference(_versioned(name), float(np.median(rates[name])) / 1e9, "spins/ns"),
                gate=gates.get(size),
                note=ours,
            )
            ours = ""
    for name, module in peers.items():
        if module is None:
            reason = f"{name} is not installed; pip install 'latentphase[bench]' brings it"
            yield SkippedFigure(GROUP, f"{algorithm} L={size} / {name}", reason)


def _versioned(name: str) -> str:
    return f"{name} {importlib.metadata.version(name)}" if name in PEERS else name


def _metropolis(size: int, peers: Mapping[str, ModuleType | None], seconds: float) -> dict[str, Work]:
    works = {OURS: _ours(size, "metropolis", seconds)}
    if (mcising := peers[MCISING]) is not None:
        works[MCISING] = _mcising(mcising, size, "metropolis", seconds)
    if (peapods := peers[PEAPODS]) is not None:
        works[PEAPODS] = _peapods(peapods, size, seconds)
    works[SCALAR] = _scalar(size, seconds)
    works[MASKS] = _masks(seconds)
    return works


def _swendsen_wang(size: int, peers: Mapping[str, ModuleType | None], seconds: float) -> dict[str, Work]:
    works = {OURS: _ours(size, "swendsen-wang", seconds)}
    if (mcising := peers[MCISING]) is not None:
        works[MCISING] = _mcising(mcising, size, "swendsen-wang", seconds)
    return works


def _ours(size: int, algorithm: str, seconds: float) -> Work:
    """``Simulation.advance`` with all that it does besides the kernel: cutting, counting what was accepted."""
    spec = ising.Spec(size=size, coupling=1.0, temperature=T_C)
    simulation = ising.Simulation(spec, np.zeros(CHAINS, dtype=bool), algorithm, np.random.default_rng(SEED))
    simulation.advance(WARM_UP_SWEEPS[algorithm])

    def step(sweeps: int) -> float:
        simulation.advance(sweeps)
        return sweeps * CHAINS * size**2

    return lasting(step, seconds)


def _mcising(mcising: ModuleType, size: int, algorithm: str, seconds: float) -> Work:
    """Its sweeps alone, in one call: nothing is measured."""
    simulation = mcising.IsingSimulation(size, 1.0, 0.0, 0.0, 0.0, SEED, algorithm.replace("-", "_"))
    simulation.sweep(WARM_UP_SWEEPS[algorithm], temperature=T_C)

    def step(sweeps: int) -> float:
        simulation.sweep(sweeps, temperature=T_C)
        return sweeps * size**2

    return lasting(step, seconds)


def _peapods(peapods: ModuleType, size: int, seconds: float) -> Work:
    """One replica without threads; it always measures, so all but the last hundredth of its sweeps are warm-up."""
    simulation = peapods.Ising((size, size), temperatures=np.array([T_C]))
    simulation.sample(WARM_UP_SWEEPS["metropolis"], warmup_ratio=0.9, sequential=True)

    def step(sweeps: int) -> float:
        # Fewer than 100 sweeps would leave it nothing to average.
        simulation.sample(100 * sweeps, warmup_ratio=0.99, sequential=True)
        return 100 * sweeps * size**2

    return lasting(step, seconds)


def critical_thresholds() -> multispin.Thresholds:
    """Of exp(-4 J / T) and exp(-8 J / T) at T_c."""
    inverse = 1 / Decimal(T_C)
    return multispin.thresholds([4 * inverse, 8 * inverse])


def _scalar(size: int, seconds: float) -> Work:
    """What a careful programmer writes first: one lattice, one spin after the other."""
    rng = np.random.default_rng(SEED)
    spins_IJ = rng.choice(np.array([-1, 1], dtype=np.int8), (size, size))
    generator_V = sfc64.generators(rng, 1)[0]
    bits_P = critical_thresholds().bits_P
    scalar_sweeps(spins_IJ, generator_V, bits_P, WARM_UP_SWEEPS["metropolis"])

    def step(sweeps: int) -> float:
        scalar_sweeps(spins_IJ, generator_V, bits_P, sweeps)
        return sweeps * size**2

    return lasting(step, seconds)


def _masks(seconds: float) -> Work:
    """The random masks of Metropolis and nothing else: what the multispin kernel could reach at best."""
    stream_S = multispin.streams(np.random.default_rng(SEED), 1)[0]
    thresholds = critical_thresholds()

    def step(fills: int) -> float:
        fill_masks(stream_S, thresholds, fills)
        return fills * MASKS_PER_FILL

    return lasting(step, seconds)


@njit(cache=True, nogil=True)
def scalar_sweeps(
    spins_IJ: NDArray[np.int8], generator_V: NDArray[np.uint64], bits_P: NDArray[np.uint64], sweeps: int
) -> None:
    """Sequential Metropolis of one ferromagnet of I x J spins +-1, in place; P = 2 as ``critical_thresholds``."""
    size = spins_IJ.shape[0]
    # A move costs something where the spin times the sum of its neighbours is 2 or 4.
    three, four = bits_P
    for _ in range(sweeps):
        for i in range(size):
            above, below = i - 1 if i else size - 1, i + 1 if i + 1 < size else 0
            for j in range(size):
                left, right = j - 1 if j else size - 1, j + 1 if j + 1 < size else 0
                spin = spins_IJ[i, j]
                aligned = spin * (spins_IJ[above, j] + spins_IJ[below, j] + spins_IJ[i, left] + spins_IJ[i, right])
                random = sfc64.sfc64(generator_V)
                if aligned <= 0 or random < (three if aligned == 2 else four):
                    spins_IJ[i, j] = -spin


@njit(cache=True, nogil=True)
def fill_masks(stream_S: NDArray[np.uint64], thresholds: multispin.Thresholds, fills: int) -> None:
    """Make the masks of ``fills`` blocks, each over the last."""
    for _ in range(fills):
        multispin.fill_two(stream_S, thresholds.leading_X, thresholds.bits_P)
