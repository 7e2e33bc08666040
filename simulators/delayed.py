"""Single flips of an auxiliary field: ratios of determinants, and Green's functions that follow with a delay.

A flip of the field at site i multiplies row i of a species' slice matrix by 1 + Delta and its determinant by

    R = 1 + Delta (1 - G_ii),        G <- G - (Delta / R) G[:, i] (e_i - G[i, :]).

A rank-one update touches all of G for few operations per number.  So flips are collected as G = G0 - sum_k x_k y_k^T,
of which a ratio needs one diagonal entry and an accepted flip one row and one column, and applied together by one
matrix product.

Axes: S species (spin up and down, or one that stands for both), C chains, N sites, K flips collected at most.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.clusters import uniform


@njit(cache=True, nogil=True)
def propose(
    G_SCNN: NDArray[Any],
    field_CN: NDArray[np.int8],
    state_CV: NDArray[np.uint64],
    change_S2: NDArray[Any],
    explicit_2: NDArray[Any],
    first: int,
    x_SCKN: NDArray[Any],
    y_SCKN: NDArray[Any],
    taken_C: NDArray[np.int64],
) -> None:
    """Propose a flip at sites ``first`` to ``first + K - 1`` of every chain and collect those that are accepted.

    Args:
        G_SCNN: Green's functions of the slice, left as they are.
        field_CN: the slice's field, -1 or 1, on the first rows of G; flipped in place.
        state_CV: random generators.
        change_S2: Delta where the field is -1, and 1.
        explicit_2: by what the weight changes beside the determinants.
        first: site.
        x_SCKN, y_SCKN: what to subtract from G afterwards; zero beyond the flips of a chain.
        taken_C: number of flips of each chain.
    """
    species, chains = G_SCNN.shape[:2]
    last = min(field_CN.shape[1], first + x_SCKN.shape[2])
    for c in range(chains):
        k = 0
        for i in range(first, last):
            which = (field_CN[c, i] + 1) // 2
            ratio_0 = 1 + change_S2[0, which] * (1 - diagonal(G_SCNN[0, c], x_SCKN[0, c], y_SCKN[0, c], i, k))
            ratio_1 = ratio_0
            if species == 2:
                ratio_1 = 1 + change_S2[1, which] * (1 - diagonal(G_SCNN[1, c], x_SCKN[1, c], y_SCKN[1, c], i, k))
            if uniform(state_CV[c]) >= abs(explicit_2[which] * ratio_0 * ratio_1):
                continue
            collect(G_SCNN[0, c], x_SCKN[0, c], y_SCKN[0, c], i, k, change_S2[0, which] / ratio_0)
            if species == 2:
                collect(G_SCNN[1, c], x_SCKN[1, c], y_SCKN[1, c], i, k, change_S2[1, which] / ratio_1)
            field_CN[c, i] = -field_CN[c, i]
            k += 1
        x_SCKN[:, c, k:] = 0
        y_SCKN[:, c, k:] = 0
        taken_C[c] = k


@njit(inline="always")
def diagonal(G_NN: NDArray[Any], x_KN: NDArray[Any], y_KN: NDArray[Any], i: int, k: int) -> Any:
    """Entry (i, i) of the Green's function after ``k`` flips."""
    entry = G_NN[i, i]
    for m in range(k):
        entry -= x_KN[m, i] * y_KN[m, i]
    return entry


@njit(inline="always")
def collect(G_NN: NDArray[Any], x_KN: NDArray[Any], y_KN: NDArray[Any], i: int, k: int, factor: Any) -> None:
    """Flip ``k`` at site i: x = factor G[:, i] and y = e_i - G[i, :], of G after the flips before."""
    sites = len(G_NN)
    for j in range(sites):
        x_KN[k, j] = G_NN[j, i]
        y_KN[k, j] = -G_NN[i, j]
    for m in range(k):
        a, b = y_KN[m, i], x_KN[m, i]
        for j in range(sites):
            x_KN[k, j] -= a * x_KN[m, j]
            y_KN[k, j] += b * y_KN[m, j]
    for j in range(sites):
        x_KN[k, j] *= factor
    y_KN[k, i] += 1
