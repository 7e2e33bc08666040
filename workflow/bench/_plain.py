"""Plain kernels of the very moves of Blume-Capel and XY: one chain, one site at a time, with what speeds a scalar
kernel up: a table of weights, spins as unit vectors.

What the fast kernels are compared with; ``simulators.plain`` and ``plain_continuous`` have those of other systems.

Axes: R chains, I rows, J columns, V words of a generator's state.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters import uniform


def blume_capel_weights(coupling: float, crystal_field: float, temperature: float) -> NDArray[np.float64]:
    """(old + 1, new + 1, sum of neighbours + 4) exp(-cost / T)."""
    old, new, n = np.meshgrid(np.arange(-1, 2), np.arange(-1, 2), np.arange(-4, 5), indexing="ij")
    cost = -coupling * (new - old) * n + crystal_field * (new**2 - old**2)
    weights: NDArray[np.float64] = np.exp(-cost / temperature)
    return weights


@njit(cache=True, nogil=True)
def blume_capel(
    states_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    weight_SSF: NDArray[np.float64],
    sweeps: int,
) -> None:
    """Propose one of the two other values at every site; ``weight_SSF`` as ``blume_capel_weights`` makes it."""
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
                    if uniform(state_V) < weight_SSF[old + 1, new + 1, n + 4]:
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
