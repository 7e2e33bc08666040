"""Observables of free fermions in one auxiliary field, from their Green's functions by Wick's theorem.

With G_ij = <c_i c+_j> of one spin direction: n_i = 1 - G_ii, <c+_i c_j> = d_ij - G_ji, and
<n_i n_j> = n_i n_j + (d_ij - G_ji) G_ij; opposite spins are independent in a given field.

One species may stand for both.  Either their Green's functions are equal, or particles of one are holes of the other,
G_down = P (1 - G_up^+) P with P = 1 and -1 on the two sublattices: whatever is a sum over both spins of one quantity
then has the real part twice.  Values are as complex as the Green's functions.

Axes: S species, C chains, N orbitals.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.fermions.determinants import Matrices

Values = NDArray[Any]
"""(C,), of which the real part is meant."""


class Occupations(NamedTuple):
    """<n_i> of both spins, (C, N)."""

    up_CN: NDArray[Any]
    down_CN: NDArray[Any]


def occupations(G_SCNN: Matrices, holes: bool) -> Occupations:
    """Of both spins; ``holes``: a single species stands for one whose holes are the other spin's particles."""
    n_SCN = 1 - np.diagonal(G_SCNN, axis1=-2, axis2=-1)
    if len(n_SCN) == 2:
        return Occupations(n_SCN[0], n_SCN[1])
    return Occupations(n_SCN[0], 1 - n_SCN[0].conj() if holes else n_SCN[0])


def both(x_SC: Values) -> Values:
    """The sum over both spins of what ``x_SC`` has of each species."""
    return np.asarray(2 // len(x_SC) * x_SC.sum(axis=0))


def hopping(G_SCNN: Matrices, T_NN: NDArray[Any]) -> Values:
    """-sum_ij,s T_ij <c+_is c_js>; T is zero on the diagonal."""
    return both(np.einsum("ij,scji->sc", T_NN, G_SCNN))


def connected(G_SCNN: Matrices, sign_N: NDArray[np.float64]) -> Values:
    """sum_ij,s P_i P_j (<n_is n_js> - <n_is> <n_js>), P the ``sign_N``."""
    signed_SCNN = sign_N[:, None] * G_SCNN
    diagonal_SC = np.trace(G_SCNN, axis1=-2, axis2=-1)
    return both(diagonal_SC - np.einsum("scij,scji->sc", signed_SCNN, signed_SCNN))


def interacting(
    G_SCNN: Matrices, holes: bool, interaction: float, sublattice_N: NDArray[np.float64]
) -> dict[str, Values]:
    """Per site, what orbitals with the interaction U (n_up - 1/2)(n_down - 1/2) have of it."""
    sites = len(sublattice_N)
    up_CN, down_CN = occupations(G_SCNN, holes)
    density_C = (up_CN + down_CN).mean(axis=-1)
    double_C = (up_CN * down_CN).mean(axis=-1)
    spin_C, charge_C = ((x_CN * sublattice_N).sum(axis=-1) for x_CN in (up_CN - down_CN, up_CN + down_CN))
    connected_C = connected(G_SCNN, sublattice_N)
    return {
        "density": density_C,
        "double_occupancy": double_C,
        "local_moment": density_C - 2 * double_C,
        "potential_energy": interaction * (double_C - density_C / 2 + 0.25),
        "spin_structure": (spin_C**2 + connected_C) / (4 * sites),
        "charge_structure": (charge_C**2 + connected_C) / sites,
    }
