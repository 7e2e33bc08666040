"""Sums over the sites of Potts configurations, from which the observables follow.

Axes: R chains, I rows, J columns, S values.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def count(states_RIJ: NDArray[np.int8], states: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(R, 2, S) sites of each value, even and odd ones, and (R,) bonds of equal values."""
    chains, size, _ = states_RIJ.shape
    sites_R2S, equal_R = np.zeros((chains, 2, states), dtype=np.int64), np.zeros(chains, dtype=np.int64)
    for r in range(chains):
        equal = 0
        for i in range(size):
            row_J, below_J = states_RIJ[r, i], states_RIJ[r, i + 1 if i + 1 < size else 0]
            for j in range(size):
                s = row_J[j]
                sites_R2S[r, (i + j) % 2, s] += 1
                equal += int(s == below_J[j]) + int(s == row_J[j + 1 if j + 1 < size else 0])
        equal_R[r] = equal
    return sites_R2S, equal_R
