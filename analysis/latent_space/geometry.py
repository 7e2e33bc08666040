"""How the phases lie in latent space: centres of their clusters, distances, and the dimension that they span.

With q ordered phases that a symmetry permutes, and one without order, two arrangements are regular: ``flat``, the
disordered phase at the centroid of the ordered ones (q = 3: a triangle in a plane, q = 2: a line), and ``simplex``, all
q + 1 equally far from each other (q = 3: a tetrahedron). Their ratios of distances are known.
Axes: S samples, Z latents, P phases.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap
from analysis.phases import Phases

FLAT, SIMPLEX = 0.25, 0.75
"""Thickness, with two errors added or taken off, below and above which the arrangement is named."""


class Geometry(NamedTuple):
    """Centres of the phases present. Latents of unit scale are those of the prior, so look at the distances first."""

    phases: tuple[str, ...]
    """Names of the P phases present."""
    centre_PZ: Array
    """Mean latents of each."""
    ordered: Estimate | None
    """Mean distance between two ordered phases; None if there are fewer than two."""
    disordered: Estimate | None
    """Mean distance of the disordered phase from an ordered one; None if either is missing."""
    ratio: Estimate | None
    """The first over the second: sqrt(2 q / (q - 1)) if flat (q = 2: 2, q = 3: sqrt 3), 1 for a simplex."""
    unevenness: Estimate | None
    """Longest over shortest distance between ordered phases: 1 in both regular arrangements."""
    singular: tuple[Estimate, ...]
    """Singular values of the centres about their mean, over sqrt(P): spread along each principal direction."""
    dimension: Estimate
    """(sum of squares)^2 / sum of fourth powers of these: 1 on a line, P - 1 for a simplex."""
    thickness: Estimate
    """Least of the first P - 1 singular values over the largest: 0 if flat, 1 for a simplex. Exactly 0 if there
    are fewer latents."""
    shape: str
    """``flat``, ``simplex``, or ``between`` where the error or the thickness allows neither."""


def flat_ratio(ordered_phases: int) -> float:
    """Edge over circumradius of a regular simplex of q vertices, sqrt(2 q / (q - 1)).

    Raises:
        ValueError: fewer than two phases.
    """
    if ordered_phases < 2:
        raise ValueError(f"need at least two ordered phases, got {ordered_phases}")
    return sqrt(2 * ordered_phases / (ordered_phases - 1))


def geometry(
    mean_SZ: Array, phases: Phases, chains: Chains, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Geometry:
    """Distances and dimension of the cluster centres.

    Distances of noisy centres are a little too long, and a thickness of 0 comes out as the scatter of the centres over
    their distance; ``shape`` allows for that by its margin.

    Args:
        mean_SZ: means of the posterior of held-out samples.
        phases: of the same samples; pass those of one order parameter and the disordered one (``among``) if there are
            several.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.

    Raises:
        ValueError: unequal numbers of rows, or fewer than three phases, which are always flat and a simplex.
    """
    if mean_SZ.ndim != 2 or len(mean_SZ) != len(phases.label_S):
        raise ValueError(f"need one phase per row of latents, got {mean_SZ.shape}, {len(phases.label_S)}")
    present = phases.present
    if len(present) < 3:
        raise ValueError(f"need at least three phases, got {[phases.names[p] for p in present]}")
    num_phases, num_latents = len(present), mean_SZ.shape[1]
    is_phase_SP = phases.label_S[:, None] == np.array(present)
    features_SF = np.hstack([is_phase_SP, (is_phase_SP[:, :, None] * mean_SZ[:, None]).reshape(len(mean_SZ), -1)])
    is_ordered_P = np.array([phase != phases.disordered for phase in present])

    def centres(mean_F: Array) -> Array:
        share_P, sum_PZ = mean_F[:num_phases], mean_F[num_phases:].reshape(num_phases, num_latents)
        # A resample without a phase has no centre of it.
        return np.divide(sum_PZ, share_P[:, None], out=np.full_like(sum_PZ, np.nan), where=share_P[:, None] > 0)

    def statistic(mean_F: Array) -> Array:
        return np.array([*_distances(centres(mean_F), is_ordered_P), *_extent(centres(mean_F))])

    estimates = bootstrap(statistic, features_SF.astype(float), chains, rng, resamples)
    ordered, disordered, ratio, unevenness = (e if np.isfinite(e.value) else None for e in estimates[:4])
    dimension, thickness, *singular = estimates[4:]
    names = tuple(phases.names[phase] for phase in present)
    return Geometry(
        names,
        centres(features_SF.mean(axis=0)),
        ordered,
        disordered,
        ratio,
        unevenness,
        tuple(singular),
        dimension,
        thickness,
        arrangement(thickness.value, thickness.error),
    )


def among(phases: Phases, order: int) -> NDArray[np.bool_]:
    """(S,) which samples are in a phase of one order parameter, or in the one without order."""
    members = [*phases.of_order(order), *([] if phases.disordered is None else [phases.disordered])]
    return np.isin(phases.label_S, members)


def _distances(centre_PZ: Array, is_ordered_P: NDArray[np.bool_]) -> list[float]:
    """Mean distance between ordered phases, from the disordered one, their ratio, longest over shortest of the former;
    nan where the phases are missing."""
    distance_PP = np.linalg.norm(centre_PZ[:, None] - centre_PZ, axis=2)
    first, second = np.triu_indices(int(is_ordered_P.sum()), 1)
    edges = distance_PP[np.ix_(is_ordered_P, is_ordered_P)][first, second]
    spokes = distance_PP[np.ix_(is_ordered_P, ~is_ordered_P)].ravel()
    edge = float(edges.mean()) if len(edges) else np.nan
    spoke = float(spokes.mean()) if len(spokes) else np.nan
    ratio = edge / spoke if spoke > 0 else np.nan
    unevenness = float(edges.max() / edges.min()) if len(edges) and edges.min() > 0 else np.nan
    return [edge, spoke, ratio, unevenness]


def _extent(centre_PZ: Array) -> list[float]:
    """Dimension, thickness and all singular values of the centres."""
    num_phases, num_latents = centre_PZ.shape
    rank = min(num_phases, num_latents)
    if not np.isfinite(centre_PZ).all():
        return [np.nan] * (2 + rank)
    singular = np.linalg.svd(centre_PZ - centre_PZ.mean(axis=0), compute_uv=False) / sqrt(num_phases)
    fourth = float((singular**4).sum())
    dimension = float((singular**2).sum()) ** 2 / fourth if fourth > 0 else 0.0
    is_full = num_latents >= num_phases - 1
    thickness = float(singular[num_phases - 2] / singular[0]) if is_full and singular[0] > 0 else 0.0
    return [dimension, thickness, *singular.tolist()]


def arrangement(thickness: float, error: float) -> str:
    """``flat``, ``simplex``, or ``between`` where the thickness, within two errors, is neither."""
    if thickness + 2 * error < FLAT:
        return "flat"
    return "simplex" if thickness - 2 * error > SIMPLEX else "between"
