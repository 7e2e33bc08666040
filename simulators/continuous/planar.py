"""Kernels of planar spins, unit vectors (x, y), with the weight exp(K sum_<ij> s_i . s_j).

Local updates of LANES chains at once: a site's array holds x of every lane, then y of every lane.  They go through the
sites row by row.  Cluster updates of one chain after the other, with spins as pairs.

Axes: G groups, I rows, J columns, X = 2 LANES components; R chains, N = I J sites, C the components x and y; S words of
a stream; W scratch; V words of a generator's state.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters.embedding import reflect_cluster, turn_all_clusters
from simulators.rng import sfc64
from simulators.rng.continuous import ACCEPTING, LANES, accepted, proposal, symmetric

COSINE, SINE, ACCEPTED = 2 * LANES, 3 * LANES, 4 * LANES
SCRATCH = 5 * LANES
"""Length of the scratch of a local update: local field, proposed rotation, accepted moves, at constant offsets."""
NO_FIELD = 1e-300
SUMS = 9
"""x, y, staggered x and y, cosine and sine along a row, cosine and sine along a column, vortices and antivortices."""


@njit(cache=True, nogil=True, error_model="numpy")
def rotate_row(
    row_JX: NDArray[np.float64],
    above_JX: NDArray[np.float64],
    below_JX: NDArray[np.float64],
    stream_S: NDArray[np.uint64],
    work_W: NDArray[np.float64],
    K: float,
    width: float,
) -> None:
    """Metropolis moves of one row, site by site.

    Rotations are by 2 arctan t, t uniform between -width and width: cosine (1 - t^2) / (1 + t^2), sine 2 t / (1 + t^2).
    One Newton step per move holds the lengths at one.
    """
    columns = len(row_JX)
    for j in range(columns):
        left, right = (j if j > 0 else columns) - 1, j + 1 if j + 1 < columns else 0
        for k in range(2 * LANES):
            work_W[k] = above_JX[j, k] + below_JX[j, k] + row_JX[left, k] + row_JX[right, k]
        first = proposal(stream_S)
        for k in range(LANES):
            t = width * symmetric(stream_S[first + np.uint64(k)])
            scale = 2.0 / (1.0 + t * t)
            work_W[COSINE + k] = scale - 1.0
            work_W[SINE + k] = t * scale
        for k in range(LANES):
            x, y = row_JX[j, k], row_JX[j, LANES + k]
            cosine, sine = work_W[COSINE + k], work_W[SINE + k]
            new_x, new_y = cosine * x - sine * y, sine * x + cosine * y
            cost = K * ((x - new_x) * work_W[k] + (y - new_y) * work_W[LANES + k])
            is_accepted = accepted(cost, stream_S[first + ACCEPTING + np.uint64(k)])
            next_x = new_x if is_accepted else x
            next_y = new_y if is_accepted else y
            scale = 1.5 - 0.5 * (next_x * next_x + next_y * next_y)
            row_JX[j, k] = scale * next_x
            row_JX[j, LANES + k] = scale * next_y
            work_W[ACCEPTED + k] += 1.0 if is_accepted else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def reflect_row(
    row_JX: NDArray[np.float64],
    above_JX: NDArray[np.float64],
    below_JX: NDArray[np.float64],
    work_W: NDArray[np.float64],
) -> None:
    """Reflect one row, site by site, in the local fields h: s -> 2 (s.h) h / h^2 - s, which keeps the energy."""
    columns = len(row_JX)
    for j in range(columns):
        left, right = (j if j > 0 else columns) - 1, j + 1 if j + 1 < columns else 0
        for k in range(2 * LANES):
            work_W[k] = above_JX[j, k] + below_JX[j, k] + row_JX[left, k] + row_JX[right, k]
        for k in range(LANES):
            x, y, along, across = row_JX[j, k], row_JX[j, LANES + k], work_W[k], work_W[LANES + k]
            twice = 2.0 * (x * along + y * across) / (along * along + across * across + NO_FIELD)
            new_x, new_y = twice * along - x, twice * across - y
            scale = 1.5 - 0.5 * (new_x * new_x + new_y * new_y)
            row_JX[j, k] = scale * new_x
            row_JX[j, LANES + k] = scale * new_y


@njit(cache=True, nogil=True)
def metropolis(
    spins_IJX: NDArray[np.float64],
    stream_S: NDArray[np.uint64],
    K: float,
    width: float,
    reflections: int,
    sweeps: int,
) -> NDArray[np.float64]:
    """Sweep one group in place; returns the accepted moves of each lane.

    Args:
        spins_IJX: spins of LANES chains.
        stream_S: a stream of ``simulators.rng.lanes``.
        K: J / T.
        width: tangent of half the largest rotation.
        reflections: passes of ``reflect_row`` that follow each pass of Metropolis moves.
        sweeps: of this mixture.
    """
    rows = len(spins_IJX)
    work_W = np.zeros(SCRATCH)
    for _ in range(sweeps):
        for step in range(1 + reflections):
            for i in range(rows):
                above_JX, row_JX, below_JX = spins_IJX[i - 1], spins_IJX[i], spins_IJX[i + 1 - rows]
                if step > 0:
                    reflect_row(row_JX, above_JX, below_JX, work_W)
                else:
                    rotate_row(row_JX, above_JX, below_JX, stream_S, work_W, K, width)
    return work_W[ACCEPTED:].copy()


@njit(inline="always")
def crossing(own_y: float, other_y: float, sine: float) -> float:
    """1 where the shorter arc from one spin to the next crosses the negative x axis to the left, -1 to the right."""
    side = (1.0 if own_y >= 0.0 else 0.0) - (1.0 if other_y >= 0.0 else 0.0)
    return side if side * sine > 0.0 else 0.0


@njit(inline="always")
def winding(
    x: float, y: float, right: tuple[float, float], below: tuple[float, float], corner: tuple[float, float]
) -> float:
    """How often the angle winds around a plaquette, along the shorter arcs: crossings of one axis, signed."""
    along = crossing(y, right[1], x * right[1] - y * right[0])
    down = crossing(right[1], corner[1], right[0] * corner[1] - right[1] * corner[0])
    back = crossing(below[1], corner[1], below[0] * corner[1] - below[1] * corner[0])
    return along + down - back - crossing(y, below[1], x * below[1] - y * below[0])


@njit(cache=True, nogil=True)
def tally_row(
    sums_W: NDArray[np.float64], row_JX: NDArray[np.float64], below_JX: NDArray[np.float64], row: int, order: float
) -> None:
    """Add a row's sites, their bonds to the right and below, and the plaquettes there to the SUMS of each lane."""
    columns = len(row_JX)
    for j in range(columns):
        right, parity = j + 1 if j + 1 < columns else 0, 1.0 - 2.0 * ((row + j) % 2)
        for k in range(LANES):
            x, y, right_x, right_y = row_JX[j, k], row_JX[j, LANES + k], row_JX[right, k], row_JX[right, LANES + k]
            below_x, below_y = below_JX[j, k], below_JX[j, LANES + k]
            corner = below_JX[right, k], below_JX[right, LANES + k]
            sums_W[k] += x
            sums_W[LANES + k] += y
            sums_W[2 * LANES + k] += parity * x
            sums_W[3 * LANES + k] += parity * y
            sums_W[4 * LANES + k] += x * right_x + y * right_y
            sums_W[5 * LANES + k] += x * right_y - y * right_x
            sums_W[6 * LANES + k] += x * below_x + y * below_y
            sums_W[7 * LANES + k] += x * below_y - y * below_x
            next_x, next_y, under_x, under_y = order * right_x, order * right_y, order * below_x, order * below_y
            sums_W[8 * LANES + k] += abs(winding(x, y, (next_x, next_y), (under_x, under_y), corner))


@njit(cache=True, nogil=True)
def lane_sums(spins_GIJX: NDArray[np.float64], order: float) -> NDArray[np.float64]:
    """(SUMS, G LANES) sums over the sites of each chain.

    ``order`` is the sign of K.  Where it is negative neighbours are opposite, and the vortices are those of the spins
    turned over on one sublattice.
    """
    groups, rows, _, _ = spins_GIJX.shape
    sums_QGK = np.empty((SUMS, groups, LANES))
    for g in range(groups):
        sums_W = np.zeros(SUMS * LANES)
        for i in range(rows):
            tally_row(sums_W, spins_GIJX[g, i], spins_GIJX[g, i + 1 - rows], i, order)
        sums_QGK[:, g] = sums_W.reshape(SUMS, LANES)
    return sums_QGK.reshape(SUMS, groups * LANES)


@njit(cache=True, nogil=True)
def pair_sums(spins_RIJC: NDArray[np.float64], order: float) -> NDArray[np.float64]:
    """(SUMS, R) the same sums of chains one after the other, spins as pairs x, y."""
    chains, rows, columns, _ = spins_RIJC.shape
    sums_QR = np.zeros((SUMS, chains))
    for r in range(chains):
        for i in range(rows):
            row_JC, below_JC = spins_RIJC[r, i], spins_RIJC[r, i + 1 - rows]
            for j in range(columns):
                next_j, parity = j + 1 if j + 1 < columns else 0, 1.0 - 2.0 * ((i + j) % 2)
                x, y, right = row_JC[j, 0], row_JC[j, 1], (row_JC[next_j, 0], row_JC[next_j, 1])
                below, corner = (below_JC[j, 0], below_JC[j, 1]), (below_JC[next_j, 0], below_JC[next_j, 1])
                sums_QR[0, r] += x
                sums_QR[1, r] += y
                sums_QR[2, r] += parity * x
                sums_QR[3, r] += parity * y
                sums_QR[4, r] += x * right[0] + y * right[1]
                sums_QR[5, r] += x * right[1] - y * right[0]
                sums_QR[6, r] += x * below[0] + y * below[1]
                sums_QR[7, r] += x * below[1] - y * below[0]
                next_spin, under = (order * right[0], order * right[1]), (order * below[0], order * below[1])
                sums_QR[8, r] += abs(winding(x, y, next_spin, under, corner))
    return sums_QR


@njit(inline="always")
def direction(state_V: NDArray[np.uint64]) -> tuple[float, float]:
    """A unit vector, uniform: points of a square until one is inside the circle, without a library's sine."""
    while True:
        x, y = 2.0 * sfc64.uniform(state_V) - 1.0, 2.0 * sfc64.uniform(state_V) - 1.0
        square = x * x + y * y
        if 0.01 < square < 1.0:
            length = np.sqrt(square)
            return x / length, y / length


@njit(cache=True, nogil=True)
def wolff(spins_RN2: NDArray[np.float64], state_RV: NDArray[np.uint64], K: float, grown: int) -> int:
    """Reflect ``grown`` single clusters of every chain, each along a direction of its own; returns sites reflected."""
    sites = spins_RN2.shape[1]
    size = round(np.sqrt(sites))
    queue_N2 = np.empty((sites, 2), dtype=np.int32)
    total = 0
    for r in range(len(spins_RN2)):
        x_N, y_N = spins_RN2[r, :, 0], spins_RN2[r, :, 1]
        for _ in range(grown):
            count = reflect_cluster(x_N, y_N, direction(state_RV[r]), K, size, state_RV[r], queue_N2)
            for k in range(count):
                normalize(x_N, y_N, queue_N2[k, 0])
            total += count
    return total


@njit(cache=True, nogil=True)
def swendsen_wang(spins_RN2: NDArray[np.float64], state_RV: NDArray[np.uint64], K: float, updates: int) -> int:
    """Reflect all clusters of every chain with probability 1/2 each, ``updates`` times; returns sites reflected."""
    sites = spins_RN2.shape[1]
    a_1N, turned_1N = np.empty((1, sites)), np.empty((1, sites), dtype=np.bool_)
    total = 0
    for r in range(len(spins_RN2)):
        x_N, y_N = spins_RN2[r, :, 0], spins_RN2[r, :, 1]
        for _ in range(updates):
            along, across = direction(state_RV[r])
            for n in range(sites):
                a_1N[0, n], turned_1N[0, n] = along * x_N[n] + across * y_N[n], False
            total += turn_all_clusters(a_1N, turned_1N, K, state_RV[r : r + 1])
            for n in range(sites):
                if turned_1N[0, n]:
                    x_N[n] += 2.0 * along * a_1N[0, n]
                    y_N[n] += 2.0 * across * a_1N[0, n]
                    normalize(x_N, y_N, n)
    return total


@njit(inline="always")
def normalize(x_N: NDArray[np.float64], y_N: NDArray[np.float64], n: int) -> None:
    """One Newton step towards length one, against rounding that adds up."""
    scale = 1.5 - 0.5 * (x_N[n] * x_N[n] + y_N[n] * y_N[n])
    x_N[n] *= scale
    y_N[n] *= scale
