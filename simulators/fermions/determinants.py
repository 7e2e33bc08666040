"""Products of many matrices whose sizes differ by tens of orders of magnitude, and the determinants made of them.

At inverse temperature beta the product B_(L-1) ... B_0 of slice matrices holds numbers from exp(-beta W) to
exp(beta W): formed as it is, the small ones drown in the rounding of the large ones.  A product is therefore kept as
U D T with U unitary, D positive and diagonal, in descending order, and T well conditioned: all the sizes are in D.
Matrices of different sizes are never added, and no badly scaled one is inverted.

Everything is for stacks of matrices, (..., M, M), real or complex; each matrix is treated alone, so that a result
does not depend on what it was stacked with.

Source: Loh et al., in Interacting Electrons in Reduced Dimensions (1989) 55; Bai, Lee, Li and Xu, Linear Algebra
Appl. 435 (2011) 659 for sorting the columns first, which makes a QR without pivots as good as one with.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from simulators.fermions.blas import AS_IT_IS, TRANSPOSED, set_product
from simulators.fermions.factorization import adjoint, factor, multiply_triangular, qr, substitute, tiles
from simulators.fermions.hopping import scale_rows

Matrices = NDArray[Any]
"""(..., M, M), float64 or complex128."""


class Factors(NamedTuple):
    """A product as U D T."""

    U: Matrices
    D: NDArray[np.float64]
    """(..., M) positive, about in descending order."""
    T: Matrices

    @classmethod
    def identity(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Self:
        """The product of no matrices, stacked to ``shape`` = (..., M, M)."""
        one = np.ascontiguousarray(np.broadcast_to(np.eye(shape[-1], dtype=dtype), shape))
        return cls(one, np.ones(shape[:-1]), one)

    def extended(self, CU: Matrices) -> Factors:
        """C U D T, decomposed anew, from C U.

        Raises:
            LinAlgError: numbers that are too large.
        """
        U, D, T = (np.empty_like(array) for array in self)
        _decompose(stacked(CU, 2), *self.flat()[1:], *Factors(U, D, T).flat())
        return Factors(U, D, T)

    def flat(self) -> tuple[Matrices, NDArray[np.float64], Matrices]:
        """(K, M, M), (K, M), (K, M, M): the stack in one axis, the same memory."""
        return stacked(self.U, 2), stacked(self.D, 1), stacked(self.T, 2)


def greens(left: Factors | None, right: Factors | None) -> Matrices:
    """[1 + left right^T]^-1; None: there are no matrices on that side.

    With two factors it is conj(U2) Db2^-1 A^-1 Db1^-1 U1^+, A as in ``_middle``.

    Raises:
        LinAlgError: a singular matrix, or numbers that are too large.
        ValueError: neither is given.
    """
    if left is not None and right is not None:
        G = np.empty_like(left.U)
        _solve(*left.flat(), *right.flat(), stacked(G, 2))
        return G
    factors = left if left is not None else right
    if factors is None:
        raise ValueError("left or right must be given")
    G = np.empty_like(factors.U)
    _solve_one(*factors.flat(), stacked(G, 2))
    return G if right is None else np.ascontiguousarray(G.swapaxes(-1, -2))


def unequal_times(left: Factors, right: Factors) -> tuple[Matrices, Matrices, Matrices]:
    """[1 + left right^T]^-1, and with left and right^T the evolution from 0 to tau and from tau to beta,
    G(tau, 0) = [left^-1 + right^T]^-1 and G(0, tau) = -[left + right^-T]^-1.

    They are conj(U2) Db2^-1 A^-1 X and -T2^T Ds2 A^-1 Y with X = Ds1 T1 and Y = Db1^-1 U1^+, A as in ``_middle``; the
    first has Y for X.  No factor is inverted.

    Raises:
        LinAlgError: a singular matrix, or numbers that are too large.
    """
    large, small = ([limit(factors.D, 1.0) for factors in (left, right)] for limit in (np.maximum, np.minimum))
    Y = left.U.conj().swapaxes(-1, -2) / large[0][..., :, None]
    X = small[0][..., :, None] * left.T
    outer = right.U.conj() / large[1][..., None, :]
    inner = right.T.swapaxes(-1, -2) * small[1][..., None, :]
    solved = np.linalg.solve(Y @ outer + X @ inner, np.concatenate([X, Y], axis=-1))
    of_X, of_Y = np.split(solved, 2, axis=-1)
    return outer @ of_Y, outer @ of_X, -inner @ of_Y


@njit(cache=True, nogil=True, error_model="numpy")
def _decompose(
    CU_KMM: Matrices,
    D_KM: NDArray[np.float64],
    T_KMM: Matrices,
    new_U_KMM: Matrices,
    new_D_KM: NDArray[np.float64],
    new_T_KMM: Matrices,
) -> None:
    """C U D P = Q R with the columns sorted by P, so that C U D T = Q D' (D'^-1 R P^T T).

    Reflections of a column do not depend on its length: D takes no part but in P, and no square overflows.
    """
    size = D_KM.shape[1]
    norm_M = np.empty(size)
    Z_MM = np.empty_like(CU_KMM[0])
    for k in range(len(CU_KMM)):
        norm_M[:] = 0
        for i in range(size):
            for j in range(size):
                entry = CU_KMM[k, i, j]
                norm_M[j] += entry.real**2 + entry.imag**2
        order_M = np.argsort(-np.sqrt(norm_M) * D_KM[k], kind="mergesort")
        adjoint(CU_KMM[k], order_M, Z_MM)
        qr(Z_MM, new_U_KMM[k])
        old_D_M, new_D_M = D_KM[k][order_M], new_D_KM[k]
        for i in range(size):
            new_D_M[i] = abs(Z_MM[i, i]) * old_D_M[i]
            if not 0 < new_D_M[i] < np.inf:
                raise np.linalg.LinAlgError("a product of slices has numbers that are too large")
        for j in range(size):
            row_M = Z_MM[j]
            for i in range(j + 1):
                row_M[i] *= old_D_M[j] / new_D_M[i]
        multiply_triangular(Z_MM, T_KMM[k][order_M], new_T_KMM[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _middle(
    U1_MM: Matrices,
    D1_M: NDArray[np.float64],
    T1_MM: Matrices,
    U2_MM: Matrices,
    D2_M: NDArray[np.float64],
    T2_MM: Matrices,
) -> Matrices:
    """The transpose of A, one matrix, in 1 + left right^T = U1 Db1 A Db2 U2^T.

    A = Db1^-1 U1^+ conj(U2) Db2^-1 + Ds1 T1 T2^T Ds2 with Db = max(D, 1), Ds = min(D, 1): no entry is large.
    """
    A_MM, other_MM = np.empty_like(U1_MM), np.empty_like(U1_MM)
    set_product(U2_MM, TRANSPOSED, U1_MM, AS_IT_IS, A_MM)
    set_product(T2_MM, AS_IT_IS, T1_MM, TRANSPOSED, other_MM)
    large_M, small_M = 1 / np.maximum(D1_M, 1.0), np.minimum(D1_M, 1.0)
    for i in range(len(D2_M)):
        large, small = 1 / max(D2_M[i], 1.0), min(D2_M[i], 1.0)
        for j in range(len(D1_M)):
            A_MM[i, j] = np.conj(A_MM[i, j]) * (large * large_M[j]) + other_MM[i, j] * (small * small_M[j])
    return A_MM


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(
    U1_KMM: Matrices,
    D1_KM: NDArray[np.float64],
    T1_KMM: Matrices,
    U2_KMM: Matrices,
    D2_KM: NDArray[np.float64],
    T2_KMM: Matrices,
    G_KMM: Matrices,
) -> None:
    X_MM = np.empty_like(G_KMM[0])
    for k in range(len(G_KMM)):
        A_MM = _middle(U1_KMM[k], D1_KM[k], T1_KMM[k], U2_KMM[k], D2_KM[k], T2_KMM[k])
        order_M = factor(A_MM)
        adjoint(U1_KMM[k], order_M, X_MM)
        scale_rows(1 / np.maximum(D1_KM[k], 1.0)[order_M], X_MM, X_MM)
        substitute(A_MM, X_MM)
        scale_rows(1 / np.maximum(D2_KM[k], 1.0), X_MM, X_MM)
        np.dot(np.conj(U2_KMM[k]), X_MM, G_KMM[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_one(U_KMM: Matrices, D_KM: NDArray[np.float64], T_KMM: Matrices, G_KMM: Matrices) -> None:
    """[1 + U D T]^-1 = (Db^-1 U^+ + Ds T)^-1 Db^-1 U^+."""
    size = D_KM.shape[1]
    A_MM = np.empty_like(G_KMM[0])
    for k in range(len(G_KMM)):
        large_M, small_M = 1 / np.maximum(D_KM[k], 1.0), np.minimum(D_KM[k], 1.0)
        for rows in tiles(size):
            for j in range(size):
                for i in range(rows.start, rows.stop):
                    A_MM[j, i] = np.conj(U_KMM[k, j, i]) * large_M[i] + small_M[i] * T_KMM[k, i, j]
        order_M = factor(A_MM)
        adjoint(U_KMM[k], order_M, G_KMM[k])
        scale_rows(large_M[order_M], G_KMM[k], G_KMM[k])
        substitute(A_MM, G_KMM[k])


def log_determinant(left: Factors, right: Factors) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(...) phase and logarithm of the size of det(1 + left right^T)."""
    A = np.stack([_middle(*one) for one in zip(*left.flat(), *right.flat(), strict=True)])
    phase, size = np.linalg.slogdet(A.reshape(left.U.shape))
    phase = phase * np.linalg.slogdet(left.U)[0] * np.linalg.slogdet(right.U)[0]
    return phase, size + sum(np.log(np.maximum(factors.D, 1.0)).sum(axis=-1) for factors in (left, right))


def stacked(array: NDArray[Any], order: int) -> NDArray[Any]:
    """All but the last ``order`` axes in one."""
    return array.reshape(-1, *array.shape[-order:])


@cache
def one_thread() -> ThreadpoolController:
    """``with one_thread().limit(limits=1): ...``: matrices of this size are multiplied fastest by one thread.

    Several wait for each other longer than they work (on a busy machine, fifty times longer), and other programs'
    workers have the other cores.
    """
    return ThreadpoolController()
