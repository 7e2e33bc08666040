"""What the posterior carries: divergence from the prior per unit, active units, alignment without labels.

Axes: S samples, Z latents.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap

ACTIVE = 0.1
"""A unit is active above this divergence, in nats. Trained units carry some .2 to 1, collapsed ones < .001,
and correlations are scale-free: a collapsed unit may still show a high one, so look here first."""


class Information(NamedTuple):
    """How much each latent says about the sample."""

    divergence: tuple[Estimate, ...]
    """KL[q(z|x) || N(0, 1)] of each unit, averaged over samples, in nats."""
    active: tuple[int, ...]
    """Units with more than ``ACTIVE`` nats."""
    psi4: Estimate | None
    """|sum w^4| / sum |w|^4 with w = mean_0 + i mean_1: 1 if all samples lie on two perpendicular lines, be
    they the axes or not. None unless there are exactly two latents."""


def divergence(mean_SZ: Array, std_SZ: Array) -> Array:
    """KL[N(mean, std^2) || N(0, 1)] = (mean^2 + std^2 - 1) / 2 - ln std of each posterior, (S, Z), in nats.

    Raises:
        ValueError: unequal shapes, or a standard deviation that is not positive.
    """
    if mean_SZ.ndim != 2 or mean_SZ.shape != std_SZ.shape:
        raise ValueError(f"means and stds must both be (samples, latents), got {mean_SZ.shape}, {std_SZ.shape}")
    if not (std_SZ > 0).all():
        raise ValueError(f"standard deviations must be positive, smallest is {std_SZ.min()}")
    return (mean_SZ**2 + std_SZ**2 - 1) / 2 - np.log(std_SZ)


def information(
    mean_SZ: Array, std_SZ: Array, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Information:
    """Divergence per unit, active units and psi4 of held-out samples.

    Args:
        mean_SZ: means of the posterior.
        std_SZ: its standard deviations, positive.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.
    """
    num_latents = mean_SZ.shape[1]
    features = [divergence(mean_SZ, std_SZ)]
    if num_latents == 2:
        w_S = mean_SZ[:, 0] + 1j * mean_SZ[:, 1]
        features.append(np.stack([(w_S**4).real, (w_S**4).imag, np.abs(w_S) ** 4], axis=1))

    def statistic(mean_F: Array) -> Array:
        if num_latents != 2:
            return mean_F
        real, imaginary, size = mean_F[num_latents:]
        psi4 = np.hypot(real, imaginary) / size if size > 0 else 0.0
        return np.append(mean_F[:num_latents], psi4)

    estimates = bootstrap(statistic, np.hstack(features), chains, rng, resamples)
    units = estimates[:num_latents]
    active = tuple(unit for unit, nats in enumerate(units) if nats.value > ACTIVE)
    return Information(units, active, estimates[num_latents] if num_latents == 2 else None)
