"""Determinant Monte Carlo on one core with one BLAS thread, at U = 4, beta = 4, dtau = 0.1: 40 slices.

Ratios to the core's own dgemm of the same matrices, of structure (one species for two, hopping by factors) to both
spins with dense hopping, and to another program where one is named: ``LATENTPHASE_BENCH_DQMC`` holds a command that
simulates both spins of this model on ``{size}`` x ``{size}`` sites and prints its sweeps per second, each slice once.

A pass goes over all slices once; ours makes two a sweep.  Nothing is measured on the way.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import shlex
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.fermions import hirsch
from simulators.fermions.determinants import one_thread
from simulators.fermions.field_chains import Metropolis
from simulators.fermions.greens_functions import Fermions, GreensFunctions
from simulators.rng.sfc64 import generators
from simulators.systems import hubbard
from workflow.bench._figure import Figure, FigureGate, Reference, SkippedFigure
from workflow.bench._timing import Work, interleaved, lasting

GROUP = "dqmc"
PEER = "LATENTPHASE_BENCH_DQMC"
SIZES = (4, 8, 12, 16)
CHAINS = {4: 32, 8: 4}
"""Swept together; one where it is not named."""
THERMALIZATION = 4
"""Sweeps after which the acceptance of random fields has come down."""
STRUCTURE = {8: 1.8, 12: 2.2, 16: 2.8}
"""What half filling with factors is to gain over both spins with dense hopping, on a slow core, too: what factors save
is arithmetic, and a core that waits for its memory gains less."""
SHARE_OF_DGEMM = 0.6
"""At the largest size, on a slow core, too."""
BOTH, HALF, OURS, DGEMM = "both spins, dense", "half filling, dense", "half filling, as shipped", "dgemm"


def measure(quick: bool) -> Iterator[Figure | SkippedFigure]:
    """Every size, its profile, then how time grows with the lattice and with beta."""
    rounds, seconds = (3, 0.2) if quick else (7, 0.8)
    times: dict[int, float] = {}
    with one_thread().limit(limits=1, user_api="blas"):
        for size in SIZES[: 2 if quick else None]:
            # Close together, and often: a busy neighbour slows both.
            shares = {BOTH: _passes(size, both_spins, seconds / 2), DGEMM: _dgemm(size**2, seconds / 2)}
            works = {
                BOTH: _passes(size, both_spins, seconds),
                HALF: _passes(size, dense, seconds),
                OURS: _passes(size, hirsch.fermions, seconds),
            }
            yield share(size, interleaved(shares, 2 * rounds, time.process_time))
            rates = interleaved(works, rounds, time.process_time)
            times[size] = float(1 / np.median(rates[BOTH]))
            yield from structure(size, rates)
            yield peer(size, rates[BOTH])
            yield from profile(size)
        yield from scaling(times, seconds, rounds)


def dense(spec: hubbard.Spec) -> Fermions:
    """The model without the factors of its hopping."""
    return dataclasses.replace(hirsch.fermions(spec), factors=None)


def both_spins(spec: hubbard.Spec) -> Fermions:
    """The same, with a determinant for each spin although one is known from the other."""
    field_2 = np.array([-1.0, 1.0])
    vertex_S2 = np.exp(spec.coupling.real * np.outer([1.0, -1.0], field_2))
    return dataclasses.replace(dense(spec), vertex_S2=vertex_S2, log_weight_2=np.zeros(2))


def flops(size: int, accepted: float, spec: hubbard.Spec) -> float:
    """Of one pass of one species: products, factorizations and flips, N = size^2 and a multiplication and an addition
    two.

    Wrapping takes 4 N^3 a slice, the products of blocks 2 N^3, flips 2 N^2 each; a block's QR with its unitary
    matrix 8/3 N^3 and the triangular product N^3; a Green's function of two factors 26/3 N^3 (three products and a
    solution), of one 8/3 N^3.
    """
    sites, slices = size**2, spec.slices
    blocks = math.ceil(slices / spec.interval)
    stabilization = blocks * (8 / 3 + 1) + (blocks - 1) * 26 / 3 + 8 / 3
    return sites**3 * (slices * (6 + 2 * accepted) + stabilization)


def share(size: int, rates: dict[str, NDArray[np.float64]]) -> Figure:
    """Of dgemm's rate, just before and just after, by both spins."""
    work = 2 * flops(size, acceptance(size), point(size))
    around = (rates[DGEMM][:-1] + rates[DGEMM][1:]) / 2
    return Figure.over(
        rates[BOTH][1:] * work / around,
        group=GROUP,
        name=f"{BOTH} L={size} / dgemm",
        unit="x",
        reference=Reference(f"dgemm of {size**2} x {size**2}", float(np.median(rates[DGEMM])) / 1e9, "Gflop/s"),
        gate=FigureGate(low=SHARE_OF_DGEMM) if size == max(SIZES) else None,
        note=f"ours: {np.median(rates[BOTH]):.3g} passes/s of {work / size**6:.0f} N^3 flop",
    )


def structure(size: int, rates: dict[str, NDArray[np.float64]]) -> Iterator[Figure]:
    """One species for two, and factors, against both spins."""
    for name in (HALF, OURS):
        gated = name == OURS and size in STRUCTURE
        yield Figure.over(
            rates[name] / rates[BOTH],
            group=GROUP,
            name=f"{name} L={size} / {BOTH}",
            unit="x",
            reference=Reference(BOTH, float(np.median(rates[BOTH])), "passes/s"),
            gate=FigureGate(low=STRUCTURE[size]) if gated else None,
            note=f"ours: {np.median(rates[name]):.3g} passes/s",
        )


def peer(size: int, rates: NDArray[np.float64]) -> Figure | SkippedFigure:
    """Both spins, dense against the program that ``LATENTPHASE_BENCH_DQMC`` names.

    Raises:
        CalledProcessError, ValueError: the command fails, or does not print a number.
    """
    name = f"{BOTH} L={size} / peer"
    command = os.environ.get(PEER)
    if command is None:
        reason = f"{PEER} is not set: a command with {{size}} that prints sweeps per second"
        return SkippedFigure(GROUP, name, reason)
    words = [word.replace("{size}", str(size)) for word in shlex.split(command)]
    rate = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1])
    return Figure.over(
        rates / rate, group=GROUP, name=name, unit="x", reference=Reference(words[0], rate, "passes/s"), gate=None
    )


def profile(size: int) -> Iterator[Figure]:
    """Shares of wrapping, flips and stabilization (products of blocks among it) in both spins with dense hopping."""
    spent: dict[str, float] = defaultdict(float)
    greens = ProfiledGreensFunctions(point(size), spent)
    for _ in range(2):
        spent.clear()
        greens.sweep()
    for part, seconds in spent.items():
        yield Figure.over(
            [seconds / sum(spent.values())], group=GROUP, name=f"{part} L={size}", unit="of a sweep", reference=None
        )


class ProfiledGreensFunctions(GreensFunctions):
    """Counts the seconds of its parts."""

    def __init__(self, spec: hubbard.Spec, spent: dict[str, float]) -> None:
        rng = np.random.default_rng(1)
        field_CTN = np.where(rng.random((1, spec.slices, spec.size**2)) < 0.5, -1, 1).astype(np.int8)
        self._spent = spent
        super().__init__(both_spins(spec), field_CTN, generators(rng, 1), spec.interval)

    def _timed(self, part: str, work: Callable[..., Any], *args: Any) -> Any:
        start = time.process_time()
        result = work(*args)
        self._spent[part] += time.process_time() - start
        return result

    def _wrap_up(self, *args: Any) -> None:
        self._timed("wrapping", super()._wrap_up, *args)

    def _wrap_down(self, *args: Any) -> None:
        self._timed("wrapping", super()._wrap_down, *args)

    def _update(self, *args: Any) -> None:
        self._timed("flips", super()._update, *args)

    def _extend_above(self, *args: Any) -> None:
        self._timed("stabilization", super()._extend_above, *args)

    def _extended_below(self, *args: Any) -> Any:
        return self._timed("stabilization", super()._extended_below, *args)

    def _greens(self, *args: Any) -> Any:
        return self._timed("stabilization", super()._greens, *args)


def scaling(times: dict[int, float], seconds: float, rounds: int) -> Iterator[Figure]:
    """Exponents of the time of a pass in N between neighbouring sizes, and in beta between 4 and 8."""
    sizes = sorted(times)
    for small, large in itertools.pairwise(sizes):
        exponent = math.log(times[large] / times[small]) / math.log(large**2 / small**2)
        yield Figure.over(
            [exponent],
            group=GROUP,
            name=f"exponent of N, L={small} to {large}",
            unit="",
            reference=Reference("dense algebra", 3.0),
        )
    works = {beta: _passes(8, both_spins, seconds / 2, beta) for beta in (4, 8)}
    rates = interleaved({str(beta): work for beta, work in works.items()}, rounds, time.process_time)
    yield Figure.over(
        np.log2(rates["4"] / rates["8"]),
        group=GROUP,
        name="exponent of beta, L=8",
        unit="",
        reference=Reference("as many slices as much work", 1.0),
    )


def point(size: int, beta: int = 4) -> hubbard.Spec:
    """U = 4 at half filling."""
    return hubbard.Spec(size=size, temperature=1 / beta, interaction=4.0, trotter_step=0.1)


def acceptance(size: int) -> float:
    """Of single flips, once the field is thermalized."""
    updates = _updates(size, dense)
    for _ in range(2):
        updates.counts_2[:] = 0
        updates.advance(THERMALIZATION)
    return updates.acceptance


def _updates(size: int, model: Callable[[hubbard.Spec], Fermions], beta: int = 4) -> Metropolis:
    kind = type("Bare", (Metropolis,), {"fermions": staticmethod(model)})
    spec, rng = point(size, beta), np.random.default_rng(1)
    shape = (CHAINS.get(size, 1), *spec.shape)
    updates: Metropolis = kind(spec, np.where(rng.random(shape) < 0.5, -1, 1).astype(np.int8), rng)
    return updates


def _passes(size: int, model: Callable[[hubbard.Spec], Fermions], seconds: float, beta: int = 4) -> Work:
    updates = _updates(size, model, beta)

    def step(sweeps: int) -> float:
        updates.advance(sweeps)
        return 2 * sweeps * len(updates.states_RTIJ)

    return lasting(step, seconds)


def _dgemm(sites: int, seconds: float) -> Work:
    """Of three matrices, the result in its place."""
    a_NN, b_NN, c_NN = np.random.default_rng(1).random((3, sites, sites))

    def step(count: int) -> float:
        for _ in range(count):
            np.matmul(a_NN, b_NN, out=c_NN)
        return count * 2 * sites**3

    return lasting(step, seconds)
