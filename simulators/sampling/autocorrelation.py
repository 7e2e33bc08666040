"""How much a set of Markov chains knows: autocorrelation time, R-hat, errors, agreement of starts.

Series are x_RT: R independent chains of T measurements each, equally spaced.  Several chains are worth more than
one long one here: the spread of their means is an error that no autocorrelation can falsify.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW = 6.0
"""The sum of correlations stops at this many tau; for an exponential decay it misses exp(-6) of it."""
FEWEST_WINDOWS_IN_SERIES = 2
"""A series must hold its window this many times, or the correlations at the window's end are noise."""


LARGEST_R_HAT = 1e6
"""R-hat of chains that differ but never move."""


class AutocorrelationTime(NamedTuple):
    """An integrated autocorrelation time."""

    tau: float
    """1/2 + sum_t rho(t), in measurements; 1/2 for independent ones."""
    window: int
    """Lags that were summed."""
    long_enough: bool
    """Whether the series shows its correlations decay; if not, tau is a lower bound."""


class Mean(NamedTuple):
    """A mean over chains with what it is worth."""

    mean: float
    error: float
    """Standard error, from the spread of the chains' means."""
    effective_samples: float
    """How many independent measurements have that error, at most as many as there are."""


def autocorrelation_time(x_RT: NDArray[np.float64]) -> AutocorrelationTime:
    """Integrated autocorrelation time of short, independent, stationary chains.

    Deviations are from the mean of all chains, which has R times less bias than each chain's own; chains that have
    not mixed therefore count as correlated.  The window grows until it is ``WINDOW`` tau long.  A series that never
    changes has nothing to correlate: tau = 1/2.

    Raises:
        ValueError: fewer than two measurements.

    Source: Sokal, in Functional Integration (1997) 131, with Wolff's average over replicas, hep-lat/0306017.
    """
    _check(x_RT, chains=1)
    lags = x_RT.shape[1]
    deviation_RT = x_RT - x_RT.mean()
    # Twice the length, filled with zeros, keeps the end of a chain from being correlated with its beginning.
    spectrum_RF = np.fft.rfft(deviation_RT, 2 * lags, axis=1)
    covariance_T = np.fft.irfft((np.abs(spectrum_RF) ** 2).mean(axis=0))[:lags] / np.arange(lags, 0, -1)
    if _is_rounding(math.sqrt(max(covariance_T[0], 0.0)), x_RT):
        return AutocorrelationTime(0.5, 0, True)
    tau_T = 0.5 + np.concatenate([[0.0], np.cumsum(covariance_T[1:] / covariance_T[0])])
    closed_T = np.arange(lags) >= WINDOW * tau_T
    window = int(np.argmax(closed_T)) if closed_T.any() else lags - 1
    long_enough = bool(closed_T.any()) and FEWEST_WINDOWS_IN_SERIES * window <= lags
    # Noise may push the sum of a fast series below what independent measurements have, or below zero.
    return AutocorrelationTime(max(0.5, float(tau_T[window])), window, long_enough)


def r_hat(x_RT: NDArray[np.float64]) -> float:
    """Potential scale reduction: 1 where the chains agree, larger where each stays in a region of its own.

    Where nothing varies inside the chains, 1 if they all hold the same value, else ``LARGEST_R_HAT``.

    Raises:
        ValueError: fewer than two chains or two measurements.

    Source: Gelman and Rubin, Statistical Science 7 (1992) 457, as in Gelman et al., Bayesian Data Analysis, 11.4.
    """
    _check(x_RT, chains=2)
    length = x_RT.shape[1]
    within = float(x_RT.var(axis=1, ddof=1).mean())
    between = float(x_RT.mean(axis=1).var(ddof=1))
    if _is_rounding(math.sqrt(within), x_RT):
        return 1.0 if _is_rounding(math.sqrt(between), x_RT) else LARGEST_R_HAT
    return min(LARGEST_R_HAT, math.sqrt((length - 1) / length + between / within))


def mean_over_chains(x_RT: NDArray[np.float64]) -> Mean:
    """Mean, its error and the effective number of samples, variance / error^2.

    The relative uncertainty of the error is 1 / sqrt(2 (R - 1)), that of the effective samples twice this.  They are
    held at R T, the number of measurements: anticorrelated series could do better, but a larger number seen here is
    almost always that uncertainty.  A quantity that never varies counts every measurement.

    Raises:
        ValueError: fewer than two chains or two measurements.
    """
    _check(x_RT, chains=2)
    error = float(x_RT.mean(axis=1).std(ddof=1)) / math.sqrt(len(x_RT))
    variance = float(x_RT.var(ddof=1))
    effective = variance / error**2 if error > 0 and not _is_rounding(error, x_RT) else math.inf
    return Mean(float(x_RT.mean()), error, min(float(x_RT.size), effective))


def start_z(x_RT: NDArray[np.float64], hot_R: NDArray[np.bool_]) -> float:
    """Hot starts against ordered ones: their difference in standard deviations, a unit normal if both forgot.

    Student's t of the chain means with R - 2 degrees of freedom, carried over to the normal scale, so that a
    threshold has the same false-alarm rate for any number of chains: |z| > 5 has 5.7e-7 per quantity, as far as
    chain means are normal.

    Raises:
        ValueError: fewer than two chains of either kind.

    Source of the t-to-normal formula: Wallace, Ann. Math. Statist. 30 (1959) 1124, relative error below 1 %.
    """
    _check(x_RT, chains=4)
    mean_R = x_RT.mean(axis=1)
    hot, ordered = mean_R[hot_R], mean_R[~hot_R]
    if min(len(hot), len(ordered)) < 2:
        raise ValueError(f"needs two chains of either start, got {len(hot)} hot and {len(ordered)} ordered")
    freedom = len(mean_R) - 2
    pooled = (((hot - hot.mean()) ** 2).sum() + ((ordered - ordered.mean()) ** 2).sum()) / freedom
    # A frozen quantity has no spread; its rounding is then the scale, so that equal values still agree.
    rounding = len(mean_R) * np.finfo(float).eps * float(np.abs(x_RT).max())
    error = max(math.sqrt(pooled * (1 / len(hot) + 1 / len(ordered))), rounding)
    t = float(hot.mean() - ordered.mean()) / error if error > 0 else 0.0
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.copysign(z, t)


def _is_rounding(spread: float, x_RT: NDArray[np.float64]) -> bool:
    """Whether a standard deviation is nothing but the rounding of equal numbers."""
    return spread <= x_RT.size * float(np.finfo(float).eps) * float(np.abs(x_RT).max())


def _check(x_RT: NDArray[np.float64], chains: int) -> None:
    if x_RT.ndim != 2 or x_RT.shape[0] < chains or x_RT.shape[1] < 2:
        raise ValueError(f"needs at least {chains} chains of two measurements, got an array {x_RT.shape}")
