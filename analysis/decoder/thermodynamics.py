"""Energy and specific heat of configurations, simulated or drawn from a decoder.

Axes: S samples, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap


class Thermodynamics(NamedTuple):
    """Of one parameter point, per site."""

    energy: Estimate
    specific_heat: Estimate
    """N (<e^2> - <e>^2) / T^2 with the energy e per site."""


def product_bonds(spin_SCHW: NDArray[Any]) -> Array:
    """Mean over sites of s_i s_(i + x) + s_i s_(i + y) with periodic boundaries, (S,): -energy per site over J."""
    spin = np.asarray(spin_SCHW, dtype=float)
    pairs = spin * (np.roll(spin, -1, -1) + np.roll(spin, -1, -2))
    return np.asarray(pairs.mean(axis=(1, 2, 3)))


def equal_bonds(one_hot_SQHW: NDArray[Any]) -> Array:
    """Mean over sites of the number of equal neighbours towards +x and +y, (S,); states are one-hot channels."""
    state = np.asarray(one_hot_SQHW, dtype=float)
    pairs = state * (np.roll(state, -1, -1) + np.roll(state, -1, -2))
    return np.asarray(pairs.sum(axis=1).mean(axis=(1, 2)))


def thermodynamics(
    energy_S: Array,
    sites: int,
    temperature: float,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Thermodynamics:
    """Mean energy and specific heat, with errors from resampling chains.

    Args:
        energy_S: energy per site of each sample.
        sites: N.
        temperature: T, in the units of the energy.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.
    """
    # Taken off before squaring: the variance is a small difference otherwise.
    middle = float(energy_S.mean())
    shifted_S = energy_S - middle

    def statistic(mean_F: Array) -> Array:
        return np.array([middle + mean_F[0], sites * (mean_F[1] - mean_F[0] ** 2) / temperature**2])

    energy, heat = bootstrap(statistic, np.stack([shifted_S, shifted_S**2], axis=1), chains, rng, resamples)
    return Thermodynamics(energy, heat)
