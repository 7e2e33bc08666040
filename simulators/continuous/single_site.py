"""One site of a scalar field with a quartic term, by quadrature.

Axes: X quadrature points.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS = 4001
ZOOMS = 12
"""How often the range is cut to where the weight is not negligible."""
NEGLIGIBLE = 45.0
"""exp(-45) is below the rounding of double precision."""


class Site(NamedTuple):
    """|phi| of one site in a field that makes it positive, by quadrature."""

    values_X: NDArray[np.float64]
    weights_X: NDArray[np.float64]
    """Sum to one."""

    def mean(self, power: int) -> float:
        """<|phi|^power>."""
        return float(self.weights_X @ self.values_X**power)


def site(quartic: float, field: float, largest: float) -> Site:
    """The weight exp(field phi - (1 - 2 lambda) phi^2 - lambda phi^4) for 0 <= phi <= ``largest``.

    The range is cut ``ZOOMS`` times, so that sharp peaks are resolved.
    """
    low, high = 0.0, largest
    for _ in range(ZOOMS):
        values_X = np.linspace(low, high, POINTS)
        exponents_X = values_X * (field - values_X * (1 - 2 * quartic + quartic * values_X**2))
        support = np.flatnonzero(exponents_X > exponents_X.max() - NEGLIGIBLE)
        low, high = values_X[max(0, support[0] - 1)], values_X[min(POINTS - 1, support[-1] + 1)]
    weights_X = np.exp(exponents_X - exponents_X.max())
    weights_X[[0, -1]] /= 2
    return Site(values_X, weights_X / weights_X.sum())


def alone(quartic: float) -> Site:
    """|phi| of a site without neighbours."""
    return site(quartic, 0.0, 10.0)
