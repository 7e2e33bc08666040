"""Covariances as functions of averages of per-sample features, so that one bootstrap serves all that follows from them.

Axes: S samples, D quantities, F features, Z latents, K order parameters or their components.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Array, Chains, average

Index = NDArray[np.intp]


class Moments(NamedTuple):
    """Features whose averages give the covariance: x and the products x_i x_j."""

    features_SF: Array
    first: Index
    second: Index
    """i and j of these products."""

    def covariance(self, mean_F: Array) -> Array:
        """(D, D), from averages of the features."""
        size = self.features_SF.shape[1] - len(self.first)
        mean_D, square_F = np.split(mean_F, [size])
        cov_DD = np.empty((size, size))
        cov_DD[self.first, self.second] = cov_DD[self.second, self.first] = (
            square_F - mean_D[self.first] * mean_D[self.second]
        )
        return cov_DD


def moments(x_SD: Array) -> Moments:
    """First and second moments of each sample.

    The mean is taken off first, which changes no covariance but keeps digits; a constant column becomes 0
    exactly, so that rounding cannot make it correlate.
    """
    centred_SD = np.where(np.ptp(x_SD, axis=0) == 0, 0.0, x_SD - x_SD.mean(axis=0))
    first, second = np.triu_indices(x_SD.shape[1])
    return Moments(np.hstack([centred_SD, centred_SD[:, first] * centred_SD[:, second]]), first, second)


def has_variances(cov_DD: Array) -> bool:
    """Whether no variance is negative, which those over a signed measure may be: then there are no correlations."""
    return bool((np.diag(cov_DD) >= 0).all())


def closest(mean_SZ: Array, value_S: Array, chains: Chains) -> int:
    """The latent whose Pearson correlation with a quantity is largest, of either sign."""
    joint = moments(np.hstack([mean_SZ, value_S[:, None]]))
    shared_Z1 = pearson(joint.covariance(average(joint.features_SF, chains)), mean_SZ.shape[1])
    return int(np.argmax(np.abs(shared_Z1[:, 0])))


def require_pair(mean_SZ: Array, order_SK: Array) -> None:
    """Refuse latents and order parameters that cannot be compared.

    Raises:
        ValueError: no latents or order parameters, or unequal numbers of rows.
    """
    if mean_SZ.ndim != 2 or order_SK.ndim != 2 or 0 in (mean_SZ.shape[1], order_SK.shape[1]):
        raise ValueError(
            f"need (samples, latents) and (samples, order parameters), got {mean_SZ.shape}, {order_SK.shape}"
        )
    if len(mean_SZ) != len(order_SK):
        raise ValueError(f"got {len(mean_SZ)} rows of latents but {len(order_SK)} of order parameters")


def pearson(cov_DD: Array, num_latents: int) -> Array:
    """Correlations (Z, K) from the covariance of (latents, order parameters); 0 where one is constant."""
    std_D = np.sqrt(np.maximum(np.diag(cov_DD), 0))
    scale_ZK = np.outer(std_D[:num_latents], std_D[num_latents:])
    cov_ZK = cov_DD[:num_latents, num_latents:]
    return np.divide(cov_ZK, scale_ZK, out=np.zeros_like(cov_ZK), where=scale_ZK > 0)
