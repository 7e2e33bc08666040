"""Do the latents alone tell the phases apart, and which phases does the decoder generate?

Axes: S samples, Z latents, P phases present, N generated fields, K order parameters, C channels, H rows,
W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import ClusterError, kmeans2, vq
from scipy.optimize import linear_sum_assignment

from analysis.errors import RESAMPLES, Array, Chains, Estimate, at_least_binomial, binomial, bootstrap
from analysis.phases import DISORDERED, Phases

RESTARTS = 20
"""Starts of the cluster search; the tightest result is taken."""
SEARCH_ROWS = 4000
"""Samples used in the search; the best centres are then refined with all samples."""
ORDERED, NOT_ORDERED = 0.5, 0.25
"""A generated field is ordered in k if |o_k| reaches the first and all others are below the second."""
AMBIGUOUS = "ambiguous"
"""Name of generated fields between or besides the phases."""


class Separation(NamedTuple):
    """Clusters found without labels, compared with the phases."""

    accuracy: Estimate
    """Share of the samples that lie in the cluster of their phase."""
    phases: tuple[str, ...]
    """Names of the phases present, P of them, which is also the number of clusters asked for."""
    recall: tuple[Estimate, ...]
    """Share of each phase's samples in its cluster."""
    centre_PZ: Array
    """Centre of each phase's cluster; nan for a phase that got none."""


class Share(NamedTuple):
    """Share of the generated fields that are in one phase."""

    phase: str
    share: Estimate


def separation(
    mean_SZ: Array, phases: Phases, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Separation:
    """Look for as many clusters as phases are present (k-means), then match clusters to phases.

    Scale-free like every clustering: a collapsed network may score high, so check its divergence first.

    Args:
        mean_SZ: means of the posterior of held-out samples.
        phases: of the same samples.
        chains: from ``index_chains``, for the same rows.
        rng: starts the search and draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: unequal numbers of rows, or fewer than two phases present.
    """
    if mean_SZ.ndim != 2 or len(mean_SZ) != len(phases.label_S):
        raise ValueError(f"need one phase per row of latents, got {mean_SZ.shape}, {len(phases.label_S)}")
    present = np.array(phases.present)
    if len(present) < 2:
        raise ValueError(f"need at least two phases to separate, got {[phases.names[p] for p in present]}")
    centre_QZ = cluster_centres(mean_SZ, len(present), rng)
    cluster_S, _ = vq(mean_SZ, centre_QZ)
    phase_S = np.searchsorted(present, phases.label_S)
    overlap_PQ = np.zeros((len(present), len(centre_QZ)))
    np.add.at(overlap_PQ, (phase_S, cluster_S), 1)
    matched_phases, matched_clusters = linear_sum_assignment(-overlap_PQ)
    cluster_of_P = np.full(len(present), -1)
    cluster_of_P[matched_phases] = matched_clusters
    centre_PZ = np.full((len(present), mean_SZ.shape[1]), np.nan)
    centre_PZ[matched_phases] = centre_QZ[matched_clusters]

    is_right_S = cluster_S == cluster_of_P[phase_S]
    is_phase_SP = phase_S[:, None] == np.arange(len(present))

    def shares(mean_F: Array) -> Array:
        in_phase_P, right_P = np.split(mean_F, 2)
        recall_P = np.divide(right_P, in_phase_P, out=np.zeros_like(right_P), where=in_phase_P > 0)
        return np.append(right_P.sum(), recall_P)

    features_SF = np.hstack([is_phase_SP, is_phase_SP & is_right_S[:, None]]).astype(float)
    accuracy, *recall = bootstrap(shares, features_SF, chains, rng, resamples)
    is_right_PS = [is_right_S[phase_S == p] for p in range(len(present))]
    return Separation(
        at_least_binomial(accuracy, is_right_S),
        tuple(phases.names[phase] for phase in present),
        tuple(at_least_binomial(part, right) for part, right in zip(recall, is_right_PS, strict=True)),
        centre_PZ,
    )


def cluster_centres(mean_SZ: Array, clusters: int, rng: np.random.Generator) -> Array:
    """Centres of the tightest k-means solution of ``RESTARTS`` starts (k-means++).

    Fewer than asked for if there are fewer distinct samples, as in a network that ignores its input.

    Source: Arthur and Vassilvitskii, SODA (2007) 1027.
    """
    few_SZ = rng.permutation(mean_SZ)[:SEARCH_ROWS].astype(float)
    distinct_UZ = np.unique(few_SZ, axis=0)
    if len(distinct_UZ) <= clusters:
        return distinct_UZ
    best, best_inertia = distinct_UZ[:clusters], np.inf
    for _ in range(RESTARTS):
        try:
            centre_QZ, _ = kmeans2(few_SZ, clusters, iter=30, minit="++", missing="raise", rng=rng)
        except ClusterError:  # A cluster ran empty: this start is no solution.
            continue
        inertia = float((vq(few_SZ, centre_QZ)[1] ** 2).mean())
        if inertia < best_inertia:
            best, best_inertia = centre_QZ, inertia
    for _ in range(10):
        cluster_S, _ = vq(mean_SZ, best)
        best = np.stack(
            [mean_SZ[cluster_S == q].mean(axis=0) if (cluster_S == q).any() else best[q] for q in range(clusters)]
        )
    return best


def uniform(shape: tuple[int, int, int]) -> Array:
    """Pattern of the magnetization: 1 on every site of (C, H, W)."""
    return np.ones(shape)


def checkerboard(shape: tuple[int, int, int]) -> Array:
    """Pattern of the staggered magnetization: (-1)^(row + column) on every site of (C, H, W)."""
    sites = np.add.outer(np.arange(shape[1]), np.arange(shape[2]))
    return np.broadcast_to(1.0 - 2.0 * (sites % 2), shape).copy()


def overlaps(field_NCHW: Array, patterns: Sequence[Array]) -> Array:
    """Order parameters of generated fields, (N, K): mean over sites of (2 m - 1) times each pattern.

    Args:
        field_NCHW: probabilities m of +1 per site, within [0, 1].
        patterns: K arrays (C, H, W) of +-1.

    Raises:
        ValueError: a field outside [0, 1], or shapes that do not fit.
    """
    if field_NCHW.ndim != 4 or any(pattern.shape != field_NCHW.shape[1:] for pattern in patterns):
        raise ValueError(
            f"need fields (n, channels, rows, columns) and patterns of one field's shape, got "
            f"{field_NCHW.shape} and {[pattern.shape for pattern in patterns]}"
        )
    if not (field_NCHW.min(initial=0) >= 0 and field_NCHW.max(initial=1) <= 1):
        raise ValueError(f"fields are probabilities, got {field_NCHW.min()} ... {field_NCHW.max()}")
    sites = np.prod(field_NCHW.shape[1:])
    return np.tensordot(2 * field_NCHW - 1, np.stack(patterns), axes=([1, 2, 3], [1, 2, 3])) / sites


def classify(order_NK: Array) -> NDArray[np.intp]:
    """Phase of each generated field: k if ordered in k alone, K if in none, K + 1 if ambiguous.

    In k: |o_k| >= ``ORDERED`` and all others below ``NOT_ORDERED``; in none: all below ``NOT_ORDERED``.
    """
    size_NK = np.abs(order_NK)
    num_orders = order_NK.shape[1]
    is_small_NK = size_NK < NOT_ORDERED
    largest_N = size_NK.argmax(axis=1)
    is_ordered_N = (size_NK.max(axis=1) >= ORDERED) & (is_small_NK.sum(axis=1) == num_orders - 1)
    return np.where(is_ordered_N, largest_N, np.where(is_small_NK.all(axis=1), num_orders, num_orders + 1)).astype(
        np.intp
    )


def generated_shares(order_NK: Array, order_names: Sequence[str]) -> tuple[Share, ...]:
    """Shares of each order, of disorder and of ambiguous fields, decoded from independent z ~ N(0, 1).

    Raises:
        ValueError: no fields, or a number of names that does not fit.
    """
    if order_NK.ndim != 2 or len(order_NK) == 0 or order_NK.shape[1] != len(order_names):
        raise ValueError(f"need (fields, {len(order_names)}) order parameters, got {order_NK.shape}")
    count_Q = np.bincount(classify(order_NK), minlength=len(order_names) + 2)
    return tuple(
        Share(name, binomial(int(count), len(order_NK)))
        for name, count in zip((*order_names, DISORDERED, AMBIGUOUS), count_Q, strict=True)
    )
