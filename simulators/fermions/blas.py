"""Products of matrices in the place of others, from compiled code, for which ``np.dot`` would copy."""

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

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

AS_IT_IS, TRANSPOSED, ADJOINT = ord("n"), ord("t"), ord("c")


@njit(nogil=True)
def set_product(A_MK: NDArray[Any], a: int, B_KN: NDArray[Any], b: int, C_MN: NDArray[Any]) -> None:
    """C = op(A) op(B); ``a`` and ``b`` say what is multiplied. Each row of a matrix is contiguous."""
    _multiply(A_MK, a, B_KN, b, 0.0, 1.0, C_MN)


@njit(nogil=True)
def subtract_product(A_MK: NDArray[Any], a: int, B_KN: NDArray[Any], b: int, C_MN: NDArray[Any]) -> None:
    """C - op(A) op(B) in the place of C: a pass over all of C less than with a product of its own."""
    _multiply(A_MK, a, B_KN, b, 1.0, -1.0, C_MN)


@njit(nogil=True)
def _multiply(
    A_MK: NDArray[Any], a: int, B_KN: NDArray[Any], b: int, old: float, new: float, C_MN: NDArray[Any]
) -> None:
    inner = A_MK.shape[1] if a == AS_IT_IS else A_MK.shape[0]
    rows, columns = C_MN.shape
    if rows == 0 or columns == 0 or inner == 0:
        return
    kind = ord("z") if np.iscomplexobj(C_MN) else ord("d")
    factor_2 = np.empty(2, C_MN.dtype)
    factor_2[0], factor_2[1] = old, new
    # BLAS has the columns one after the other: it sees the transposes of all three, and C^T = op(B)^T op(A)^T.
    gemm(
        kind,
        b,
        a,
        columns,
        rows,
        inner,
        factor_2[1:].ctypes,
        B_KN.ctypes,
        B_KN.strides[0] // B_KN.itemsize,
        A_MK.ctypes,
        A_MK.strides[0] // A_MK.itemsize,
        factor_2.ctypes,
        C_MN.ctypes,
        C_MN.strides[0] // C_MN.itemsize,
    )
