"""Plain kernels of continuous spins: one chain, one site at a time, as a textbook has them.

They stand beside the fast kernels, in tests and in ``latentphase bench``, which states how many times faster those
are; no system uses them.

Axes: R chains, I rows, J columns, V words of a generator's state.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import uniform


@njit(cache=True, nogil=True)
def xy_metropolis(
    angles_RIJ: NDArray[np.float64], state_RV: NDArray[np.uint64], K: float, width: float, sweeps: int
) -> int:
    """Sweep XY angles in place; returns the moves taken.

    Args:
        angles_RIJ: any real numbers.
        state_RV: SFC64 generator of each chain.
        K: J / T.
        width: new angles are uniform within this distance.
        sweeps: of each chain.
    """
    chains, size, _ = angles_RIJ.shape
    accepted = 0
    for r in range(chains):
        angles_IJ, state_V = angles_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    old = angles_IJ[i, j]
                    new = old + width * (2.0 * uniform(state_V) - 1.0)
                    gain = math.cos(new - angles_IJ[above, j]) - math.cos(old - angles_IJ[above, j])
                    gain += math.cos(new - angles_IJ[below, j]) - math.cos(old - angles_IJ[below, j])
                    gain += math.cos(new - angles_IJ[i, left]) - math.cos(old - angles_IJ[i, left])
                    gain += math.cos(new - angles_IJ[i, right]) - math.cos(old - angles_IJ[i, right])
                    if K * gain >= 0.0 or uniform(state_V) < math.exp(K * gain):
                        angles_IJ[i, j] = new
                        accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def phi4_metropolis(
    phi_RIJ: NDArray[np.float64],
    state_RV: NDArray[np.uint64],
    kappa: float,
    quartic: float,
    width: float,
    sweeps: int,
) -> int:
    """Sweep phi^4 fields in place, with two proposals per site, near phi and near -phi; returns the moves taken.

    Args:
        phi_RIJ: fields of R chains.
        state_RV: SFC64 generator of each chain.
        kappa, quartic: kappa and lambda.
        width: new values are uniform within this distance.
        sweeps: of each chain.
    """
    chains, size, _ = phi_RIJ.shape
    accepted = 0
    for r in range(chains):
        phi_IJ, state_V = phi_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    around = phi_IJ[above, j] + phi_IJ[below, j] + phi_IJ[i, left] + phi_IJ[i, right]
                    for sign in (1.0, -1.0):
                        old = phi_IJ[i, j]
                        new = sign * old + width * (2.0 * uniform(state_V) - 1.0)
                        old2, new2 = old * old, new * new
                        rise = (1.0 - 2.0 * quartic) * (new2 - old2) + quartic * (new2 * new2 - old2 * old2)
                        rise -= 2.0 * kappa * around * (new - old)
                        if rise <= 0.0 or uniform(state_V) < math.exp(-rise):
                            phi_IJ[i, j] = new
                            accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def planar(spins_RIJC: NDArray[np.float64], state_RV: NDArray[np.uint64], K: float, width: float, sweeps: int) -> None:
    """Propose a rotation by 2 arctan(t), t uniform within ``width``, of every unit vector (x, y); K = J / T."""
    chains, size, _, _ = spins_RIJC.shape
    for r in range(chains):
        spins_IJC, state_V = spins_RIJC[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    field_x = spins_IJC[above, j, 0] + spins_IJC[below, j, 0] + spins_IJC[i, left, 0]
                    field_y = spins_IJC[above, j, 1] + spins_IJC[below, j, 1] + spins_IJC[i, left, 1]
                    field_x, field_y = field_x + spins_IJC[i, right, 0], field_y + spins_IJC[i, right, 1]
                    x, y = spins_IJC[i, j, 0], spins_IJC[i, j, 1]
                    t = width * (2.0 * uniform(state_V) - 1.0)
                    cosine, sine = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
                    new_x, new_y = cosine * x - sine * y, sine * x + cosine * y
                    cost = K * ((x - new_x) * field_x + (y - new_y) * field_y)
                    if cost <= 0.0 or uniform(state_V) < math.exp(-cost):
                        spins_IJC[i, j, 0], spins_IJC[i, j, 1] = new_x, new_y
