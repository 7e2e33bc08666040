"""Latents against order parameters: on the axes as they are, and after the best rotation.

All of it follows from the covariance of (latents, order parameters), so one bootstrap serves all.
Axes: S samples, Z latents, K order parameters, D = Z + K, P = min(Z, K) matched pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from analysis.errors import RESAMPLES, Array, Chains, Estimate, average, bootstrap
from analysis.latent_space.covariance import Index, has_variances, moments, pearson, require_pair

SCAN = np.deg2rad(np.arange(-900, 901) / 20)
"""Rotations tried for two latents: -45 ... 45 deg in steps of .05 deg, well below the error of any angle.
Beyond 45 deg the axes only swap their names."""


class Pair(NamedTuple):
    """An order parameter and the latent that stands for it."""

    latent: int
    order: int
    own: Estimate
    """|Pearson correlation| of the two; sign and axes of the latent are the network's own."""
    sign: int
    """Sign of that correlation."""


class RotatedCorrelation(NamedTuple):
    """The same after the rotation of two latents that makes the sum of the matched |correlations| largest."""

    own: tuple[Estimate, ...]
    """|correlation| of each matched pair, in the order of ``Correlation.pairs``."""
    angle: Estimate
    """Size of that rotation, 0 ... 45 deg."""


class Correlation(NamedTuple):
    """How well latents and order parameters agree. Check ``information.information`` first: a collapsed unit
    correlates too."""

    matrix_ZK: Array
    """Pearson correlations, 0 for a constant latent or order parameter. Reweighted by a sign, their variances need not
    be positive (then all below is nan), nor they at most 1 in size."""
    pairs: tuple[Pair, ...]
    """Matched pairs in the order of the order parameters; what is over on either side stays unmatched."""
    worst: Estimate
    """Smallest own |correlation| of the pairs."""
    cross: Estimate
    """Largest |correlation| outside the pairs (0 if there is nothing outside)."""
    angle: Estimate
    """Largest angle, in deg, between an order parameter's direction in latent space and its latent's axis:
    0 ... 45 for a perpendicular frame of two; more only if two order parameters share a direction."""
    cosine: Estimate
    """Largest |cos| between directions of two order parameters: 0 if perpendicular, 1 on a common line."""
    rotated: RotatedCorrelation | None
    """None unless there are exactly two latents."""


def correlate(
    mean_SZ: Array, order_SK: Array, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Correlation:
    """Correlate latents with order parameters; names are matched, signs and axes left as they are.

    The match is the assignment with the largest sum of |correlations|, made once with all samples. The
    direction of order parameter k is its row of coefficients in the regression of the latents on all order
    parameters. A vanishing direction counts as 90 deg off its axis and parallel to every other, so no
    threshold is passed by it.

    Args:
        mean_SZ: means of the posterior of held-out samples; with more latents than order parameters, pass the
            active ones only, since the others match by chance.
        order_SK: order parameters that do order somewhere in the data (``Phases.orders``).
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: no latents or order parameters, or unequal numbers of rows.
    """
    require_pair(mean_SZ, order_SK)
    num_latents = mean_SZ.shape[1]
    joint = moments(np.hstack([mean_SZ, order_SK]).astype(float))
    matrix_ZK = pearson(joint.covariance(average(joint.features_SF, chains)), num_latents)
    latents_P, orders_P = match(matrix_ZK)
    num_pairs = len(orders_P)

    def statistic(mean_F: Array) -> Array:
        cov_DD = joint.covariance(mean_F)
        if chains.weight_S is not None and not has_variances(cov_DD):
            return np.full(num_pairs + 4 + (num_pairs + 1) * (num_latents == 2), np.nan)
        return _figures_of_merit(cov_DD, num_latents, latents_P, orders_P)

    figures = bootstrap(statistic, joint.features_SF, chains, rng, resamples)
    own, (worst, cross, angle, cosine) = figures[:num_pairs], figures[num_pairs : num_pairs + 4]
    rotated = RotatedCorrelation(figures[num_pairs + 4 : -1], figures[-1]) if num_latents == 2 else None
    pairs = tuple(
        Pair(int(latent), int(order), estimate, int(np.sign(matrix_ZK[latent, order])))
        for latent, order, estimate in zip(latents_P, orders_P, own, strict=True)
    )
    return Correlation(matrix_ZK, pairs, worst, cross, angle, cosine, rotated)


def match(matrix_ZK: Array) -> tuple[Index, Index]:
    """Latents and order parameters with the largest sum of |correlations|, sorted by the latter."""
    latents_P, orders_P = linear_sum_assignment(-np.abs(matrix_ZK))
    by_order = np.argsort(orders_P)
    return latents_P[by_order], orders_P[by_order]


def _figures_of_merit(cov_DD: Array, num_latents: int, latents_P: Index, orders_P: Index) -> Array:
    """Own |correlations| of the pairs, worst, cross, angle, cosine; then the rotated ones and their angle."""
    size_ZK = np.abs(pearson(cov_DD, num_latents))
    own_P = size_ZK[latents_P, orders_P]
    off_ZK = size_ZK.copy()
    off_ZK[latents_P, orders_P] = 0
    direction_KZ = (
        np.linalg.pinv(cov_DD[num_latents:, num_latents:], hermitian=True) @ (cov_DD[num_latents:, :num_latents])
    )
    direction_PZ = direction_KZ[orders_P]
    length_P = np.linalg.norm(direction_PZ, axis=1)
    along_P = np.abs(direction_PZ[np.arange(len(orders_P)), latents_P])
    angle = np.degrees(np.arccos(_ratio(along_P, length_P, 0.0).min()))
    cosines_PP = _ratio(np.abs(direction_PZ @ direction_PZ.T), np.outer(length_P, length_P), 1.0)
    # With one pair there is no second direction, and its own diagonal is no answer.
    cosine = cosines_PP[np.triu_indices(len(orders_P), 1)].max(initial=0.0)
    figures = [*own_P, own_P.min(), off_ZK.max(), angle, cosine]
    if num_latents == 2:
        figures += _best_rotation(cov_DD, latents_P, orders_P)
    return np.array(figures)


def _ratio(numerator: Array, denominator: Array, undefined: float) -> Array:
    """Elementwise ratio of non-negative numbers that is at most 1, or ``undefined`` where it is 0 / 0."""
    ratio = np.divide(numerator, denominator, out=np.full_like(numerator, undefined), where=denominator > 0)
    return np.minimum(ratio, 1.0)


def _best_rotation(cov_DD: Array, latents_P: Index, orders_P: Index) -> list[float]:
    """|correlations| of the pairs after the best rotation of two latents, and its size in deg."""
    cos_A, sin_A = np.cos(SCAN), np.sin(SCAN)
    # Axis 0 of the rotated latents is (cos, sin), axis 1 is (-sin, cos).
    axis_2AZ = np.array([np.stack([cos_A, sin_A], axis=1), np.stack([-sin_A, cos_A], axis=1)])
    axis_PAZ = axis_2AZ[latents_P]
    variance_PA = np.einsum("paz,zy,pay->pa", axis_PAZ, cov_DD[:2, :2], axis_PAZ)
    overlap_PA = np.einsum("paz,zp->pa", axis_PAZ, cov_DD[:2, 2 + orders_P])
    scale_PA = np.sqrt(np.maximum(variance_PA, 0) * np.diag(cov_DD)[2 + orders_P, None])
    size_PA = _ratio(np.abs(overlap_PA), scale_PA, 0.0)
    total_A = size_PA.sum(axis=0)
    # Of equally good rotations (a collapsed network) the smallest.
    best = int(np.lexsort((np.abs(SCAN), -total_A))[0])
    return [*size_PA[:, best], float(np.degrees(abs(SCAN[best])))]
