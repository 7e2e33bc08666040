"""Exact values of the Ising model: the periodic lattice in closed form, and small ones by enumeration.

Read by tests, ``bench``, and through ``EXACT_ENERGY`` of the system's file by ``verify`` and the comparison column of
reports.  No simulation or estimate reads it, so that agreement with it means something.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.contract import ExactEnergy

ISING_CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))
"""T_c / |J| of the infinite square lattice, for either sign of J (Onsager 1944)."""
FROZEN = 100.0
"""K = |J| / T above which the first excitation, exp(-8 K), is below the smallest double."""
MOST_SITES = 16
"""2^16 states."""


def ising(rows: int, columns: int, temperature: float, coupling: float = 1.0) -> ExactEnergy:
    """Energy and specific heat of the periodic square lattice without a field; T = T_c included.

    In the units of the coupling and k_B = 1.

    Z = (2 sinh 2K)^(N/2) / 2 times the sum of prod_r 2 cosh(M g_r / 2) and prod_r 2 sinh(M g_r / 2), each over the
    odd and over the even g_r with L values; K = J / T.  Derivatives are analytic, and the product that vanishes at
    T_c is differentiated as a product.

    Args:
        rows: L >= 3; a smaller lattice counts bonds twice.
        columns: M >= 3.
        temperature: T > 0.
        coupling: J; a negative one needs even L and M, otherwise the lattice is frustrated.

    Raises:
        ValueError: anything else.

    Source: Kaufman, Phys. Rev. 76 (1949) 1232, in the form of Ferdinand and Fisher, Phys. Rev. 185 (1969) 832.
    """
    if min(rows, columns) < 3 or not temperature > 0 or coupling == 0:
        raise ValueError(
            "rows and columns must be at least 3, temperature positive and coupling not 0, "
            f"got {rows}, {columns}, {temperature}, {coupling}"
        )
    if coupling < 0 and (rows % 2 or columns % 2):
        raise ValueError(f"an antiferromagnet needs even rows and columns, got {rows} and {columns}")
    K, sites = abs(coupling) / temperature, rows * columns
    if K > FROZEN:
        return ExactEnergy(-2.0 * abs(coupling), 0.0)
    sinh, coth = math.sinh(2 * K), 1 / math.tanh(2 * K)
    terms = _four_terms(rows, columns, K)
    largest = max(term.log_scale for term in terms)
    weights = [math.exp(term.log_scale - largest) for term in terms]
    total = sum(weight * term.value for weight, term in zip(weights, terms, strict=True))
    first = sum(weight * term.first for weight, term in zip(weights, terms, strict=True)) / total
    second = sum(weight * term.second for weight, term in zip(weights, terms, strict=True)) / total
    # First and second derivative of ln Z by K.
    log_first = sites * coth + first
    log_second = -2 * sites / sinh**2 + second - first**2
    return ExactEnergy(-abs(coupling) * log_first / sites, K**2 * log_second / sites)


class _Term(NamedTuple):
    """exp(log_scale) times a function of K and its first two derivatives."""

    log_scale: float
    value: float
    first: float
    second: float


class _Gamma(NamedTuple):
    """g_r and its derivatives by K."""

    value: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


def _four_terms(rows: int, columns: int, K: float) -> tuple[_Term, ...]:
    odd = _gamma(np.arange(1, 2 * rows, 2), rows, K)
    even = _gamma(np.arange(2, 2 * rows, 2), rows, K)
    # g_0 is signed, negative above T_c; it stays outside the products because one of its factors vanishes at T_c.
    sinh, cosh = math.sinh(2 * K), math.cosh(2 * K)
    zero = columns / 2 * (2 * K + math.log(math.tanh(K)))
    first, second = columns / 2 * (2 + 2 / sinh), columns / 2 * (-4 * cosh / sinh**2)
    scale, decay = abs(zero), math.exp(-2 * abs(zero))
    plus, minus = 1 + decay, math.copysign(1 - decay, zero)
    terms = []
    for hyperbolic in (1, -1):
        log, d, dd = _log_product(odd, columns, hyperbolic)
        terms.append(_Term(log, 1.0, d, d * d + dd))
    for hyperbolic, own, other in ((1, plus, minus), (-1, minus, plus)):
        log, d, dd = _log_product(even, columns, hyperbolic)
        own_first, own_second = first * other, second * other + first**2 * own
        terms.append(
            _Term(
                log + scale,
                own,
                own_first + own * d,
                own_second + 2 * own_first * d + own * (d * d + dd),
            )
        )
    return tuple(terms)


def _gamma(index: NDArray[np.int64], rows: int, K: float) -> _Gamma:
    """g_r from cosh g_r = cosh 2K coth 2K - cos(pi r / L), r not 0."""
    sinh, cosh = math.sinh(2 * K), math.cosh(2 * K)
    coth = cosh / sinh
    first = 2 * cosh * (2 - coth**2)
    second = 4 * sinh * (2 - coth**2) + 8 * cosh**2 / sinh**3
    # cosh g - 1, written without the cancellation that T_c would bring.
    excess = (sinh - 1) ** 2 / sinh + 2 * np.sin(np.pi * index / (2 * rows)) ** 2
    root = np.sqrt(excess * (excess + 2))
    gamma_first = first / root
    return _Gamma(np.log1p(excess + root), gamma_first, (second - (1 + excess) * gamma_first**2) / root)


def _log_product(gamma: _Gamma, columns: int, hyperbolic: int) -> tuple[float, float, float]:
    """ln of prod 2 cosh(M g / 2) (``hyperbolic`` 1) or 2 sinh (-1), and its derivatives by K."""
    x = columns / 2 * gamma.value
    decay = hyperbolic * np.exp(-2 * x)
    slope, curvature = (1 - decay) / (1 + decay), 4 * decay / (1 + decay) ** 2
    x1, x2 = columns / 2 * gamma.first, columns / 2 * gamma.second
    return (
        float((x + np.log1p(decay)).sum()),
        float((x1 * slope).sum()),
        float((x2 * slope + x1**2 * curvature).sum()),
    )


@dataclass(frozen=True)
class Enumeration:
    """All states of a small lattice, gathered in classes of equal bond sum, magnetization and staggered one."""

    sites: int
    bonds_C: NDArray[np.int64]
    """sum over bonds of s s', of each class."""
    magnetization_C: NDArray[np.int64]
    """sum_i s_i."""
    staggered_C: NDArray[np.int64]
    """sum_i (-1)^(row + column) s_i."""
    states_C: NDArray[np.int64]
    """Number of states."""

    def probabilities(self, temperature: float, coupling: float = 1.0, field: float = 0.0) -> NDArray[np.float64]:
        """(classes,) Boltzmann probabilities of H = -J sum s s + h sum s."""
        exponent_C = (coupling * self.bonds_C - field * self.magnetization_C) / temperature
        weight_C = self.states_C * np.exp(exponent_C - exponent_C.max())
        return weight_C / weight_C.sum()

    def observables(self, temperature: float, coupling: float = 1.0, field: float = 0.0) -> "Observables":
        """Thermal means at one point."""
        weight_C = self.probabilities(temperature, coupling, field)
        energy_C = (-coupling * self.bonds_C + field * self.magnetization_C) / self.sites
        magnetization_C, staggered_C = self.magnetization_C / self.sites, self.staggered_C / self.sites
        energy = float(weight_C @ energy_C)
        return Observables(
            energy=energy,
            specific_heat=float(weight_C @ (energy_C - energy) ** 2) * self.sites / temperature**2,
            magnetization=float(weight_C @ magnetization_C),
            abs_magnetization=float(weight_C @ np.abs(magnetization_C)),
            squared_magnetization=float(weight_C @ magnetization_C**2),
            staggered_magnetization=float(weight_C @ staggered_C),
            abs_staggered_magnetization=float(weight_C @ np.abs(staggered_C)),
            squared_staggered_magnetization=float(weight_C @ staggered_C**2),
        )


class Observables(NamedTuple):
    """Thermal means per site."""

    energy: float
    specific_heat: float
    magnetization: float
    abs_magnetization: float
    squared_magnetization: float
    staggered_magnetization: float
    abs_staggered_magnetization: float
    squared_staggered_magnetization: float


def ising_states(size: int = 4) -> NDArray[np.int8]:
    """(2^(L L), L, L) all states +-1; state k has the bits of k, site (0, 0) the least significant.

    Raises:
        ValueError: a lattice of more than 16 sites.
    """
    if size**2 > MOST_SITES:
        raise ValueError(f"can enumerate at most {MOST_SITES} sites, got {size} x {size}")
    index_S = np.arange(1 << size**2)
    bits_SN = (index_S[:, None] >> np.arange(size**2)) & 1
    return (2 * bits_SN - 1).astype(np.int8).reshape(-1, size, size)


def enumerate_ising(size: int = 4) -> Enumeration:
    """Every state of the periodic lattice of even size L; each bond once per site and direction.

    Raises:
        ValueError: a lattice of more than 16 sites.
    """
    states_SIJ = ising_states(size).astype(np.int64)
    bonds_S = (states_SIJ * (np.roll(states_SIJ, 1, axis=1) + np.roll(states_SIJ, 1, axis=2))).sum(axis=(1, 2))
    sign_IJ = 1 - 2 * (np.indices((size, size)).sum(axis=0) % 2)
    sums_S3 = np.stack([bonds_S, states_SIJ.sum(axis=(1, 2)), (sign_IJ * states_SIJ).sum(axis=(1, 2))], axis=1)
    classes_C3, states_C = np.unique(sums_S3, axis=0, return_counts=True)
    bonds_C, magnetization_C, staggered_C = classes_C3.T
    return Enumeration(size**2, bonds_C, magnetization_C, staggered_C, states_C)
