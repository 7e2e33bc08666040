"""Cluster updates of continuous spins through the Ising spins embedded in them, Wolff's way.

A reflection changes spins only along one direction.  With the projection a_i of spin i on it, the weight depends on
the signs of the projections as exp(strength sum_<ij> a_i a_j): an Ising model whose couplings strength |a_i a_j| vary
from bond to bond.  Neighbours with strength a_i a_j > 0 are joined with probability 1 - exp(-2 strength a_i a_j), and
a cluster of joined sites is turned as a whole, a -> -a: all of them with probability 1/2 each (Swendsen and Wang), or
single ones grown from random sites (Wolff, Phys. Rev. Lett. 62, 361 (1989), Eqs. 4 and 5).

Each bond counts once per (site, +row) and (site, +column), so a lattice of two rows has every bond twice.

A direction that stays: ``update`` for all chains at once, of either kind.
A new direction for every Wolff cluster: a loop over the clusters of one chain inside the caller's own kernel, with

* ``wolff_cluster`` where the spin is its own projection (phi^4: turning is phi -> -phi),
* ``reflect_cluster`` for planar spins kept as two components (XY), which takes projections only of the sites that
  it visits, so that small clusters are cheap,
* ``simulators.clusters.wolff.table_clusters`` for spins with few values (Ising, clock, Blume-Capel).

How many clusters make a sweep: ``simulators.clusters.single.clusters_per_sweep``.

Axes: R chains, I rows, J columns, N = I J sites of a chain, V words of a generator's state.
"""

import math
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters.lattice import neighbour, random_site
from simulators.clusters.swendsen_wang import join_row, toss
from simulators.rng.continuous import LARGEST, exp_minus, uniform
from simulators.rng.sfc64 import fill_words, sfc64


def update(
    a_RIJ: NDArray[np.float64],
    strength: float,
    state_RV: NDArray[np.uint64],
    kind: Literal["swendsen-wang", "wolff"],
    clusters: int = 1,
) -> NDArray[np.bool_]:
    """Turn clusters of every chain; returns which sites are turned in the end, (R, I, J).

    Args:
        a_RIJ: projections of R chains of I = J >= 2; in place, turned sites get the other sign.  Sites with a = 0
            join nothing.
        strength: of the weight exp(strength sum_<ij> a_i a_j), J / T for XY and clock spins of length one and
            2 kappa for phi^4; negative only on lattices of even size.
        state_RV: SFC64 generator of each chain; it alone decides what happens to the chain.
        kind: "swendsen-wang" turns every cluster with probability 1/2, "wolff" ``clusters`` single ones, one after
            the other, each on the signs that the one before has left.
        clusters: at least 1; Swendsen-Wang leaves it at 1.

    Raises:
        ValueError: an argument out of range.
    """
    chains, rows, columns = a_RIJ.shape
    if a_RIJ.dtype != np.float64 or not a_RIJ.flags.c_contiguous:
        raise ValueError(f"a_RIJ must be a contiguous array of float64, got {a_RIJ.dtype}")
    if rows != columns or rows < 2:
        raise ValueError(f"lattices must be square and of size 2 at least, got {rows} x {columns}")
    if not math.isfinite(strength) or (strength < 0 and rows % 2):
        raise ValueError(f"strength must be finite, and positive where the size is odd, got {strength}")
    if kind not in ("swendsen-wang", "wolff"):
        raise ValueError(f'kind must be "swendsen-wang" or "wolff", got {kind!r}')
    if clusters < 1 or (clusters != 1 and kind == "swendsen-wang"):
        raise ValueError(f'clusters must be at least 1, and 1 for "swendsen-wang", got {clusters}')
    turned_RIJ = np.zeros(a_RIJ.shape, dtype=np.bool_)
    a_RN, turned_RN = a_RIJ.reshape(chains, -1), turned_RIJ.reshape(chains, -1)
    if kind == "wolff":
        turn_single_clusters(a_RN, turned_RN, strength, state_RV, clusters)
    else:
        turn_all_clusters(a_RN, turned_RN, strength, state_RV)
    return turned_RIJ


@njit(inline="always")
def joined(exponent: float, state_V: NDArray[np.uint64]) -> bool:
    """True with probability 1 - exp(-exponent), for exponent > 0."""
    return uniform(sfc64(state_V)) >= exp_minus(min(exponent, LARGEST))


@njit(cache=True, nogil=True)
def wolff_cluster(
    a_N: NDArray[np.float64],
    strength: float,
    size: int,
    state_V: NDArray[np.uint64],
    queue_N2: NDArray[np.int32],
) -> int:
    """Grow one cluster from a random site of one chain and turn it, a -> -a; returns its number of sites.

    Args:
        a_N: projections, row by row; in place.
        strength: as in ``update``.
        size: rows, and columns.
        state_V: SFC64 generator of the chain.
        queue_N2: scratch; its first rows end up as the sites of the cluster and their columns.
    """
    site = random_site(size * size, state_V)
    queue_N2[0, 0], queue_N2[0, 1] = site, site % size
    a_N[site] = -a_N[site]
    # First in, first out: the sites to come are known long before their turn, so the processor works on several.
    head, tail = 0, 1
    while head < tail:
        site, column = queue_N2[head, 0], queue_N2[head, 1]
        head += 1
        doubled = -2.0 * strength * a_N[site]
        for which in range(4):
            other, other_column = neighbour(site, column, size, which)
            a = a_N[other]
            exponent = doubled * a
            # Members are turned already, so they are on the other side and don't join again.
            if exponent > 0.0:
                # From here on without a branch: the processor could not predict it.
                joins = joined(exponent, state_V)
                a_N[other] = -a if joins else a
                queue_N2[tail, 0], queue_N2[tail, 1] = other, other_column
                tail += joins
    return tail


@njit(cache=True, nogil=True)
def reflect_cluster(
    x_N: NDArray[np.float64],
    y_N: NDArray[np.float64],
    direction: tuple[float, float],
    strength: float,
    size: int,
    state_V: NDArray[np.uint64],
    queue_N2: NDArray[np.int32],
) -> int:
    """Grow one cluster of planar spins and reflect it, S -> S - 2 (S.r) r; returns its number of sites.

    Args:
        x_N, y_N: components of the spins, row by row; in place.  Rounding lets their lengths drift by about 1e-16 per
            reflection: a caller that keeps angles makes them anew each sweep.
        direction: the unit vector r, drawn anew for each cluster.
        strength: J / T.
        size, state_V, queue_N2: as in ``wolff_cluster``.
    """
    along, across = direction
    site = random_site(size * size, state_V)
    queue_N2[0, 0], queue_N2[0, 1] = site, site % size
    doubled = 2.0 * (x_N[site] * along + y_N[site] * across)
    x_N[site] -= doubled * along
    y_N[site] -= doubled * across
    head, tail = 0, 1
    while head < tail:
        site, column = queue_N2[head, 0], queue_N2[head, 1]
        head += 1
        doubled = -2.0 * strength * (x_N[site] * along + y_N[site] * across)
        for which in range(4):
            other, other_column = neighbour(site, column, size, which)
            a = x_N[other] * along + y_N[other] * across
            exponent = doubled * a
            if exponent > 0.0:
                joins = joined(exponent, state_V)
                twice = 2.0 * a if joins else 0.0
                x_N[other] -= twice * along
                y_N[other] -= twice * across
                queue_N2[tail, 0], queue_N2[tail, 1] = other, other_column
                tail += joins
    return tail


@njit(cache=True, nogil=True)
def turn_single_clusters(
    a_RN: NDArray[np.float64],
    turned_RN: NDArray[np.bool_],
    strength: float,
    state_RV: NDArray[np.uint64],
    clusters: int,
) -> int:
    """``clusters`` Wolff clusters of every chain; toggles ``turned_RN``, returns the sites turned over all chains."""
    chains, sites = a_RN.shape
    size = round(math.sqrt(sites))
    queue_N2 = np.empty((sites, 2), dtype=np.int32)
    total = 0
    for r in range(chains):
        turned_N = turned_RN[r]
        for _ in range(clusters):
            count = wolff_cluster(a_RN[r], strength, size, state_RV[r], queue_N2)
            for k in range(count):
                turned_N[queue_N2[k, 0]] = not turned_N[queue_N2[k, 0]]
            total += count
    return total


@njit(cache=True, nogil=True)
def close_bonds(
    a_J: NDArray[np.float64],
    other_J: NDArray[np.float64],
    doubled: float,
    word_J: NDArray[np.uint64],
    closed_J: NDArray[np.uint8],
) -> None:
    """Which bonds between two rows are closed, by a word each; ``doubled`` is 2 strength.  Several at a time."""
    for j in range(len(closed_J)):
        # Where the product is not positive, exp(0) = 1 leaves the bond open for sure.
        exponent = min(max(doubled * a_J[j] * other_J[j], 0.0), LARGEST)
        closed_J[j] = uniform(word_J[j]) >= exp_minus(exponent)


@njit(cache=True, nogil=True)
def turn_all_clusters(
    a_RN: NDArray[np.float64], turned_RN: NDArray[np.bool_], strength: float, state_RV: NDArray[np.uint64]
) -> int:
    """One Swendsen-Wang update of every chain; toggles ``turned_RN``, returns the sites turned over all chains."""
    chains, sites = a_RN.shape
    size = round(math.sqrt(sites))
    parent_N, turn_N = np.empty(sites, dtype=np.int32), np.empty(sites, dtype=np.int8)
    right_N, below_N = np.empty(sites, dtype=np.uint8), np.empty(sites, dtype=np.uint8)
    next_J, linked_J = np.empty(size, dtype=np.float64), np.empty(size + 1, dtype=np.int32)
    words_X, tosses_X = np.empty(2 * size, dtype=np.uint64), np.empty((sites + 63) // 64, dtype=np.uint64)
    doubled, total = 2.0 * strength, 0
    for r in range(chains):
        a_N, turned_N, state_V = a_RN[r], turned_RN[r], state_RV[r]
        for i in range(size):
            first, end = i * size, (i + 1) * size
            below = end if end < sites else 0
            a_J = a_N[first:end]
            next_J[: size - 1], next_J[size - 1] = a_J[1:], a_J[0]
            fill_words(words_X, state_V)
            close_bonds(a_J, next_J, doubled, words_X[:size], right_N[first:end])
            close_bonds(a_J, a_N[below : below + size], doubled, words_X[size:], below_N[first:end])
            join_row(parent_N, right_N, below_N, i, size, linked_J)
        toss(parent_N, state_V, tosses_X, turn_N)
        for n in range(sites):
            if turn_N[n]:
                a_N[n] = -a_N[n]
                turned_N[n] = not turned_N[n]
                total += 1
    return total
