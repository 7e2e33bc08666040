"""QR and solution of linear equations, of one matrix of some hundreds of rows, in compiled code.

LAPACK's own, as OpenBLAS has them, take two to three times as long as a product of as many operations: most of their
work is done by few columns at once, and their triangular solutions run at a quarter of a product's rate.  Here nearly
all is products of blocks of ``BLOCK`` columns or rows with the rest of the matrix.

Householder reflections of a block are applied together, H_1 ... H_b = 1 - Y T Y^+ with

    T^-1 = diag(1 / tau) + the strict upper triangle of Y^+ Y

(Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10, 53 (1989); Puglisi, ibid. 13, 723 (1992) for T^-1).

Inlining is forced for the reason that ``delayed`` gives.

Axes: N rows and columns, B those of a block, M right-hand sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from simulators.fermions.blas import ADJOINT, AS_IT_IS, TRANSPOSED, set_product, subtract_product

BLOCK = 16
"""Columns that are reflected together: their own work, N^2 BLOCK, is not done by products."""

PANEL = 64
"""Rows of a triangle that are multiplied as if they were full."""
TILE = 8

getrf = types.ExternalFunction(
    "numba_xxgetrf",
    types.intc(types.char, types.intp, types.intp, types.voidptr, types.intp, types.voidptr),
)
"""What numba calls for LU: kind, rows, columns, A by columns and the length of those, rows exchanged."""


@njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}, forceinline=True)
def reflect(Z_NN: NDArray[Any], V_NN: NDArray[Any], tau_N: NDArray[np.float64], first: int, end: int) -> None:
    """Householder's reflections of the columns ``first`` to ``end - 1``, of which ``Z_NN`` has the conjugates as rows.

    R's conjugates stay in Z, up to the diagonal; y^+ of the reflections 1 - tau y y^+ come into V, tau real.
    """
    for i in range(first, end):
        # What is left of column i, and its reflection; loops from 0 are known to stay inside and become vector code.
        x_R, v_R = Z_NN[i, i:], V_NN[i, i:]
        norm = 0.0
        for j in range(len(x_R)):
            norm += x_R[j].real ** 2 + x_R[j].imag ** 2
        norm = np.sqrt(norm)
        head = x_R[0]
        large = abs(head)
        # y = x + phase |x| e_i, over its first entry: the sum cancels nothing.
        phase = head / large if large > 0 else head + 1
        scale = 1 / (head + phase * norm) if norm > 0 else head
        tau = (large + norm) / norm if norm > 0 else 0.0
        for j in range(len(x_R)):
            v_R[j] = x_R[j] * scale
        v_R[0] = 1
        V_NN[i, first:i] = 0
        tau_N[i] = tau
        x_R[0] = -phase * norm
        for k in range(i + 1, end):
            subtract_reflected(Z_NN[k, i:], v_R, tau)


@njit(inline="always")
def subtract_reflected(z_R: NDArray[Any], v_R: NDArray[Any], tau: float) -> None:
    """z (1 - tau y y^+), from v = y^+."""
    overlap = 0 * z_R[0]
    for j in range(len(v_R)):
        overlap += z_R[j] * np.conj(v_R[j])
    overlap *= tau
    for j in range(len(v_R)):
        z_R[j] -= overlap * v_R[j]


@njit(nogil=True, error_model="numpy", forceinline=True)
def qr(Z_NN: NDArray[Any], Q_NN: NDArray[Any]) -> None:
    """A = Q R, from ``Z_NN`` = A^+, in the lower triangle of which R^+ is left; above it is none of R."""
    size = len(Z_NN)
    V_NN, tau_N = np.empty_like(Z_NN), np.empty(size)
    T_FBB = np.zeros((-(-size // BLOCK), BLOCK, BLOCK), Z_NN.dtype)
    W_NB, TW_NB = np.empty((size, BLOCK), Z_NN.dtype), np.empty((size, BLOCK), Z_NN.dtype)
    for f in range(len(T_FBB)):
        i, end = f * BLOCK, min(size, (f + 1) * BLOCK)
        V_BN, block = V_NN[i:end, i:], end - i
        reflect(Z_NN, V_NN, tau_N, i, end)
        T_BB = T_FBB[f, :block, :block]
        set_product(V_BN, AS_IT_IS, V_BN, ADJOINT, T_BB)
        invert(T_BB, tau_N[i:end])
        rest_RN, W_RB, TW_RB = Z_NN[end:, i:], W_NB[end:, :block], TW_NB[end:, :block]
        set_product(rest_RN, AS_IT_IS, V_BN, ADJOINT, W_RB)
        set_product(W_RB, AS_IT_IS, T_BB, AS_IT_IS, TW_RB)
        subtract_product(TW_RB, AS_IT_IS, V_BN, AS_IT_IS, rest_RN)
    Q_NN[:] = 0
    for i in range(size):
        Q_NN[i, i] = 1
    W_BN, TW_BN = W_NB.reshape(BLOCK, size), TW_NB.reshape(BLOCK, size)
    for f in range(len(T_FBB) - 1, -1, -1):
        i, end = f * BLOCK, min(size, (f + 1) * BLOCK)
        block = end - i
        W_BR, TW_BR = W_BN[:block, i:], TW_BN[:block, i:]
        # Of the rows of this block Q has but the unit matrix yet.
        W_BR[:, :block] = V_NN[i:end, i:end]
        set_product(V_NN[i:end, end:], AS_IT_IS, Q_NN[end:, end:], AS_IT_IS, W_BR[:, block:])
        set_product(T_FBB[f, :block, :block], AS_IT_IS, W_BR, AS_IT_IS, TW_BR)
        subtract_product(V_NN[i:end, i:], ADJOINT, TW_BR, AS_IT_IS, Q_NN[i:, i:])


@njit(nogil=True, error_model="numpy")
def invert(T_BB: NDArray[Any], tau_B: NDArray[np.float64]) -> None:
    """The inverse of diag(1 / tau) + the strict upper triangle of ``T_BB``, in its place; a row without reflection
    (tau = 0) is 0."""
    size = len(T_BB)
    for j in range(size):
        # Column j of the inverse: -T[:j, :j] times that of the triangle, times tau.
        for i in range(j):
            entry = T_BB[i, i] * T_BB[i, j]
            for k in range(i + 1, j):
                entry += T_BB[i, k] * T_BB[k, j]
            T_BB[i, j] = -entry * tau_B[j]
        T_BB[j, j] = tau_B[j]
        for i in range(j + 1, size):
            T_BB[i, j] = 0


@njit(nogil=True, error_model="numpy")
def factor(A_NN: NDArray[Any]) -> NDArray[np.int64]:
    """LU of the transpose of ``A_NN``, in its place.

    Returns:
        (N,) from which row of it every row comes.

    Raises:
        LinAlgError: a singular matrix, or numbers that are too large.
    """
    size = len(A_NN)
    exchanged_N, order_N = np.empty(size, np.int32), np.arange(size)
    kind = ord("z") if np.iscomplexobj(A_NN) else ord("d")
    info = getrf(kind, size, size, A_NN.ctypes, size, exchanged_N.ctypes)
    for i in range(size):
        # Whatever is not finite in A spreads to the last of these.
        if info != 0 or not abs(A_NN[i, i]) < np.inf:
            raise np.linalg.LinAlgError("a matrix is singular, or has numbers that are too large")
        j = exchanged_N[i] - 1
        order_N[i], order_N[j] = order_N[j], order_N[i]
    return order_N


@njit(nogil=True, error_model="numpy", forceinline=True)
def substitute(LU_NN: NDArray[Any], X_NM: NDArray[Any]) -> None:
    """Solve L U X = B in the place of B, with what ``factor`` leaves (by columns)."""
    size = len(LU_NN)
    for first in range(0, size, BLOCK):
        end = min(size, first + BLOCK)
        subtract_product(LU_NN[:first, first:end], TRANSPOSED, X_NM[:first], AS_IT_IS, X_NM[first:end])
        for i in range(first + 1, end):
            eliminate(LU_NN[first:i, i], X_NM[first:i], X_NM[i])
    for first in range((size - 1) // BLOCK * BLOCK, -1, -BLOCK):
        end = min(size, first + BLOCK)
        subtract_product(LU_NN[end:, first:end], TRANSPOSED, X_NM[end:], AS_IT_IS, X_NM[first:end])
        for i in range(end - 1, first - 1, -1):
            eliminate(LU_NN[i + 1 : end, i], X_NM[i + 1 : end], X_NM[i])
            inverse = 1 / LU_NN[i, i]
            for m in range(X_NM.shape[1]):
                X_NM[i, m] *= inverse


@njit(nogil=True, fastmath={"contract"}, forceinline=True)
def eliminate(factor_K: NDArray[Any], X_KM: NDArray[Any], x_M: NDArray[Any]) -> None:
    """x - factor X, four rows at a time: x is read and written a quarter as often."""
    fours = len(factor_K) // 4 * 4
    for k in range(0, fours, 4):
        a_0, a_1, a_2, a_3 = factor_K[k], factor_K[k + 1], factor_K[k + 2], factor_K[k + 3]
        for m in range(len(x_M)):
            x_M[m] -= a_0 * X_KM[k, m] + a_1 * X_KM[k + 1, m] + a_2 * X_KM[k + 2, m] + a_3 * X_KM[k + 3, m]
    for k in range(fours, len(factor_K)):
        for m in range(len(x_M)):
            x_M[m] -= factor_K[k] * X_KM[k, m]


@njit(nogil=True)
def multiply_triangular(Z_NN: NDArray[Any], T_NM: NDArray[Any], out_NM: NDArray[Any]) -> None:
    """R T, from the lower triangle of ``Z_NN`` = R^+; what is above it is lost."""
    size = len(Z_NN)
    for first in range(0, size, PANEL):
        end = min(size, first + PANEL)
        for j in range(first, end):
            Z_NN[j, j + 1 : end] = 0
        set_product(Z_NN[first:, first:end], ADJOINT, T_NM[first:], AS_IT_IS, out_NM[first:end])


@njit(nogil=True)
def adjoint(A_NN: NDArray[Any], order_N: NDArray[np.int64], out_NN: NDArray[Any]) -> None:
    """Row n is the conjugate of column ``order_N[n]`` of A."""
    for rows in tiles(len(A_NN)):
        for n in range(len(order_N)):
            for i in range(rows.start, rows.stop):
                out_NN[n, i] = np.conj(A_NN[i, order_N[n]])


@njit(nogil=True)
def tiles(size: int) -> list[slice]:
    """Few rows at a time: as many numbers as a line of the cache holds, at which columns can be walked along."""
    return [slice(first, min(size, first + TILE)) for first in range(0, size, TILE)]
