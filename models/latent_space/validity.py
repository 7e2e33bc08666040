"""Which of several restarts to keep, without labels: how many directions of latent space are in use, then the loss.

The objective alone can choose wrongly. With all phases of an Ising model on one axis its optimum may lie below that of
the cross on two, so a restart with more directions in use comes first, and the loss decides between equals.

Axes: M samples, Z latents.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALLEST_SHARE = 0.05
"""Of the largest variance of the means along any direction: what is below is scatter about a line (or plane)."""
SMALLEST_VARIANCE = 0.01
"""Variance of the means below which a direction is not in use (Burda, Grosse, Salakhutdinov, arXiv:1509.00519)."""


class Restart(NamedTuple):
    """What is known of one restart without labels."""

    active: int
    """Latents with a KL divergence of at least .1 nats."""
    rank: int
    """Directions of latent space in use, from ``rank_of_means``."""
    loss: float
    """Eq. 4 of arXiv:2110.08082 in nats, over the last epoch."""

    @property
    def order(self) -> tuple[int, float]:
        """Smaller is better: more directions first, then a lower loss; a loss that is not finite comes last."""
        return (-min(self.active, self.rank), self.loss if np.isfinite(self.loss) else np.inf)


def rank_of_means(means_MZ: NDArray[np.floating]) -> int:
    """Directions of latent space along which the posterior means vary."""
    centred_MZ = np.asarray(means_MZ, dtype=np.float64)
    centred_MZ = centred_MZ - centred_MZ.mean(axis=0)
    variance_Z = np.linalg.eigvalsh(centred_MZ.T @ centred_MZ / len(centred_MZ))
    return int((variance_Z >= max(SMALLEST_VARIANCE, SMALLEST_SHARE * variance_Z[-1])).sum())
