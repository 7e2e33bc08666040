"""Hopping of one Trotter slice, E = exp(dtau (T + mu)), applied to stacks of matrices.

``Dense`` multiplies by E as it is.  ``Separable`` knows that hops along rows and along columns of a lattice commute,
E = R x C, and multiplies by the two small factors: exactly the same, without the error of a checkerboard split, for
I + J instead of I J products a number.  A conjugation E G E^-1 by factors contracts the first of the four axes of G
(row and column, twice) and appends the new one last, four times, after which they are where they were: four products
of a tall matrix with a small one, which BLAS does at half the rate of large ones.

Axes: K matrices, N orbitals, N = I J where E is separable, M columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[Any]


class Hopping(Protocol):
    """E; everything is done in place, ``spare_NN`` is overwritten."""

    def conjugate(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        """E G E^-1."""

    def conjugate_back(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        """E^-1 G E."""

    def multiply(self, vertex_KN: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
        """V E X."""

    def multiply_transposed(self, X_KNN: Matrix, vertex_KN: Matrix, spare_NN: Matrix) -> None:
        """E^T V X."""


@dataclass(frozen=True)
class Dense:
    """E and its inverse."""

    hop_NN: Matrix
    unhop_NN: Matrix

    def conjugate(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        _conjugate(self.hop_NN, G_KNN, self.unhop_NN, spare_NN)

    def conjugate_back(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        _conjugate(self.unhop_NN, G_KNN, self.hop_NN, spare_NN)

    def multiply(self, vertex_KN: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
        _multiply(vertex_KN, self.hop_NN, X_KNN, spare_NN)

    def multiply_transposed(self, X_KNN: Matrix, vertex_KN: Matrix, spare_NN: Matrix) -> None:
        _multiply_transposed(self.hop_NN, vertex_KN, X_KNN, spare_NN)


@dataclass(frozen=True)
class Separable:
    """E = R x C, and the inverses of its factors."""

    row_II: Matrix
    column_JJ: Matrix
    unrow_II: Matrix
    uncolumn_JJ: Matrix

    def conjugate(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        _conjugate_factors(self.row_II, self.column_JJ, G_KNN, self.unrow_II, self.uncolumn_JJ, spare_NN)

    def conjugate_back(self, G_KNN: Matrix, spare_NN: Matrix) -> None:
        _conjugate_factors(self.unrow_II, self.uncolumn_JJ, G_KNN, self.row_II, self.column_JJ, spare_NN)

    def multiply(self, vertex_KN: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
        _multiply_factors(vertex_KN, self.row_II, self.column_JJ, X_KNN, spare_NN)

    def multiply_transposed(self, X_KNN: Matrix, vertex_KN: Matrix, spare_NN: Matrix) -> None:
        _multiply_factors_transposed(self.row_II, self.column_JJ, vertex_KN, X_KNN, spare_NN)


@njit(cache=True, nogil=True)
def _conjugate(left_NN: Matrix, G_KNN: Matrix, right_NN: Matrix, spare_NN: Matrix) -> None:
    for k in range(len(G_KNN)):
        np.dot(left_NN, G_KNN[k], spare_NN)
        np.dot(spare_NN, right_NN, G_KNN[k])


@njit(cache=True, nogil=True)
def _multiply(vertex_KN: Matrix, hop_NN: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
    for k in range(len(X_KNN)):
        np.dot(hop_NN, X_KNN[k], spare_NN)
        scale_rows(vertex_KN[k], spare_NN, X_KNN[k])


@njit(cache=True, nogil=True)
def _multiply_transposed(hop_NN: Matrix, vertex_KN: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
    for k in range(len(X_KNN)):
        scale_rows(vertex_KN[k], X_KNN[k], spare_NN)
        np.dot(hop_NN.T, spare_NN, X_KNN[k])


@njit(cache=True, nogil=True)
def _conjugate_factors(
    row_II: Matrix, column_JJ: Matrix, G_KNN: Matrix, unrow_II: Matrix, uncolumn_JJ: Matrix, spare_NN: Matrix
) -> None:
    rows, columns = len(row_II), len(column_JJ)
    rest_x, rest_y = columns * columns * rows, rows * rows * columns
    for k in range(len(G_KNN)):
        # (x y, x y) -> (y, x y, x) -> (x y, x y) with the two factors of E applied, then those of its inverse.
        G, spare = G_KNN[k], spare_NN
        np.dot(G.reshape(rows, rest_x).T, row_II.T, spare.reshape(rest_x, rows))
        np.dot(spare.reshape(columns, rest_y).T, column_JJ.T, G.reshape(rest_y, columns))
        np.dot(G.reshape(rows, rest_x).T, unrow_II, spare.reshape(rest_x, rows))
        np.dot(spare.reshape(columns, rest_y).T, uncolumn_JJ, G.reshape(rest_y, columns))


@njit(cache=True, nogil=True)
def _multiply_factors(vertex_KN: Matrix, row_II: Matrix, column_JJ: Matrix, X_KNN: Matrix, spare_NN: Matrix) -> None:
    rows, columns = len(row_II), len(column_JJ)
    rest = columns * len(spare_NN)
    for k in range(len(X_KNN)):
        np.dot(row_II, X_KNN[k].reshape(rows, rest), spare_NN.reshape(rows, rest))
        for x in range(rows):
            here = slice(x * columns, (x + 1) * columns)
            np.dot(column_JJ, spare_NN[here], X_KNN[k, here])
            scale_rows(vertex_KN[k, here], X_KNN[k, here], X_KNN[k, here])


@njit(cache=True, nogil=True)
def _multiply_factors_transposed(
    row_II: Matrix, column_JJ: Matrix, vertex_KN: Matrix, X_KNN: Matrix, spare_NN: Matrix
) -> None:
    rows, columns = len(row_II), len(column_JJ)
    rest = columns * len(spare_NN)
    for k in range(len(X_KNN)):
        for x in range(rows):
            here = slice(x * columns, (x + 1) * columns)
            scale_rows(vertex_KN[k, here], X_KNN[k, here], X_KNN[k, here])
            np.dot(column_JJ.T, X_KNN[k, here], spare_NN[here])
        np.dot(row_II.T, spare_NN.reshape(rows, rest), X_KNN[k].reshape(rows, rest))


@njit(cache=True, nogil=True)
def scale(X_KNM: Matrix, left_KN: Matrix, right_KM: Matrix) -> None:
    """Entry (i, j) times left_i right_j, in place."""
    for k in range(len(X_KNM)):
        for i in range(X_KNM.shape[1]):
            left = left_KN[k, i]
            for j in range(X_KNM.shape[2]):
                X_KNM[k, i, j] *= left * right_KM[k, j]


@njit(cache=True, nogil=True)
def scale_rows(left_N: Matrix, X_NM: Matrix, out_NM: Matrix) -> None:
    """Entry (i, j) times left_i."""
    for i in range(X_NM.shape[0]):
        for j in range(X_NM.shape[1]):
            out_NM[i, j] = left_N[i] * X_NM[i, j]
