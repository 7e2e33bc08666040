"""One particle that hops on the square lattice, periodic up to a twist.

Each bond counts once per (site, +x) and (site, +y), so L = 2 is a ring of four sites with 2 t.  Around the lattice
once in x, along a row, a particle takes up the phase 2 pi ``twist_x``: its momenta are 2 pi (n + twist_x) / L.  The
phase is put on the bonds between the last site and the first, which is a choice of gauge, so that antiperiodic
boundaries (1/2) have real amplitudes.

Axes: N sites, row by row.
"""

import cmath
from typing import Any

import numpy as np
from numpy.typing import NDArray


def amplitudes(size: int, hopping: float, twist_x: float = 0.0, twist_y: float = 0.0) -> NDArray[Any]:
    """(N, N) Hermitian T_ij of -sum T_ij c+_i c_j; real where the twists are multiples of 1/2."""
    real = is_real(twist_x, twist_y)
    sites_IJ = np.arange(size**2).reshape(size, size)
    T_NN = np.zeros((size**2, size**2), dtype=np.float64 if real else np.complex128)
    for axis, twist in ((0, twist_y), (1, twist_x)):
        phase = cmath.exp(2j * cmath.pi * twist)
        bond_IJ = np.full((size, size), complex(hopping))
        # c at the site after the last is c of the first, times the phase.
        np.moveaxis(bond_IJ, axis, 0)[-1] *= round(phase.real) if real else phase
        from_N, to_N = sites_IJ.ravel(), np.roll(sites_IJ, -1, axis=axis).ravel()
        bond_N = bond_IJ.real.ravel() if real else bond_IJ.ravel()
        np.add.at(T_NN, (from_N, to_N), bond_N)
        np.add.at(T_NN, (to_N, from_N), bond_N.conj())
    return T_NN


def is_real(twist_x: float, twist_y: float) -> bool:
    """Whether both twists are multiples of 1/2: periodic or antiperiodic boundaries."""
    return 2 * twist_x % 1 == 0 and 2 * twist_y % 1 == 0


def sublattices(size: int) -> NDArray[np.float64]:
    """(N,) 1 and -1 on the two sublattices."""
    return np.asarray(1.0 - 2.0 * (np.indices((size, size)).sum(axis=0) % 2)).ravel()
