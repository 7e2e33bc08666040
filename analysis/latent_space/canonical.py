"""Latents against an order parameter of several components, which no axis of the latents need stand for.

Canonical correlations do not depend on the bases of either side. A rotation of the latents onto the components keeps
distances too, so it asks for more: the latents must be the order parameter up to one scale.
Axes: S samples, Z latents, C components of the order parameter, D = Z + C, P their rank.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.errors import RESAMPLES, Array, Chains, Estimate, average, bootstrap
from analysis.latent_space.covariance import has_variances, moments, pearson, require_pair

NEGLIGIBLE = 1e-9
"""Share of the largest eigenvalue of a correlation matrix below which the rest is rounding. Components that sum to a
constant, as those of the Potts model do, leave 1e-16."""


class Canonical(NamedTuple):
    """Squared canonical correlations. Scale-free: check ``information.information`` first."""

    squared: tuple[Estimate, ...]
    """Largest first, one for each independent component of the order parameter; 0 where latents are missing. Reweighted
    by a sign, these may exceed 1, and are nan where a variance is negative."""
    smallest: Estimate
    """The last of them: near 1 only if the latents hold the whole order parameter."""


class AlignedCorrelation(NamedTuple):
    """Correlations after the orthogonal map of the latents that fits the order parameter best."""

    own: tuple[Estimate, ...]
    """|correlation| of each component with its turned latent, the map fitted anew in every resample."""
    worst: Estimate
    """The smallest of them."""
    map_ZC: Array
    """Its orthonormal columns are the directions in latent space; ``mean_SZ @ map_ZC`` are the turned latents."""
    is_reflected: bool
    """Whether the map of as many latents as components contains a reflection; False for other numbers."""


def canonical(
    mean_SZ: Array, order_SC: Array, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Canonical:
    """Squared canonical correlations between latents and the components of one order parameter.

    For one component this is the squared multiple correlation.

    Args:
        mean_SZ: means of the posterior of held-out samples; of many latents pass the active ones only.
        order_SC: components; linear relations among them are found and taken out.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: no latents or components, or unequal numbers of rows.

    Source: Hotelling, Biometrika 28 (1936) 321.
    """
    require_pair(mean_SZ, order_SC)
    num_latents = mean_SZ.shape[1]
    joint = moments(np.hstack([mean_SZ, order_SC]).astype(float))
    cov_DD = joint.covariance(average(joint.features_SF, chains))
    rank_z = _rank(cov_DD[:num_latents, :num_latents])
    # A constant order parameter correlates with nothing, and passes no gate.
    rank_c = max(1, _rank(cov_DD[num_latents:, num_latents:]))

    most = 1.0 if chains.weight_S is None else np.inf

    def statistic(mean_F: Array) -> Array:
        cov_DD = joint.covariance(mean_F)
        if chains.weight_S is not None and not has_variances(cov_DD):
            return np.full(rank_c, np.nan)
        white_z = _whitening(cov_DD[:num_latents, :num_latents], rank_z)
        white_c = _whitening(cov_DD[num_latents:, num_latents:], rank_c)
        correlation_P = np.linalg.svd(white_z.T @ cov_DD[:num_latents, num_latents:] @ white_c, compute_uv=False)
        squared_P = np.zeros(rank_c)
        squared_P[: len(correlation_P)] = np.minimum(correlation_P, most) ** 2
        return squared_P

    squared = bootstrap(statistic, joint.features_SF, chains, rng, resamples)
    return Canonical(squared, squared[-1])


def align(
    mean_SZ: Array, order_SC: Array, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> AlignedCorrelation:
    """Turn (and reflect) the latents onto the components of a vector, then correlate them one by one.

    A continuous symmetry has no preferred axis: a network that learns (m_x, m_y) may learn it turned by any angle. The
    map is orthogonal, so it cannot mend latents that are sheared or stretched along one direction, as a regression
    would; with fewer latents than components some directions are missing, and a component along one of them
    correlates as chance has it.

    Args:
        mean_SZ: means of the posterior of held-out samples.
        order_SC: components of the order parameter, of equal scale.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: no latents or components, or unequal numbers of rows.

    Source: Schoenemann, Psychometrika 31 (1966) 1 (orthogonal Procrustes problem).
    """
    require_pair(mean_SZ, order_SC)
    num_latents, num_components = mean_SZ.shape[1], order_SC.shape[1]
    joint = moments(np.hstack([mean_SZ, order_SC]).astype(float))

    def statistic(mean_F: Array) -> Array:
        cov_DD = joint.covariance(mean_F)
        if chains.weight_S is not None and not has_variances(cov_DD):
            return np.full(num_components + 1, np.nan)
        map_ZC = _procrustes(cov_DD[:num_latents, num_latents:])
        turned_DD = np.block(
            [
                [map_ZC.T @ cov_DD[:num_latents, :num_latents] @ map_ZC, map_ZC.T @ cov_DD[:num_latents, num_latents:]],
                [cov_DD[num_latents:, :num_latents] @ map_ZC, cov_DD[num_latents:, num_latents:]],
            ]
        )
        own_C = np.abs(np.diag(pearson(turned_DD, num_components)))
        return np.append(own_C, own_C.min())

    *own, worst = bootstrap(statistic, joint.features_SF, chains, rng, resamples)
    map_ZC = _procrustes(joint.covariance(average(joint.features_SF, chains))[:num_latents, num_latents:])
    is_reflected = num_latents == num_components and float(np.linalg.det(map_ZC)) < 0
    return AlignedCorrelation(tuple(own), worst, map_ZC, is_reflected)


def _procrustes(cov_ZC: Array) -> Array:
    """Q (Z, C) with orthonormal columns (rows, if there are fewer latents) and the largest trace of Q^T cov."""
    left, size, right = np.linalg.svd(cov_ZC, full_matrices=False)
    # Directions that do not occur are arbitrary, and would turn a dead latent into any axis.
    return np.asarray((left * (size > NEGLIGIBLE * size.max(initial=0.0))) @ right)


def _scaled(cov_DD: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues and vectors of the correlation matrix, and 1 / standard deviations (0 for a constant)."""
    std_D = np.sqrt(np.maximum(np.diag(cov_DD), 0))
    inverse_D = np.divide(1.0, std_D, out=np.zeros_like(std_D), where=std_D > 0)
    values_D, vectors_DD = np.linalg.eigh(cov_DD * np.outer(inverse_D, inverse_D))
    return values_D, vectors_DD, inverse_D


def _rank(cov_DD: Array) -> int:
    values_D, _, _ = _scaled(cov_DD)
    return int((values_D > NEGLIGIBLE * max(float(values_D.max()), NEGLIGIBLE)).sum())


def _whitening(cov_DD: Array, rank: int) -> Array:
    """W (D, rank) with W^T cov W = 1; columns of 0 where a resample has less rank."""
    values_D, vectors_DD, inverse_D = _scaled(cov_DD)
    values_P, vectors_DP = values_D[len(values_D) - rank :], vectors_DD[:, len(values_D) - rank :]
    is_there_P = values_P > NEGLIGIBLE
    scale_P = np.divide(1.0, np.sqrt(np.maximum(values_P, NEGLIGIBLE)), out=np.zeros(rank), where=is_there_P)
    return inverse_D[:, None] * vectors_DP * scale_P
