"""Numbers with error bars: the bootstrap over whole Markov chains.

Axes: S samples (rows), F features, C chains, B bootstrap resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]

RESAMPLES = 200
"""Default number of resamples: the error itself is then known to about 1 / sqrt(2 * 200) = 5 %."""


class Estimate(NamedTuple):
    """A number, its standard error and where both come from; prints as ``0.9973(12)``."""

    value: float
    error: float
    """One standard error, in the units of the value; nan where it cannot be estimated."""
    samples: int
    """Rows that went into the value (rows of one chain are correlated, so not an effective number)."""
    method: str
    """How value and error were made, for a reader of the report."""

    def __str__(self) -> str:
        """Two significant digits of the error, in brackets in units of the last digit of the value."""
        if not math.isfinite(self.error) or not math.isfinite(self.value):
            return f"{self.value:.4g}(?)"
        error = float(f"{self.error:.1e}")
        if error == 0:
            return f"{self.value:.4g}(0)"
        decimals = 1 - math.floor(math.log10(error))
        if decimals <= 0:
            return f"{round(self.value, decimals):.0f}({error:.0f})"
        digits = f"{error:.{decimals}f}"
        return f"{self.value:.{decimals}f}({digits if error >= 1 else digits.lstrip('0.')})"


class Chains(NamedTuple):
    """Which Markov chain every row comes from, and which stratum (shard, parameter point) every chain."""

    chain_S: NDArray[np.intp]
    """Chain of each row, 0 ... C-1, counted through all strata."""
    stratum_C: NDArray[np.intp]
    """Stratum of each chain, 0 ... H-1."""
    weight_S: Array | None = None
    """Weight of each row in averages, which may be negative: the sign of a configuration where rows come as often as
    abs(weight) says. An average is then that of the ratios <x sign> / <sign> of the strata, each stratum counting with
    its rows. None: all rows count alike."""

    @property
    def num_chains(self) -> int:
        """Number of chains C."""
        return len(self.stratum_C)


def index_chains(chains_S: ArrayLike, strata_S: ArrayLike) -> Chains:
    """Number the chains of all strata.

    Args:
        chains_S: chain of each row; numbers may repeat from stratum to stratum.
        strata_S: stratum of each row, numbers or strings (a shard's name): rows of one parameter point.

    Raises:
        ValueError: unequal lengths, no rows, or a stratum with a single chain, whose scatter is unknown.
    """
    chains, strata = np.asarray(chains_S), np.asarray(strata_S)
    if chains.ndim != 1 or chains.shape != strata.shape or chains.size == 0:
        raise ValueError(
            f"chains and strata must be equally long, non-empty rows, got {chains.shape} and {strata.shape}"
        )
    _, chain_ids = np.unique(chains, return_inverse=True)
    stratum_names, stratum_ids = np.unique(strata, return_inverse=True)
    pairs, chain_S = np.unique(stratum_ids * (chain_ids.max() + 1) + chain_ids, return_inverse=True)
    stratum_C = pairs // (chain_ids.max() + 1)
    sizes_H = np.bincount(stratum_C)
    if sizes_H.min() < 2:
        lonely = stratum_names[int(np.argmin(sizes_H))]
        raise ValueError(
            f"stratum {lonely} has a single chain, so its error cannot be estimated: "
            "give at least two chains, or merge strata"
        )
    return Chains(chain_S, stratum_C)


def part_of(chains: Chains, rows: NDArray[Any]) -> Chains:
    """The chains of some rows, numbered anew.

    Raises:
        ValueError: as ``index_chains``.
    """
    chain_S = chains.chain_S[rows]
    weight_S = None if chains.weight_S is None else chains.weight_S[rows]
    return index_chains(chain_S, chains.stratum_C[chain_S])._replace(weight_S=weight_S)


def chain_sums(x_SF: Array, chains: Chains) -> Array:
    """Sum of the rows of each chain, with their weights, shape (C, F)."""
    rows = len(chains.chain_S)
    if len(x_SF) != rows:
        raise ValueError(f"expected one row per sample, {rows}, got {len(x_SF)}")
    weight_S = np.ones(rows) if chains.weight_S is None else chains.weight_S
    indicator = csr_array((weight_S, (chains.chain_S, np.arange(rows))), shape=(chains.num_chains, rows))
    return np.asarray(indicator @ x_SF)


def average(features_SF: Array, chains: Chains) -> Array:
    """(F,) averages over the rows, with the weights that ``chains`` may have; nan where these cancel altogether."""
    if chains.weight_S is None:
        return np.asarray(features_SF.mean(axis=0))
    sum_CF, weight_C = chain_sums(features_SF, chains), chain_sums(np.ones((len(features_SF), 1)), chains)[:, 0]
    return _reweighted(sum_CF, weight_C, np.ones((1, chains.num_chains)), chains)[0]


def _reweighted(sum_CF: Array, weight_C: Array, count_BC: Array, chains: Chains) -> Array:
    """(B, F) averages of resamples in which chain c occurs ``count_BC`` times."""
    rows_C = np.bincount(chains.chain_S, minlength=chains.num_chains)
    mean_BF = np.zeros((len(count_BC), sum_CF.shape[1]))
    for stratum in np.unique(chains.stratum_C):
        members = np.flatnonzero(chains.stratum_C == stratum)
        total_BF = count_BC[:, members] @ sum_CF[members]
        weight_B1 = (count_BC[:, members] @ weight_C[members])[:, None]
        ratio_BF = np.divide(total_BF, weight_B1, out=np.full_like(total_BF, np.nan), where=weight_B1 != 0)
        mean_BF += rows_C[members].sum() / rows_C.sum() * ratio_BF
    return mean_BF


def resample(stratum_C: NDArray[np.intp], rng: np.random.Generator, resamples: int = RESAMPLES) -> Array:
    """Weights of the chains in each bootstrap resample, shape (B, C).

    In a stratum of n chains, n - 1 are drawn with replacement and count n / (n - 1) times. Drawing n of n
    would make the variance too small by (n - 1) / n, a factor of two for two chains.

    Raises:
        ValueError: fewer than two resamples, or a stratum with a single chain.

    Source: Rao and Wu, J. Am. Stat. Assoc. 83 (1988) 231, with m = n - 1.
    """
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2, got {resamples}")
    weight_BC = np.zeros((resamples, len(stratum_C)))
    for stratum in np.unique(stratum_C):
        members = np.flatnonzero(stratum_C == stratum)
        n = len(members)
        if n < 2:
            raise ValueError(f"stratum {stratum} has {n} chain; resampling needs at least two")
        weight_BC[:, members] = rng.multinomial(n - 1, np.full(n, 1 / n), size=resamples) * (n / (n - 1))
    return weight_BC


def method_of(chains: int, resamples: int, is_weighted: bool = False) -> str:
    """The words under ``Estimate.method`` for an error from ``resample``."""
    words = f"bootstrap over {chains} chains within parameter points, {resamples} resamples"
    return f"{words}, weighted by the sign" if is_weighted else words


def bootstrap(
    statistic: Callable[[Array], ArrayLike],
    features_SF: Array,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Estimate, ...]:
    """A function of averages over samples, and its standard error from resampling whole chains.

    Correlations, divergences, accuracies are all functions of averages of per-sample features. A resample
    then is one row of a matrix product with the sums over chains, however many samples there are. Chains
    must be independent; what happens within a chain, autocorrelation included, does not matter. Where rows have
    weights, numerators and denominators are resampled together, so the error is that of the ratios.

    Args:
        statistic: takes the averages (F,) and returns a number or a vector; nan or infinite where undefined.
        features_SF: F features of each sample.
        chains: from ``index_chains``, for the same rows.
        rng: draws the resamples.
        resamples: number of resamples B.

    Returns:
        One ``Estimate`` per number that the statistic returns.
    """
    sum_CF = chain_sums(features_SF, chains)
    count_BC = resample(chains.stratum_C, rng, resamples)
    if chains.weight_S is None:
        rows_C = np.bincount(chains.chain_S, minlength=chains.num_chains)
        mean_BF = (count_BC @ sum_CF) / (count_BC @ rows_C)[:, None]
        mean_F = sum_CF.sum(0) / rows_C.sum()
    else:
        weight_C = chain_sums(np.ones((len(features_SF), 1)), chains)[:, 0]
        mean_BF = _reweighted(sum_CF, weight_C, count_BC, chains)
        # Resamples in which the signs of a stratum cancel altogether have no average.
        mean_BF = mean_BF[np.isfinite(mean_BF).all(axis=1)]
        mean_F = average(features_SF, chains)
    values = np.atleast_1d(np.asarray(statistic(mean_F), dtype=float))
    replicas = np.array([np.atleast_1d(np.asarray(statistic(one_F), dtype=float)) for one_F in mean_BF])
    errors = _scatter(replicas.reshape(-1, len(values)))
    # A statistic that no resample changes (all right, say) has no scatter but that of rounding.
    errors[errors < 1e-13 * np.abs(values)] = 0.0
    method = method_of(chains.num_chains, resamples, chains.weight_S is not None)
    return tuple(
        Estimate(float(value), float(error), len(chains.chain_S), method)
        for value, error in zip(values, errors, strict=True)
    )


def _scatter(replicas_BF: Array) -> Array:
    """Standard deviation over resamples; those in which a statistic is undefined say nothing about it."""
    if len(replicas_BF) > 1 and np.isfinite(replicas_BF).all():
        return np.asarray(replicas_BF.std(axis=0, ddof=1))
    parts = [column[np.isfinite(column)] for column in replicas_BF.T]
    return np.array([part.std(ddof=1) if len(part) > 1 else np.nan for part in parts])


def binomial(successes: int, trials: int) -> Estimate:
    """A share of independent trials; the error is half the 68 % interval of Wilson, above 0 for no success.

    Raises:
        ValueError: no trials, or successes outside 0 ... trials.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209, with z = 1.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"need 0 <= successes <= trials and a trial, got {successes} of {trials}")
    share = successes / trials
    error = math.sqrt(share * (1 - share) / trials + 0.25 / trials**2) / (1 + 1 / trials)
    return Estimate(share, error, trials, "share of independent samples, Wilson error")


def at_least_binomial(share: Estimate, is_right_S: NDArray[np.bool_]) -> Estimate:
    """The share with an error no smaller than that of as many independent samples: not 0 for a share of 1."""
    independent = binomial(int(is_right_S.sum()), len(is_right_S))
    return share._replace(error=max(share.error, independent.error), samples=len(is_right_S))
