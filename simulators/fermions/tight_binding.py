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
    one_LL = np.eye(size)
    return np.kron(ring(size, hopping, twist_y), one_LL) + np.kron(one_LL, ring(size, hopping, twist_x))


def ring(size: int, hopping: float, twist: float = 0.0) -> NDArray[Any]:
    """(L, L) T_ij of one row or column: hops along rows commute with hops along columns."""
    phase = cmath.exp(2j * cmath.pi * twist)
    bond_L = np.full(size, complex(hopping))
    # c at the site after the last is c of the first, times the phase.
    bond_L[-1] *= round(phase.real) if is_real(twist) else phase
    T_LL = np.zeros((size, size), dtype=np.complex128)
    from_L, to_L = np.arange(size), np.roll(np.arange(size), -1)
    np.add.at(T_LL, (from_L, to_L), bond_L)
    np.add.at(T_LL, (to_L, from_L), bond_L.conj())
    return T_LL.real.copy() if is_real(twist) else T_LL


def is_real(*twists: float) -> bool:
    """Whether all are multiples of 1/2: periodic or antiperiodic boundaries."""
    return all(2 * twist % 1 == 0 for twist in twists)


def sublattices(size: int) -> NDArray[np.float64]:
    """(N,) 1 and -1 on the two sublattices."""
    return np.asarray(1.0 - 2.0 * (np.indices((size, size)).sum(axis=0) % 2)).ravel()
