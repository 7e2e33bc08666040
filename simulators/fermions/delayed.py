"""Single flips of an auxiliary field: ratios of determinants, and Green's functions that follow with a delay.

A flip of the field at site i multiplies row i of a species' slice matrix by 1 + Delta and its determinant by

    R = 1 + Delta (1 - G_ii),        G <- G - (Delta / R) G[:, i] (e_i - G[i, :]).

A rank-one update touches all of G for few operations per number.  So the sites are taken in blocks: flips of a block
need and change nothing but its own part of G.  What those at sites a have done to all of G is done by two products,

    G <- G - G[:, a] M (1 - G)[a, :],

where a flip at site i extends M, with G from before the first flip of the block, by

    M <- (M  0) + (Delta / R) (M G[a, i]) (G[i, a] M,  1)
         (0  0)               (    1    )

(Woodbury's formula, one row after the other).

What may contract or reorder sums is inlined wherever it is called, by force: a second copy, compiled in other
surroundings, rounds otherwise, and whether it is used depends on what a process has compiled itself.

Axes: S species (spin up and down, or one that stands for both), C chains, N sites, B those of a block, of which K are
flipped.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.fermions.blas import AS_IT_IS, set_product, subtract_product
from simulators.rng.sfc64 import uniform

BLOCK = 16
"""Sites of a block; a loop of known length becomes vector code, so blocks of fewer sites are filled up with zeros."""


@njit(cache=True, nogil=True, error_model="numpy")
def update_slice(
    G_SCNN: NDArray[Any],
    field_CN: NDArray[np.int8],
    state_CV: NDArray[np.uint64],
    change_S2: NDArray[Any],
    explicit_2: NDArray[Any],
    accepted_C: NDArray[np.int64],
) -> None:
    """Propose every flip of a slice in every chain; field and Green's functions follow, in place.

    Args:
        G_SCNN: Green's functions of the slice.
        field_CN: the slice's field, -1 or 1, on the first rows of G.
        state_CV: random generators.
        change_S2: Delta where the field is -1, and 1.
        explicit_2: by what the weight changes beside the determinants.
        accepted_C: grows by the number of flips of each chain.
    """
    species, chains, size, _ = G_SCNN.shape
    shape = (species, BLOCK, BLOCK)
    # Each by itself: numba does not know that what it unpacks is contiguous.
    now_SBB, before_SBB = np.zeros(shape, G_SCNN.dtype), np.zeros(shape, G_SCNN.dtype)
    M_SKK, flipped_K = np.empty(shape, G_SCNN.dtype), np.empty(BLOCK, np.int64)
    row_KN, product_KN = np.empty((BLOCK, size), G_SCNN.dtype), np.empty((BLOCK, size), G_SCNN.dtype)
    column_NK = np.empty((size, BLOCK), G_SCNN.dtype)
    for c in range(chains):
        for first in range(0, field_CN.shape[1], BLOCK):
            field_B = field_CN[c, first : first + BLOCK]
            for s in range(species):
                for i in range(len(field_B)):
                    for j in range(len(field_B)):
                        now_SBB[s, i, j] = before_SBB[s, i, j] = G_SCNN[s, c, first + i, first + j]
            flips = propose(now_SBB, before_SBB, field_B, state_CV[c], change_S2, explicit_2, M_SKK, flipped_K)
            accepted_C[c] += flips
            for s in range(species):
                G_NN = G_SCNN[s, c]
                for j in range(size):
                    for k in range(flips):
                        column_NK[j, k] = G_NN[j, first + flipped_K[k]]
                for k in range(flips):
                    site = first + flipped_K[k]
                    for j in range(size):
                        row_KN[k, j] = -G_NN[site, j]
                    row_KN[k, site] += 1
                set_product(M_SKK[s, :flips, :flips], AS_IT_IS, row_KN[:flips], AS_IT_IS, product_KN[:flips])
                subtract_product(column_NK[:, :flips], AS_IT_IS, product_KN[:flips], AS_IT_IS, G_NN)


@njit(nogil=True, error_model="numpy", forceinline=True)
def propose(
    now_SBB: NDArray[Any],
    before_SBB: NDArray[Any],
    field_B: NDArray[np.int8],
    state_V: NDArray[np.uint64],
    change_S2: NDArray[Any],
    explicit_2: NDArray[Any],
    M_SKK: NDArray[Any],
    flipped_K: NDArray[np.int64],
) -> int:
    """Propose the flips of a block of one chain; ``now_SBB`` and ``field_B`` follow.

    Returns:
        How many are accepted: of these are M_SKK and the sites ``flipped_K``, counted in the block.
    """
    species, flips = len(now_SBB), 0
    scratch_4K = np.empty((4, BLOCK), M_SKK.dtype)
    M_SKK[:] = 0
    for i in range(len(field_B)):
        which = (field_B[i] + 1) // 2
        ratio_0 = 1 + change_S2[0, which] * (1 - now_SBB[0, i, i])
        ratio_1 = ratio_0
        if species == 2:
            ratio_1 = 1 + change_S2[1, which] * (1 - now_SBB[1, i, i])
        if uniform(state_V) >= abs(explicit_2[which] * ratio_0 * ratio_1):
            continue
        for s in range(species):
            factor = change_S2[s, which] / (ratio_0 if s == 0 else ratio_1)
            extend(M_SKK[s], before_SBB[s], flipped_K[:flips], i, factor, scratch_4K)
            flip(now_SBB[s], i, factor)
        field_B[i] = -field_B[i]
        flipped_K[flips] = i
        flips += 1
    return flips


@njit(nogil=True, fastmath={"contract"}, forceinline=True)
def flip(G_BB: NDArray[Any], i: int, factor: Any) -> None:
    """A block of G after a flip at its site i, but for the rows up to that one, which are not looked at again."""
    flipped_B = G_BB[i]
    for j in range(i + 1, BLOCK):
        row_B = G_BB[j]
        x = factor * row_B[i]
        for m in range(BLOCK):
            row_B[m] += x * flipped_B[m]
        row_B[i] -= x


@njit(nogil=True, fastmath={"contract", "reassoc"}, forceinline=True)
def extend(
    M_KK: NDArray[Any],
    before_BB: NDArray[Any],
    flipped_K: NDArray[np.int64],
    i: int,
    factor: Any,
    scratch_4K: NDArray[Any],
) -> None:
    """M, which is 0 where it has no flips yet, after a flip at site i that follows those at ``flipped_K``."""
    row_K, column_K, above_K, left_K = scratch_4K[0], scratch_4K[1], scratch_4K[2], scratch_4K[3]
    scratch_4K[:] = 0
    flips = len(flipped_K)
    for k in range(flips):
        row_K[k], column_K[k] = before_BB[i, flipped_K[k]], before_BB[flipped_K[k], i]
    for k in range(flips):
        M_K, x, total = M_KK[k], row_K[k], 0 * factor
        for m in range(BLOCK):
            total += M_K[m] * column_K[m]
            left_K[m] += x * M_K[m]
        above_K[k] = factor * total
    above_K[flips], left_K[flips] = factor, 1
    for k in range(flips + 1):
        M_K, x = M_KK[k], above_K[k]
        for m in range(BLOCK):
            M_K[m] += x * left_K[m]
