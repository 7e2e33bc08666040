"""Observables of free fermions in one auxiliary field, from their Green's functions by Wick's theorem.

With G_ij = <c_i c+_j> of one spin direction: n_i = 1 - G_ii, <c+_i c_j> = d_ij - G_ji, and
<n_i n_j> = n_i n_j + (d_ij - G_ji) G_ij; opposite spins are independent in a given field.

Axes: S species, C chains, N sites.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.determinants import Matrices


class Moments(NamedTuple):
    """What observables need of the Green's functions of one slice, as complex as these are."""

    occupation_SCN: NDArray[Any]
    """n_i."""
    hopping_SC: NDArray[Any]
    """-sum_ij T_ij <c+_i c_j>, the kinetic energy of all sites."""
    connected_SC: NDArray[Any]
    """sum_ij P_i P_j (<n_i n_j> - n_i n_j), P = 1 and -1 on the two sublattices."""


def moments(G_SCNN: Matrices, hopping_NN: NDArray[np.float64], sublattice_N: NDArray[np.float64]) -> Moments:
    """Moments of one slice; ``hopping_NN`` are the amplitudes T_ij, zero on the diagonal."""
    diagonal_SCN = np.diagonal(G_SCNN, axis1=-2, axis2=-1)
    hopping_SC = np.einsum("ij,scij->sc", hopping_NN, G_SCNN)
    signed_SCNN = sublattice_N[:, None] * G_SCNN
    connected_SC = diagonal_SCN.sum(axis=-1) - np.einsum("scij,scji->sc", signed_SCNN, signed_SCNN)
    return Moments(1 - diagonal_SCN, hopping_SC, connected_SC)
