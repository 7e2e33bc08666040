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
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

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
        one = np.broadcast_to(np.eye(shape[-1], dtype=dtype), shape)
        return cls(one, np.ones(shape[:-1]), one)

    def times(self, C: Matrices) -> Factors:
        """C U D T, decomposed anew."""
        M = (C @ self.U) * self.D[..., None, :]
        size = np.sqrt((np.abs(M) ** 2).sum(axis=-2))
        order = np.argsort(-size, axis=-1, kind="stable")
        U, R = np.linalg.qr(np.take_along_axis(M, order[..., None, :], axis=-1))
        D = np.abs(np.diagonal(R, axis1=-2, axis2=-1))
        # M = U R P^T, so the new T is D^-1 R P^T T.
        return Factors(U, D, (R / D[..., :, None]) @ np.take_along_axis(self.T, order[..., :, None], axis=-2))


def _middle(left: Factors, right: Factors) -> tuple[Matrices, NDArray[np.float64], NDArray[np.float64]]:
    """A, and what was taken out of it: 1 + left right^T = U1 Db1 A Db2 U2^T.

    A = Db1^-1 U1^+ conj(U2) Db2^-1 + Ds1 T1 T2^T Ds2 with Db = max(D, 1), Ds = min(D, 1): no entry is large.
    """
    large_1, large_2 = np.maximum(left.D, 1.0), np.maximum(right.D, 1.0)
    small_1, small_2 = np.minimum(left.D, 1.0), np.minimum(right.D, 1.0)
    A = (_adjoint(left.U) @ right.U.conj()) / large_1[..., :, None] / large_2[..., None, :]
    A += (small_1[..., :, None] * left.T) @ (small_2[..., :, None] * right.T).swapaxes(-1, -2)
    return A, large_1, large_2


def greens(left: Factors, right: Factors) -> Matrices:
    """[1 + left right^T]^-1 = conj(U2) Db2^-1 A^-1 Db1^-1 U1^+, A as in ``_middle``.

    Raises:
        LinAlgError: a singular matrix.
    """
    A, large_1, large_2 = _middle(left, right)
    inner = np.linalg.solve(A, _adjoint(left.U) / large_1[..., :, None])
    return (right.U.conj() / large_2[..., None, :]) @ inner


def log_determinant(left: Factors, right: Factors) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(...) phase and logarithm of the size of det(1 + left right^T)."""
    A, large_1, large_2 = _middle(left, right)
    phase, size = np.linalg.slogdet(A)
    phase = phase * np.linalg.slogdet(left.U)[0] * np.linalg.slogdet(right.U)[0]
    return phase, size + np.log(large_1).sum(axis=-1) + np.log(large_2).sum(axis=-1)


def _adjoint(U: Matrices) -> Matrices:
    return U.conj().swapaxes(-1, -2)


@cache
def one_thread() -> ThreadpoolController:
    """``with one_thread().limit(limits=1): ...``: matrices of this size are multiplied fastest by one thread.

    Several wait for each other longer than they work (on a busy machine, fifty times longer), and other programs'
    workers have the other cores.
    """
    return ThreadpoolController()
