"""QR, LU and triangular products in compiled code against numpy's of the same matrices."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.fermions.factorization import adjoint, factor, multiply_triangular, qr, substitute

SIZES = (1, 2, 15, 16, 17, 36, 64, 130)
"""Less than a block, one, a bit more, and more than two panels of a triangle."""


def matrices(size: int, dtype: type, count: int = 2) -> NDArray[Any]:
    rng = np.random.default_rng(size)
    A = rng.standard_normal((count, size, size)).astype(dtype)
    return A + 1j * rng.standard_normal(A.shape) if dtype is complex else A


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("size", SIZES)
def test_qr_of_columns_that_differ_by_30_orders(size: int, dtype: type) -> None:
    A = matrices(size, dtype)[0] * 10.0 ** np.linspace(5, -25, size)
    Z, Q = A.conj().T.copy(), np.empty_like(A)
    qr(Z, Q)
    R = np.tril(Z).conj().T
    # Householder's reflections: a few n^(3/2) u of each column (Higham, Accuracy and Stability, theorem 19.4).
    rounding = 8 * size**1.5 * 2.0**-53
    np.testing.assert_allclose(Q.conj().T @ Q, np.eye(size), atol=rounding)
    np.testing.assert_allclose(Q @ R / np.abs(A).max(axis=0), A / np.abs(A).max(axis=0), atol=rounding)
    np.testing.assert_allclose(np.abs(np.diag(R)), np.abs(np.diag(np.linalg.qr(A)[1])), rtol=1e-10)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("size", SIZES)
def test_solutions(size: int, dtype: type) -> None:
    A, B = matrices(size, dtype)
    LU, X = A.T.copy(), np.empty_like(B)
    # Row n of what ``adjoint`` gives is the conjugate of a column: here it is row order[n] of B.
    order_N = factor(LU)
    adjoint(B.conj().T.copy(), order_N, X)
    np.testing.assert_array_equal(X, B[order_N])
    substitute(LU, X)
    np.testing.assert_allclose(X, np.linalg.solve(A, B), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("size", SIZES)
def test_triangular_products(size: int, dtype: type) -> None:
    Z, T = matrices(size, dtype)
    expected, product = np.tril(Z).conj().T @ T, np.empty_like(T)
    multiply_triangular(Z.copy(), T, product)
    np.testing.assert_allclose(product, expected, atol=1e-12)


@pytest.mark.parametrize("entry", [0.0, np.inf, np.nan])
def test_no_solution(entry: float) -> None:
    A = matrices(20, float)[0]
    A[7] = entry
    with pytest.raises(np.linalg.LinAlgError, match="singular, or has numbers that are too large"):
        factor(A)
