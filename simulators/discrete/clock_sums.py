"""Sums over the sites of clock configurations, from which the observables follow.

Axes: R chains, I rows, J columns, S values.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Counts(NamedTuple):
    """Of every chain."""

    sites_R2S: NDArray[np.int64]
    """Sites of each value, even and odd ones (row + column)."""
    bonds_R2S: NDArray[np.int64]
    """Bonds of each difference mod q, the end minus the start: along the rows, and along the columns."""
    vortices_R: NDArray[np.int64]
    """Sum over plaquettes of |winding number|."""


@njit(inline="always")
def shortest(difference: int, q: int) -> int:
    """The difference, -q < difference < q, as a turn of at most a half: in (-q / 2, q / 2]."""
    if 2 * difference > q:
        return difference - q
    return difference + q if 2 * difference <= -q else difference


@njit(cache=True, nogil=True)
def count(states_RIJ: NDArray[np.int8], q: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The fields of ``Counts``.

    The turns along a bond are taken from its start to its end, for both plaquettes beside it, so that exactly
    opposite values are no exception: windings are whole numbers and add up to zero.
    """
    chains, size, _ = states_RIJ.shape
    sites_R2S, bonds_R2S = np.zeros((chains, 2, q), np.int64), np.zeros((chains, 2, q), np.int64)
    vortices_R = np.zeros(chains, np.int64)
    for r in range(chains):
        vortices = 0
        for i in range(size):
            row_J, below_J = states_RIJ[r, i], states_RIJ[r, i + 1 if i + 1 < size else 0]
            for j in range(size):
                right = j + 1 if j + 1 < size else 0
                s, t, u, v = int(row_J[j]), int(row_J[right]), int(below_J[j]), int(below_J[right])
                sites_R2S[r, (i + j) % 2, s] += 1
                bonds_R2S[r, 0, t - s if t >= s else t - s + q] += 1
                bonds_R2S[r, 1, u - s if u >= s else u - s + q] += 1
                turn = shortest(t - s, q) + shortest(v - t, q) - shortest(v - u, q) - shortest(u - s, q)
                vortices += abs(turn) // q
        vortices_R[r] = vortices
    return sites_R2S, bonds_R2S, vortices_R
