"""Cosines between latents, by class: blocks along the diagonal if classes have directions of their own.

As in Figs. 5 (d) and 6 (c) of arXiv:2110.08082. A cosine has no scale, and a network that ignores its input still
shows blocks, made of latents of size 1e-3: the divergence, which comes with every result here, must be read first.
Axes: S samples, Z latents, P classes, M samples of the picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap
from analysis.latent_space.information import ACTIVE, divergence
from analysis.phases import Phases


class Similarity(NamedTuple):
    """Mean cosines of pairs of samples."""

    divergence: Estimate
    """KL of all units together, in nats: the control. What follows says nothing about the data where this vanishes."""
    is_informative: bool
    """Whether it exceeds ``information.ACTIVE``."""
    classes: tuple[str, ...]
    """Names of the P classes present."""
    block_PP: tuple[tuple[Estimate, ...], ...]
    """Mean cosine of two different samples, of these classes."""
    same: Estimate
    """Mean over classes of the diagonal."""
    other: Estimate
    """Mean of the rest."""
    contrast: Estimate
    """Their difference."""


class CosineMatrix(NamedTuple):
    """The picture: some samples of every class, one class after the other."""

    cosine_MM: Array
    label_M: NDArray[np.intp]
    """Class of each row and column, index into ``Phases.names``."""


def similarity(
    mean_SZ: Array,
    std_SZ: Array,
    phases: Phases,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Similarity:
    """Mean cosines within and between classes, over all pairs of different samples.

    All pairs follow from the mean direction u_p of each class: u_p . u_r between classes, (n |u_p|^2 - 1) / (n - 1)
    within one of n samples. Pairs of one chain are included.

    Args:
        mean_SZ: means of the posterior of held-out samples; angles are about 0, the centre of the prior.
        std_SZ: its standard deviations.
        phases: classes of the same samples.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: shapes that do not fit, or fewer than two classes, or a class of one sample.
    """
    present = np.array(phases.present)
    count_P = np.bincount(phases.label_S, minlength=len(phases.names))[present]
    if len(mean_SZ) != len(phases.label_S) or len(present) < 2 or count_P.min() < 2:
        raise ValueError(
            f"need one label per row and at least two classes of two samples, got {len(mean_SZ)} rows, "
            f"{len(phases.label_S)} labels, classes of {count_P.tolist()}"
        )
    unit_SZ = directions(mean_SZ)
    is_class_SP = phases.label_S[:, None] == present
    num_classes = len(present)
    total_S = divergence(mean_SZ, std_SZ).sum(axis=1)
    sums_SF = (is_class_SP[:, :, None] * unit_SZ[:, None]).reshape(len(unit_SZ), -1)
    # A latent of exactly 0 has no direction: a pair with itself then counts 0 instead of 1.
    self_SP = is_class_SP * (unit_SZ**2).sum(axis=1, keepdims=True)
    features_SF = np.hstack([total_S[:, None], is_class_SP, self_SP, sums_SF]).astype(float)

    def statistic(mean_F: Array) -> Array:
        share_P, self_P = mean_F[1 : 1 + num_classes], mean_F[1 + num_classes : 1 + 2 * num_classes]
        sum_PZ = mean_F[1 + 2 * num_classes :].reshape(num_classes, -1)
        with np.errstate(invalid="ignore", divide="ignore"):  # A resample without a class: nan, and left out.
            block_PP = (sum_PZ @ sum_PZ.T) / np.outer(share_P, share_P)
            within_P = (count_P * np.diag(block_PP) - self_P / share_P) / (count_P - 1)
        np.fill_diagonal(block_PP, within_P)
        other = block_PP[~np.eye(num_classes, dtype=bool)].mean()
        return np.array([mean_F[0], within_P.mean(), other, within_P.mean() - other, *block_PP.ravel()])

    nats, same, other, contrast, *blocks = bootstrap(statistic, features_SF, chains, rng, resamples)
    names = tuple(phases.names[phase] for phase in present)
    rows = tuple(tuple(blocks[p * num_classes : (p + 1) * num_classes]) for p in range(num_classes))
    return Similarity(nats, nats.value > ACTIVE, names, rows, same, other, contrast)


def cosine_matrix(mean_SZ: Array, label_S: NDArray[np.intp], per_class: int, rng: np.random.Generator) -> CosineMatrix:
    """Cosines of up to ``per_class`` random samples of every class, sorted by class.

    Raises:
        ValueError: unequal numbers of rows, or fewer than one sample per class.
    """
    if len(mean_SZ) != len(label_S) or per_class < 1:
        raise ValueError(f"need one label per row and per_class >= 1, got {len(mean_SZ)}, {len(label_S)}, {per_class}")
    chosen = [rng.permutation(np.flatnonzero(label_S == label))[:per_class] for label in np.unique(label_S)]
    rows_M = np.concatenate(chosen)
    unit_MZ = directions(mean_SZ[rows_M])
    return CosineMatrix(unit_MZ @ unit_MZ.T, np.asarray(label_S)[rows_M])


def directions(mean_SZ: Array) -> Array:
    """Latents divided by their length; a latent of exactly 0 stays 0."""
    length_S1 = np.linalg.norm(mean_SZ, axis=1, keepdims=True)
    return np.divide(mean_SZ, length_S1, out=np.zeros(mean_SZ.shape), where=length_S1 > 0)
