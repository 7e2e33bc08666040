"""Kernels of a scalar field phi with the weight exp(-S), one real number per site.

S = sum_i [ -2 kappa sum_mu phi_i phi_(i + mu) + (1 - 2 lambda) phi_i^2 + lambda phi_i^4 ].

Local updates of LANES chains at once, site by site along the rows; cluster updates of one chain after the other.

Axes: G groups, R chains, I rows, J columns, N = I J sites, K lanes; S words of a stream; W scratch; V words of a
generator's state.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters.embedding import turn_all_clusters, turn_single_clusters
from simulators.rng import sfc64
from simulators.rng.continuous import ACCEPTING, LANES, LARGEST, accepted, exp_minus, proposal, symmetric

ACCEPTED = LANES
SCRATCH = 2 * LANES
"""Length of the scratch of a local update: local field, accepted moves, at constant offsets."""
HITS = 2
"""Proposals per site and pass: near phi, then near -phi."""
SUMS = 5
"""phi, staggered phi, phi^2, phi^4, phi_i phi_(i + mu) summed over both mu."""


class Rule(NamedTuple):
    """The weight, and how far a proposal goes, as the kernels read them."""

    kappa: float
    quartic: float
    """lambda."""
    width: float
    """New values are uniform within this distance."""


@njit(inline="always")
def cost(old: float, new: float, field: float, quartic: float) -> float:
    """Change of S; ``field`` is 2 kappa times the sum of the neighbours."""
    return (new - old) * ((new + old) * (1.0 - 2.0 * quartic + quartic * (new * new + old * old)) - field)


@njit(cache=True, nogil=True)
def move_row(
    row_JK: NDArray[np.float64],
    above_JK: NDArray[np.float64],
    below_JK: NDArray[np.float64],
    stream_S: NDArray[np.uint64],
    work_W: NDArray[np.float64],
    rule: Rule,
) -> None:
    """Metropolis moves of one row, site by site.

    One proposal is near phi; the other is near -phi, for the deep double wells of a large lambda.  Both are symmetric.
    """
    columns = len(row_JK)
    doubled, quartic, width = 2.0 * rule.kappa, rule.quartic, rule.width
    for j in range(columns):
        left, right = (j if j > 0 else columns) - 1, j + 1 if j + 1 < columns else 0
        for k in range(LANES):
            work_W[k] = doubled * (above_JK[j, k] + below_JK[j, k] + row_JK[left, k] + row_JK[right, k])
        # One loop per hit: together they need more registers than there are.
        for hit in range(HITS):
            sign, first = 1.0 - 2.0 * hit, proposal(stream_S)
            for k in range(LANES):
                old = row_JK[j, k]
                new = sign * old + width * symmetric(stream_S[first + np.uint64(k)])
                rise = cost(old, new, work_W[k], quartic)
                is_accepted = accepted(rise, stream_S[first + ACCEPTING + np.uint64(k)])
                row_JK[j, k] = new if is_accepted else old
                work_W[ACCEPTED + k] += 1.0 if is_accepted else 0.0


@njit(cache=True, nogil=True)
def metropolis(
    phi_IJK: NDArray[np.float64], stream_S: NDArray[np.uint64], rule: Rule, sweeps: int
) -> NDArray[np.float64]:
    """Sweep one group of LANES chains in place; returns the accepted of each lane's HITS proposals per site."""
    rows = len(phi_IJK)
    work_W = np.zeros(SCRATCH)
    for _ in range(sweeps):
        for i in range(rows):
            move_row(phi_IJK[i], phi_IJK[i - 1], phi_IJK[i + 1 - rows], stream_S, work_W, rule)
    return work_W[ACCEPTED:].copy()


@njit(cache=True, nogil=True)
def lane_sums(phi_GIJK: NDArray[np.float64]) -> NDArray[np.float64]:
    """(SUMS, G LANES) sums over the sites of each chain."""
    groups, rows, _, _ = phi_GIJK.shape
    sums_QGK = np.empty((SUMS, groups, LANES))
    for g in range(groups):
        sums_W = np.zeros(SUMS * LANES)
        for i in range(rows):
            tally_row(sums_W, phi_GIJK[g, i], phi_GIJK[g, i + 1 - rows], i)
        sums_QGK[:, g] = sums_W.reshape(SUMS, LANES)
    return sums_QGK.reshape(SUMS, groups * LANES)


@njit(cache=True, nogil=True)
def tally_row(
    sums_W: NDArray[np.float64], row_JK: NDArray[np.float64], below_JK: NDArray[np.float64], row: int
) -> None:
    """Add a row to the SUMS of each lane."""
    columns = len(row_JK)
    for j in range(columns):
        right, parity = j + 1 if j + 1 < columns else 0, 1.0 - 2.0 * ((row + j) % 2)
        for k in range(LANES):
            phi = row_JK[j, k]
            sums_W[k] += phi
            sums_W[LANES + k] += parity * phi
            sums_W[2 * LANES + k] += phi * phi
            sums_W[3 * LANES + k] += phi * phi * (phi * phi)
            sums_W[4 * LANES + k] += phi * (row_JK[right, k] + below_JK[j, k])


@njit(cache=True, nogil=True)
def row_sums(phi_RIJ: NDArray[np.float64]) -> NDArray[np.float64]:
    """(SUMS, R) the same sums of chains one after the other."""
    chains, rows, columns = phi_RIJ.shape
    sums_QR = np.zeros((SUMS, chains))
    for r in range(chains):
        for i in range(rows):
            row_J, below_J = phi_RIJ[r, i], phi_RIJ[r, i + 1 - rows]
            for j in range(columns):
                phi, right = row_J[j], j + 1 if j + 1 < columns else 0
                sums_QR[0, r] += phi
                sums_QR[1, r] += phi * (1.0 - 2.0 * ((i + j) % 2))
                sums_QR[2, r] += phi * phi
                sums_QR[3, r] += phi * phi * (phi * phi)
                sums_QR[4, r] += phi * (row_J[right] + below_J[j])
    return sums_QR


@njit(cache=True, nogil=True)
def move(phi_IJ: NDArray[np.float64], state_V: NDArray[np.uint64], rule: Rule) -> None:
    """One Metropolis pass of one chain: signs are the clusters' part, so proposals are near phi only."""
    rows, columns = phi_IJ.shape
    for i in range(rows):
        above_J, row_J, below_J = phi_IJ[i - 1], phi_IJ[i], phi_IJ[i + 1 - rows]
        for j in range(columns):
            right = j + 1 if j + 1 < columns else 0
            field = 2.0 * rule.kappa * (above_J[j] + below_J[j] + row_J[j - 1] + row_J[right])
            new = row_J[j] + rule.width * (2.0 * sfc64.uniform(state_V) - 1.0)
            rise = cost(row_J[j], new, field, rule.quartic)
            if rise <= 0.0 or (rise < LARGEST and sfc64.uniform(state_V) < exp_minus(rise)):
                row_J[j] = new


@njit(cache=True, nogil=True)
def cluster_sweeps(
    phi_RIJ: NDArray[np.float64], state_RV: NDArray[np.uint64], rule: Rule, single: int, sweeps: int
) -> int:
    """Sign clusters, then a Metropolis pass, in every chain ``sweeps`` times; returns the sites that clusters turned.

    Args:
        phi_RIJ: fields of R chains.
        state_RV: SFC64 generator of each chain.
        rule: of the weight and the Metropolis pass.
        single: Wolff clusters in each sweep; 0 for all clusters, turned with probability 1/2 each.
        sweeps: of each chain.
    """
    chains, rows, columns = phi_RIJ.shape
    turned_1N = np.zeros((1, rows * columns), dtype=np.bool_)
    total = 0
    for r in range(chains):
        phi_1N, state_1V = phi_RIJ[r].reshape(1, rows * columns), state_RV[r : r + 1]
        for _ in range(sweeps):
            if single > 0:
                total += turn_single_clusters(phi_1N, turned_1N, 2.0 * rule.kappa, state_1V, single)
            else:
                total += turn_all_clusters(phi_1N, turned_1N, 2.0 * rule.kappa, state_1V)
            move(phi_RIJ[r], state_RV[r], rule)
    return total
