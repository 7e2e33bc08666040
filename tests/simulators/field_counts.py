"""Chi-square of the fields of 2 x 2 sites in a few slices against all of their weights."""

from typing import Any

import fock_space
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

FALSE_ALARM = 1e-7
"""Chance that a correct simulator fails one comparison."""
CHAINS = 6000
SWEEPS = {"metropolis": 8, "lines": 4}
FEWEST_EXPECTED = 10


def counts(module: Any, spec: Any, algorithm: str) -> NDArray[np.int64]:
    """How often each field occurs among chains that started at random."""
    rng = np.random.default_rng(module.ALGORITHMS.index(algorithm))
    simulation = module.Simulation(spec, np.ones(CHAINS, dtype=bool), algorithm, rng)
    simulation.advance(SWEEPS[algorithm])
    bits = simulation.configurations().reshape(CHAINS, -1) > 0
    return np.bincount(bits @ (1 << np.arange(bits.shape[1])[::-1]), minlength=2 ** bits.shape[1])


def p_value(counted_F: NDArray[np.int64], spec: Any, amplitudes: NDArray[Any]) -> float:
    """Of the weights with these amplitudes, rare fields taken together."""
    weight_F = np.abs(
        fock_space.weights(
            spec.slices,
            T=spec.temperature,
            U=spec.interaction,
            mu=spec.chemical_potential,
            channel=spec.channel,
            amplitudes=amplitudes,
        )
    )
    expected_F = CHAINS * weight_F / weight_F.sum()
    rare_F = expected_F < FEWEST_EXPECTED
    pooled = [
        np.append(x_F[~rare_F], x_F[rare_F].sum()) if rare_F.any() else x_F
        for x_F in (counted_F.astype(float), expected_F)
    ]
    return float(chisquare(*pooled).pvalue)
