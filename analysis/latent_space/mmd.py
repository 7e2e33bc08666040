"""Distances between phases, Eq. 9: the maximum mean discrepancy with linear functions of slope at most 1.

It is the Euclidean distance of first moments, |E_x - E_y|, in input or in latent space. The plain estimate of
its square is too large by the scatter of the two means; the corrected one takes that off and may be negative.

Axes: S samples, F features (sites or latents), C chains, G groups (phases or temperatures), P occurring pairs
of chain and group, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from analysis.errors import RESAMPLES, Array, Chains, Estimate, method_of, resample


class GroupSums(NamedTuple):
    """Sums over samples, enough for every distance between groups: configurations need not stay in memory."""

    sum_PF: Array
    """Sum of the samples of one chain that are in one group."""
    count_P: NDArray[np.intp]
    """Number of these samples."""
    chain_P: NDArray[np.intp]
    group_P: NDArray[np.intp]
    stratum_C: NDArray[np.intp]
    """Stratum of each chain."""


class Distance(NamedTuple):
    """Distance between the first moments of two groups."""

    first: int
    second: int
    squared: Estimate
    """Bias-corrected square: right on average for independent chains, may be negative."""
    plain: float
    """Square of the distance of the sample means, Eq. 9 as it stands: too large by their scatter."""
    distance: Estimate
    """Root of the corrected square, 0 where that is negative."""


class Neighbours(NamedTuple):
    """Distances between neighbouring temperatures: largest where the order parameter changes fastest."""

    temperature: tuple[float, ...]
    """Midpoints."""
    distance: tuple[Estimate, ...]


def group_sums(x_SF: NDArray[np.number], group_S: NDArray[np.intp], chains: Chains) -> GroupSums:
    """Add up samples by chain and group.

    Args:
        x_SF: features of each sample: configurations (whole numbers will do), or means of the posterior.
        group_S: group of each sample (a phase's index, say), 0 or more; samples below 0 are left out.
        chains: from ``index_chains``, for the same rows.

    Raises:
        ValueError: unequal numbers of rows.
    """
    if x_SF.ndim != 2 or not len(x_SF) == len(group_S) == len(chains.chain_S):
        raise ValueError(
            f"need x (samples, features), groups and chains of equal length, "
            f"got {x_SF.shape}, {len(group_S)}, {len(chains.chain_S)}"
        )
    row = np.flatnonzero(group_S >= 0)
    num_groups = int(group_S.max(initial=0)) + 1
    pair, row_pair = np.unique(chains.chain_S[row] * num_groups + np.asarray(group_S)[row], return_inverse=True)
    indicator = csr_array((np.ones(len(row)), (row_pair, row)), shape=(len(pair), len(x_SF)))
    return GroupSums(
        np.asarray(indicator @ x_SF),
        np.bincount(row_pair, minlength=len(pair)),
        pair // num_groups,
        pair % num_groups,
        chains.stratum_C,
    )


def join(parts: Sequence[GroupSums]) -> GroupSums:
    """The sums of several parts (shards) as one; their chains and strata are taken to be different."""
    chain_offsets = np.cumsum([0, *(len(part.stratum_C) for part in parts)])[:-1]
    stratum_offsets = np.cumsum([0, *(part.stratum_C.max() + 1 for part in parts)])[:-1]
    return GroupSums(
        np.concatenate([part.sum_PF for part in parts]),
        np.concatenate([part.count_P for part in parts]),
        np.concatenate([part.chain_P + offset for part, offset in zip(parts, chain_offsets, strict=True)]),
        np.concatenate([part.group_P for part in parts]),
        np.concatenate([part.stratum_C + offset for part, offset in zip(parts, stratum_offsets, strict=True)]),
    )


def distances(
    sums: GroupSums, pairs: Sequence[tuple[int, int]], rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[Distance, ...]:
    """Distances between groups, with errors from resampling chains.

    Args:
        sums: from ``group_sums``.
        pairs: pairs of groups.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: a group without samples.
    """
    weight_BC = resample(sums.stratum_C, rng, resamples)
    results = []
    for first, second in pairs:
        plain, bias, replica_B = _squared(sums, first, second, weight_BC)
        squared = plain - bias
        # A resample scatters about the sample mean as that does about the truth: it carries the bias twice.
        root_B = np.sqrt(np.maximum(replica_B - 2 * bias, 0))
        results.append(
            Distance(
                first,
                second,
                _estimate(squared, replica_B, sums, (first, second)),
                plain,
                _estimate(float(np.sqrt(max(squared, 0))), root_B, sums, (first, second)),
            )
        )
    return tuple(results)


def isometry(
    sums: GroupSums,
    plus: int,
    minus: int,
    disordered: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """d(P+, P-) / d(P+, PM): 2 where the disordered phase is half-way between the two ordered ones.

    The input space of a Z2-symmetric system has 2; a latent space with 2 as well keeps relative distances.
    The value is nan if P+ and PM coincide, as in a collapsed network.

    Raises:
        ValueError: a phase without samples.
    """
    weight_BC = resample(sums.stratum_C, rng, resamples)
    roots, replicas = [], []
    for other in (minus, disordered):
        plain, bias, replica_B = _squared(sums, plus, other, weight_BC)
        roots.append(np.sqrt(max(plain - bias, 0)))
        replicas.append(np.sqrt(np.maximum(replica_B - 2 * bias, 0)))
    value = float(roots[0] / roots[1]) if roots[1] > 0 else float("nan")
    ratio_B = np.divide(replicas[0], replicas[1], out=np.full(resamples, np.nan), where=replicas[1] > 0)
    return _estimate(value, ratio_B, sums, (plus, minus, disordered))


def folded(x_SF: Array, order_S: Array) -> Array:
    """Each sample times the sign of its order parameter (+ for 0).

    The two degenerate phases cancel in a first moment; folded, they add up.
    """
    return np.where(order_S < 0, -1.0, 1.0)[:, None] * x_SF


def neighbouring(
    sums: GroupSums, temperature_G: Sequence[float], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Neighbours:
    """Distances between neighbouring temperatures at otherwise equal parameters.

    Args:
        sums: groups are temperatures; made from ``folded`` samples, divided by sqrt(number of sites) if input
            spaces of several sizes are to be compared (the distance then is the change of |m|).
        temperature_G: temperature of each group, increasing.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: temperatures that do not increase, or one without samples.
    """
    temperatures = np.asarray(temperature_G, dtype=float)
    if len(temperatures) < 2 or not (np.diff(temperatures) > 0).all():
        raise ValueError(f"need at least two increasing temperatures, got {temperatures.tolist()}")
    steps = [(group, group + 1) for group in range(len(temperatures) - 1)]
    return Neighbours(
        tuple(((temperatures[1:] + temperatures[:-1]) / 2).tolist()),
        tuple(step.distance for step in distances(sums, steps, rng, resamples)),
    )


def _squared(sums: GroupSums, first: int, second: int, weight_BC: Array) -> tuple[float, float, Array]:
    """Plain squared distance, its bias, and the plain squares of the resamples.

    The bias is the variance of the difference of two ratio estimates, sum over group / number in group, from
    the scatter of chains within strata. A chain that visits both groups is counted with its correlation.
    """
    difference_F, replica_BF = np.zeros(()), np.zeros(())
    influence_CF = np.zeros((len(sums.stratum_C), sums.sum_PF.shape[1]))
    for group, sign in ((first, 1.0), (second, -1.0)):
        rows = np.flatnonzero(sums.group_P == group)
        if len(rows) == 0:
            raise ValueError(f"group {group} has no samples; there are {np.unique(sums.group_P).tolist()}")
        sum_RF, count_R, chain_R = sums.sum_PF[rows], sums.count_P[rows], sums.chain_P[rows]
        mean_F = sum_RF.sum(axis=0) / count_R.sum()
        influence_CF[chain_R] += sign * (sum_RF - count_R[:, None] * mean_F) / count_R.sum()
        difference_F = difference_F + sign * mean_F
        weight_BR = weight_BC[:, chain_R]
        total_B = weight_BR @ count_R
        # A resample without the group says nothing about it: nan, and left out by _estimate.
        total_B[total_B == 0] = np.nan
        replica_BF = replica_BF + sign * (weight_BR @ sum_RF) / total_B[:, None]
    bias = 0.0
    for stratum in np.unique(sums.stratum_C):
        members_nF = influence_CF[sums.stratum_C == stratum]
        n = len(members_nF)
        bias += n / (n - 1) * ((members_nF - members_nF.mean(axis=0)) ** 2).sum()
    return float((difference_F**2).sum()), float(bias), (replica_BF**2).sum(axis=1)


def _estimate(value: float, replica_B: Array, sums: GroupSums, groups: tuple[int, ...]) -> Estimate:
    """The value with the scatter of those resamples in which every group occurs."""
    is_in = np.isin(sums.group_P, groups)
    used = replica_B[np.isfinite(replica_B)]
    error = float(used.std(ddof=1)) if len(used) > 1 and np.isfinite(value) else float("nan")
    chains = len(np.unique(sums.chain_P[is_in]))
    return Estimate(value, error, int(sums.count_P[is_in].sum()), method_of(chains, len(used)))
