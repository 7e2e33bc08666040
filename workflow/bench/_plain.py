"""Plain kernels of three-valued and continuous spins: one chain, one site at a time, as a textbook has them.

What the fast kernels of the same moves are compared with; ``simulators.plain`` has those of Potts and clock spins.

Axes: R chains, I rows, J columns, V words of a generator's state.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters import uniform


@njit(cache=True, nogil=True)
def blume_capel(
    states_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    coupling: float,
    crystal_field: float,
    temperature: float,
    sweeps: int,
) -> None:
    """Propose one of the two other values at every site."""
    chains, size, _ = states_RIJ.shape
    for r in range(chains):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    old = int(states_IJ[i, j])
                    new = (old + 2 + int(2 * uniform(state_V))) % 3 - 1
                    n = states_IJ[above, j] + states_IJ[below, j] + states_IJ[i, left] + states_IJ[i, right]
                    cost = -coupling * (new - old) * n + crystal_field * (new * new - old * old)
                    if cost <= 0.0 or uniform(state_V) < math.exp(-cost / temperature):
                        states_IJ[i, j] = new


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


@njit(cache=True, nogil=True)
def scalar_field(
    phi_RIJ: NDArray[np.float64], state_RV: NDArray[np.uint64], kappa: float, quartic: float, width: float, sweeps: int
) -> None:
    """Two proposals at every site, within ``width`` of phi and then of -phi."""
    chains, size, _ = phi_RIJ.shape
    for r in range(chains):
        phi_IJ, state_V = phi_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    n = phi_IJ[above, j] + phi_IJ[below, j] + phi_IJ[i, left] + phi_IJ[i, right]
                    for sign in (1.0, -1.0):
                        old = phi_IJ[i, j]
                        new = sign * old + width * (2.0 * uniform(state_V) - 1.0)
                        cost = -2.0 * kappa * (new - old) * n + (1.0 - 2.0 * quartic) * (new**2 - old**2)
                        cost += quartic * (new**4 - old**4)
                        if cost <= 0.0 or uniform(state_V) < math.exp(-cost):
                            phi_IJ[i, j] = new
