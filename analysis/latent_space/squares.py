"""Squares of latents against even observables, which latents that stand for odd order parameters cannot correlate with.

A structure factor does not change when the order parameter changes its sign, so its correlation with a latent that
follows the order parameter is 0; that with the latent's square is not.  What a square of the order parameter itself, or
of the first principal component, would reach is the baseline.

Means are another matter.  Where the square of an order parameter gives an observable exactly, on average, a latent that
is linear in the order parameter gives it too, once it is told the unit: ``read_fluctuations``.  Where it does not, the
best that a square can do at all points at once is a line: ``read_by_line``.

Axes: S samples, K features, V observables, P parameter points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import RESAMPLES, Array, Chains, Estimate, average, bootstrap
from analysis.latent_space.covariance import moments, pearson


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

    estimates = bootstrap(statistic, joint.features_SF, chains, rng, resamples)
    width = value_SV.shape[1]
    return tuple(estimates[k * width : (k + 1) * width] for k in range(count))


class SquareReading(NamedTuple):
    """Means of an even observable at one point, and by how much those of a square are off, the scatter that both share
    taken out of its error."""

    read: Estimate
    direct: Estimate | None
    """As it is measured otherwise; None: it was not."""
    off: Estimate | None
    """``read`` - ``direct``."""


def read_fluctuations(
    linear_S: Array,
    square_S: Array,
    order_S: Array,
    scale_S: Array,
    rest_S: Array,
    value_S: Array | None,
    point_S: NDArray[np.intp],
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    squared_norm: float | None = None,
) -> tuple[SquareReading, ...]:
    """scale <x^2> + <rest> at every point, x being what ``linear_S`` stands for, less its mean, in its own unit.

    The unit is that of its regression on the order parameter, cov(x, m) / var(m) over all points: one number for all of
    them, and the observable has no part in it.

    Args:
        linear_S: a latent, or a mean of several numbers of the same kind.
        square_S: its square, or the mean of theirs.
        order_S: the order parameter m that it stands for.
        scale_S: the same for all samples of a point.
        rest_S: what is added, of each sample.
        value_S: the observable as it is measured otherwise; None: it is not.
        point_S: 0 ... P-1.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.
        squared_norm: of the weights with which ``linear_S`` sums up elements, the order parameter's being 1; ``rest_S``
            is of each element with itself, so it goes with this, in x's unit.  A latent that is not quite the order
            parameter usually has a larger one.  None: that of the order parameter.

    Returns:
        (P,)
    """
    middle = average(linear_S[:, None], chains)[0]
    # Small numbers keep their digits.
    linear_S, square_S = linear_S - middle, square_S - 2 * middle * linear_S + middle**2
    direct_S = np.zeros(len(linear_S)) if value_S is None else value_S
    overall_SF = np.stack([linear_S, order_S, order_S**2, linear_S * order_S], axis=1)
    each_SF = np.stack([linear_S, scale_S * square_S, scale_S, rest_S, direct_S], axis=1)

    def statistic(mean_F: Array) -> Array:
        (linear, order, square, product), mean_PF = _by_point(mean_F, overall_SF.shape[1], each_SF.shape[1])
        unit = (product - linear * order) / (square - order**2)
        linear_P, square_P, scale_P, rest_P, direct_P = mean_PF.T
        own = 1.0 if squared_norm is None else squared_norm / unit**2
        read_P = (square_P - scale_P * (2 * linear * linear_P - linear**2)) / unit**2 + own * rest_P
        return _compared(read_P, direct_P)

    estimates = _readings(bootstrap(statistic, _features(overall_SF, each_SF, point_S), chains, rng, resamples))
    return estimates if value_S is not None else tuple(SquareReading(reading.read, None, None) for reading in estimates)


def read_by_line(
    latent_S: Array,
    value_S: Array,
    point_S: NDArray[np.intp],
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[SquareReading, ...]:
    """a + b <(z - <z>)^2> at every point, with the a and b of the least squares over the samples of all points.

    Other arguments are those of ``read_fluctuations``.

    Returns:
        (P,)
    """
    even_S = (latent_S - average(latent_S[:, None], chains)[0]) ** 2
    overall_SF = np.stack([even_S, value_S, even_S**2, even_S * value_S], axis=1)
    each_SF = np.stack([even_S, value_S], axis=1)

    def statistic(mean_F: Array) -> Array:
        (even, value, square, product), mean_PF = _by_point(mean_F, overall_SF.shape[1], each_SF.shape[1])
        slope = (product - even * value) / (square - even**2)
        even_P, direct_P = mean_PF.T
        return _compared(value + slope * (even_P - even), direct_P)

    return _readings(bootstrap(statistic, _features(overall_SF, each_SF, point_S), chains, rng, resamples))


def _features(overall_SF: Array, each_SF: Array, point_S: NDArray[np.intp]) -> Array:
    """Features whose averages ``_by_point`` takes apart: those of all samples, then 1 and those of a point's alone."""
    is_there_SP = (point_S[:, None] == np.arange(point_S.max() + 1)).astype(float)
    one_SF = np.hstack([np.ones((len(each_SF), 1)), each_SF])
    return np.hstack([overall_SF, (is_there_SP[:, :, None] * one_SF[:, None, :]).reshape(len(one_SF), -1)])


def _by_point(mean_F: Array, overall: int, each: int) -> tuple[Array, Array]:
    """Averages over all samples, and (P, F) those over the samples of each point."""
    of_P1F = mean_F[overall:].reshape(-1, each + 1)
    return mean_F[:overall], of_P1F[:, 1:] / of_P1F[:, :1]


def _compared(read_P: Array, direct_P: Array) -> Array:
    """The numbers of ``SquareReading``, point by point, in one row."""
    return np.stack([read_P, direct_P, read_P - direct_P], axis=1).ravel()


def _readings(estimates: tuple[Estimate, ...]) -> tuple[SquareReading, ...]:
    """What ``_compared`` put in one row, with errors."""
    return tuple(SquareReading(*estimates[first : first + 3]) for first in range(0, len(estimates), 3))
