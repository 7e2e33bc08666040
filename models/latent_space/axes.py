"""The label-free choice of latent axes: a quartimax rotation of the posterior means.

The objective is nearly blind to rotations of the latent space, so that plain training ends at a nearly random angle.
Where data have phases on two exclusive order parameters, the means form a cross; its arms are the natural axes, and
the rotation that puts them there has a closed form. Only means enter, never labels or order parameters.

Axes: R members, M samples, Z latents. For a pair of latents, w = mean_1 + i mean_2.
"""

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.compute.chunks import CHUNK, rows_at_once
from models.data.samples import Samples, shuffle
from models.vae import BetaVAE

JACOBI_SWEEPS = 6
KICK_SAMPLES = 4096
ACTIVE_VARIANCE = 0.01
"""Variance of a latent's means above which it is in use (Burda, Grosse and Salakhutdinov, arXiv:1509.00519)."""


def quartimax(means_MZ: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation Q (Z, Z) for which the columns of means @ Q have the largest sum of fourth powers.

    Not centred: the prior's own centre, z = 0, is where the arms of the cross meet. Two latents: the closed form
    theta = arg(sum w^4) / 4, within (-45, 45] degrees. More: the same on each pair in turn, in 6 Jacobi sweeps.
    Means that are all zero give the identity.

    Source: Neuhaus and Wrigley, Brit. J. Stat. Psychol. 7 (1954) 81.
    """
    turned_MZ = np.array(means_MZ, dtype=np.float64)
    rotation_ZZ = np.eye(turned_MZ.shape[1])
    for _ in range(JACOBI_SWEEPS):
        for pair in combinations(range(turned_MZ.shape[1]), 2):
            w_M = turned_MZ[:, pair[0]] + 1j * turned_MZ[:, pair[1]]
            theta = np.angle((w_M**4).sum()) / 4
            turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
            turned_MZ[:, pair] = turned_MZ[:, pair] @ turn
            rotation_ZZ[:, pair] = rotation_ZZ[:, pair] @ turn
    return rotation_ZZ


def psi4(means_MZ: NDArray[np.floating]) -> float:
    """How sharply the means lie on a cross of axes: |sum w^4| / sum |w|^4, the smallest over pairs of active latents.

    1 for a perfect cross, about 0 for a rotation-invariant cloud, whose quartimax angle means nothing. For two
    latents it does not depend on their angle; for more, apply ``quartimax`` first. NaN if fewer than two latents
    are active (variance of the means above .01): a collapsed model has no axes.
    """
    means_MZ = np.asarray(means_MZ, dtype=np.float64)
    active = np.flatnonzero(means_MZ.var(axis=0) > ACTIVE_VARIANCE)
    if len(active) < 2:
        return float("nan")
    pairs_PM = np.stack([means_MZ[:, a] + 1j * means_MZ[:, b] for a, b in combinations(active, 2)])
    return float((np.abs((pairs_PM**4).sum(1)) / (np.abs(pairs_PM) ** 4).sum(1)).min())


class Axes(NamedTuple):
    """The natural axes of each member of a stack."""

    rotation_RZZ: NDArray[np.float64]
    """What ``quartimax`` found."""
    psi4_R: NDArray[np.float64]
    """Its confidence: ``psi4`` of the rotated means."""


def natural_axes(means_RMZ: NDArray[np.floating]) -> Axes:
    """``quartimax`` and ``psi4`` of every member."""
    rotation_RZZ = np.stack([quartimax(means_MZ) for means_MZ in means_RMZ])
    turned_RMZ = np.asarray(means_RMZ, dtype=np.float64) @ rotation_RZZ
    return Axes(rotation_RZZ, np.array([psi4(turned_MZ) for turned_MZ in turned_RMZ]))


@torch.no_grad()
def subset_means(vae: BetaVAE, samples: Samples, seeds: Sequence[int], epoch: int) -> NDArray[np.float32]:
    """Posterior means (R, M, Z) of up to 4,096 training samples, for each member the first of its own shuffle.

    A random subset, since evenly spaced rows could resonate with the way that chains are laid out in the data.
    Leaves the networks in evaluation mode.
    """
    vae.eval()
    rows_RM = torch.stack([shuffle(len(samples), seed, epoch)[:KICK_SAMPLES] for seed in seeds])
    means = []
    chunk = rows_at_once(CHUNK, prod(samples.shape) * samples.width)
    for rows_RB in rows_RM.to(samples.device).split(chunk, dim=1):
        x_RBF = samples.unpack(rows_RB.flatten()).unflatten(0, rows_RB.shape)
        means.append(vae.encoder(x_RBF)[0])
    return torch.cat(means, dim=1).cpu().numpy()
