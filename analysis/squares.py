"""Squares of latents against even observables, which latents that stand for odd order parameters cannot correlate with.

A structure factor does not change when the order parameter changes its sign, so its correlation with a latent that
follows the order parameter is 0; that with the latent's square is not.  What a square of the order parameter itself, or
of the first principal component, would reach is the baseline.

Axes: S samples, K features, V observables.
"""

from __future__ import annotations

import numpy as np

from analysis.covariance import moments, pearson
from analysis.errors import RESAMPLES, Array, Chains, Estimate, average, bootstrap


def squared_correlations(
    odd_SK: Array, value_SV: Array, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[tuple[Estimate, ...], ...]:
    """Pearson correlations of (x_k - <x_k>)^2 with each observable, by feature; nan for one that is constant.

    The mean of a feature is taken once with all samples, the rest is resampled.

    Args:
        odd_SK: latents, order parameters, principal components.
        value_SV: observables of the same samples.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: unequal numbers of rows.
    """
    if len(odd_SK) != len(value_SV):
        raise ValueError(f"got {len(odd_SK)} rows of features but {len(value_SV)} of observables")
    count = odd_SK.shape[1]
    even_SK = (odd_SK - average(odd_SK, chains)) ** 2
    joint = moments(np.hstack([even_SK, value_SV]))

    def statistic(mean_F: Array) -> Array:
        cov_DD = joint.covariance(mean_F)
        found_KV = pearson(cov_DD, count)
        found_KV[np.outer(np.diag(cov_DD)[:count] <= 0, np.ones(value_SV.shape[1], dtype=bool))] = np.nan
        found_KV[:, np.diag(cov_DD)[count:] <= 0] = np.nan
        return found_KV.ravel()

    found = bootstrap(statistic, joint.features_SF, chains, rng, resamples)
    width = value_SV.shape[1]
    return tuple(found[k * width : (k + 1) * width] for k in range(count))
