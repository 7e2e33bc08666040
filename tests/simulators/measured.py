"""Time series of chains and how far their means are from the truth, that several tests use."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_Z = 4.0
"""A correct simulator exceeds it with chance 6e-5 per comparison; seeds are fixed."""
Series = dict[str, NDArray[np.float64]]
"""(chains, measurements) of every column."""
STEPS = (0.25, 0.125, 0.0625)
"""dtau of averages that are extrapolated to none, at T = 1."""


def series(
    module: Any, spec: Any, algorithm: str, chains: int, schedule: tuple[int, int, int], seed: int
) -> dict[str, NDArray[np.float64]]:
    """Every observable, (chains, measurements), after ``schedule``: sweeps before, measurements, sweeps between."""
    simulation = module.Simulation(spec, np.arange(chains) % 2 == 0, algorithm, np.random.default_rng(seed))
    thermalization, rounds, spacing = schedule
    simulation.advance(thermalization)
    found = []
    for _ in range(rounds):
        simulation.advance(spacing)
        found.append(simulation.measure())
    return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}


def estimate(x_RT: NDArray[np.float64], sign_RT: NDArray[np.float64]) -> tuple[float, float]:
    """<x sign> / <sign> and its error from the spread of chains."""
    signed_R, sign_R = (x_RT * sign_RT).mean(axis=1), sign_RT.mean(axis=1)
    mean = signed_R.mean() / sign_R.mean()
    return float(mean), float((signed_R - mean * sign_R).std() / sign_R.mean() / math.sqrt(len(sign_R)))


def largest_z(series: Series, truth: dict[str, float], use_sign: bool = True) -> tuple[float, str]:
    """Over all observables; quantities that a symmetry fixes must have their values to rounding."""
    sign_RT = series["sign"] if use_sign else np.ones_like(series["sign"])
    found = []
    for name, value in truth.items():
        mean, error = estimate(series[name], sign_RT)
        assert error > 1e-12 or abs(mean - value) < 1e-10, (name, mean, value)
        found.append((abs(mean - value) / error if error > 1e-12 else 0.0, name))
    return max(found)


def estimates(at: list[Series], name: str) -> tuple[list[float], list[float]]:
    """Means of one observable at several dtau, and their errors."""
    means, errors = zip(*(estimate(one[name], one["sign"]) for one in at), strict=True)
    return list(means), list(errors)


def extrapolated(values: list[float], errors: list[float]) -> tuple[float, float]:
    """Limit of a + b dtau^2 + c dtau^4 through three steps, each half of the one before: the errors of all three
    steps, and no bias of the order dtau^4."""
    factor = np.array([1 / 45, -20 / 45, 64 / 45])
    return float(factor @ values), float(np.sqrt(factor**2 @ np.square(errors)))
