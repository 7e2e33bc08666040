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
from numba import njit, types
from numpy.typing import NDArray

from simulators.clusters import uniform

gemm = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        *(types.char, types.char, types.char, types.intp, types.intp, types.intp),
        *(
            types.voidptr,
            types.voidptr,
            types.intp,
            types.voidptr,
            types.intp,
            types.voidptr,
            types.voidptr,
            types.intp,
        ),
    ),
)
"""What numba calls for ``np.dot``: kind, transpositions of A and B, m, n, k, alpha, A and the length of its rows, B and
that of its rows, beta, C and that of its rows."""


@njit(cache=True, nogil=True, error_model="numpy")
def update_slice(
    G_SCNN: NDArray[Any],
    field_CN: NDArray[np.int8],
    state_CV: NDArray[np.uint64],
    change_S2: NDArray[Any],
    explicit_2: NDArray[Any],
    most: int,
    accepted_C: NDArray[np.int64],
) -> None:
    """Propose every flip of a slice in every chain; field and Green's functions follow, in place.

    Args:
        G_SCNN: Green's functions of the slice.
        field_CN: the slice's field, -1 or 1, on the first rows of G.
        state_CV: random generators.
        change_S2: Delta where the field is -1, and 1.
        explicit_2: by what the weight changes beside the determinants.
        most: sites that are proposed before their flips are applied.
        accepted_C: grows by the number of flips of each chain.
    """
    species, chains, size, _ = G_SCNN.shape
    one_1 = np.ones(1, G_SCNN.dtype)
    x_SKN, y_SKN = np.empty((species, most, size), G_SCNN.dtype), np.empty((species, most, size), G_SCNN.dtype)
    # Columns of a large matrix are far apart in memory, at N = 256 at distances that share few places of the cache:
    # those of the sites to come are copied at once.  The rows of the copy are no power of two apart.
    column_SKN = np.empty((species, most, size + 8), G_SCNN.dtype)
    for c in range(chains):
        for first in range(0, field_CN.shape[1], most):
            here = slice(first, min(field_CN.shape[1], first + most))
            for s in range(species):
                for j in range(size):
                    for m in range(here.stop - here.start):
                        column_SKN[s, m, j] = G_SCNN[s, c, j, first + m]
            row_SKN, field_K = G_SCNN[:, c, here], field_CN[c, here]
            flips = propose(row_SKN, column_SKN, first, field_K, state_CV[c], change_S2, explicit_2, x_SKN, y_SKN)
            accepted_C[c] += flips
            for s in range(species):
                subtract_products(G_SCNN[s, c], x_SKN[s, :flips], y_SKN[s, :flips], one_1)


@njit(nogil=True)
def subtract_products(G_NN: NDArray[Any], x_KN: NDArray[Any], y_KN: NDArray[Any], one_1: NDArray[Any]) -> None:
    """G - x^T y in the place of G, which ``np.dot`` cannot: a pass over all of G less for every product."""
    size, flips = len(G_NN), len(x_KN)
    kind = ord("z") if np.iscomplexobj(G_NN) else ord("d")
    # BLAS has the columns one after the other: it sees G^T - y^T x.
    gemm(
        kind,
        ord("n"),
        ord("t"),
        size,
        size,
        flips,
        (-one_1).ctypes,
        y_KN.ctypes,
        size,
        x_KN.ctypes,
        size,
        one_1.ctypes,
        G_NN.ctypes,
        size,
    )


@njit(nogil=True, error_model="numpy")
def propose(
    row_SKN: NDArray[Any],
    column_SKN: NDArray[Any],
    first: int,
    field_K: NDArray[np.int8],
    state_V: NDArray[np.uint64],
    change_S2: NDArray[Any],
    explicit_2: NDArray[Any],
    x_SKN: NDArray[Any],
    y_SKN: NDArray[Any],
) -> int:
    """Propose flips of sites ``first`` to ``first + K - 1`` of one chain, of which rows and columns of G are given.

    Returns:
        How many are accepted, and collected in x and y.
    """
    species, k = len(row_SKN), 0
    for i in range(len(field_K)):
        which = (field_K[i] + 1) // 2
        ratio_0 = 1 + change_S2[0, which] * (1 - diagonal(row_SKN[0, i], x_SKN[0], y_SKN[0], first + i, k))
        ratio_1 = ratio_0
        if species == 2:
            ratio_1 = 1 + change_S2[1, which] * (1 - diagonal(row_SKN[1, i], x_SKN[1], y_SKN[1], first + i, k))
        if uniform(state_V) >= abs(explicit_2[which] * ratio_0 * ratio_1):
            continue
        for s in range(species):
            ratio = ratio_0 if s == 0 else ratio_1
            factor = change_S2[s, which] / ratio
            collect(row_SKN[s, i], column_SKN[s, i], x_SKN[s], y_SKN[s], first + i, k, factor)
        field_K[i] = -field_K[i]
        k += 1
    return k


@njit(inline="always")
def diagonal(row_N: NDArray[Any], x_KN: NDArray[Any], y_KN: NDArray[Any], i: int, k: int) -> Any:
    """Entry (i, i) of the Green's function after ``k`` flips."""
    entry = row_N[i]
    for m in range(k):
        entry -= x_KN[m, i] * y_KN[m, i]
    return entry


@njit(nogil=True, fastmath={"contract"})
def collect(
    row_N: NDArray[Any],
    column_N: NDArray[Any],
    x_KN: NDArray[Any],
    y_KN: NDArray[Any],
    i: int,
    k: int,
    factor: Any,
) -> None:
    """Flip ``k`` at site i: x = factor G[:, i] and y = e_i - G[i, :], of G after the flips before."""
    sites = len(row_N)
    for j in range(sites):
        x_KN[k, j] = column_N[j]
        y_KN[k, j] = -row_N[j]
    # Four at a time: x_k and y_k are read and written a quarter as often.
    fours = k - k % 4
    for m in range(0, fours, 4):
        a_0, a_1, a_2, a_3 = y_KN[m, i], y_KN[m + 1, i], y_KN[m + 2, i], y_KN[m + 3, i]
        b_0, b_1, b_2, b_3 = x_KN[m, i], x_KN[m + 1, i], x_KN[m + 2, i], x_KN[m + 3, i]
        for j in range(sites):
            x_KN[k, j] -= a_0 * x_KN[m, j] + a_1 * x_KN[m + 1, j] + a_2 * x_KN[m + 2, j] + a_3 * x_KN[m + 3, j]
        for j in range(sites):
            y_KN[k, j] += b_0 * y_KN[m, j] + b_1 * y_KN[m + 1, j] + b_2 * y_KN[m + 2, j] + b_3 * y_KN[m + 3, j]
    for m in range(fours, k):
        a, b = y_KN[m, i], x_KN[m, i]
        for j in range(sites):
            x_KN[k, j] -= a * x_KN[m, j]
            y_KN[k, j] += b * y_KN[m, j]
    for j in range(sites):
        x_KN[k, j] *= factor
    y_KN[k, i] += 1
