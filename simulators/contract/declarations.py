"""What a system's file declares of its observables."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGN = "sign"
"""Column of systems whose weights may be negative: 1 or -1.  Configurations are drawn in proportion to |weight|."""
POSSIBLE_SYMMETRIES = ("translations", "point-group", "time", "flip")
"""Operations that may leave the weight of every configuration unchanged: shifts along rows and columns; the eight
operations of the square; cyclic shifts and the reversal of the channels, where these are slices of imaginary time; and
x -> -x at all sites, of states the reversal of their order, s -> first + last - s."""
ORDER_KINDS = ("sign", "states", "angles", "sublattices", "continuous")
"""Of order parameters."""


class OrderDeclaration(NamedTuple):
    """One order parameter: the columns that are its components, and how the symmetry acts on them."""

    name: str
    components: tuple[str, ...]
    """Columns, per site; all 0 without order."""
    kind: str = "sign"
    """``sign``: one component that changes sign. ``states``: q components, 1 where state s is everywhere and
    -1 / (q - 1) where another state is; the symmetry permutes them. ``angles``: two components, turned by 2 pi / q.
    ``sublattices``: q components that sum to 0, whose phases are not told apart. ``continuous``: a vector that turns
    by any angle."""
    directions: int = 2
    """Number of ordered phases: 2 by sign, q states or angles, otherwise 1."""


class RequestedMeasurement(NamedTuple):
    """A measurement that costs time or storage, so that a system makes it only where a study asks for it."""

    columns: tuple[str, ...] = ()
    """Columns that it adds, each per site."""
    shape: tuple[int, int, int] | None = None
    """(channels, rows, columns) of the second input that it adds to every sample, real numbers; None: it adds none."""
    sweeps: float = 0.0
    """Cost of one measurement, in sweeps."""


class Fluctuation(NamedTuple):
    """An exact relation between an observable and the square of an order parameter x, for averages over configurations:

        <observable> = scale <x^2> + offset + sum over terms of factor <column>.

    An example is a structure factor from the square of the staggered field.  x is a mean over lattice elements e of
    signed values v_e: x = sum_e w_e v_e.  In x^2 each element also meets itself, which ``offset`` and ``terms`` take
    off again.  For other weights w_e that self-term is proportional to sum_e w_e^2, and so is what is taken off.
    """

    order: str
    """The column x."""
    column: str
    """The observable; it may be one that is measured on request alone."""
    by_channel: bool
    """True: x^2 is the mean over channels (slices of imaginary time) of the square of x in each; False: the square of
    x over all channels together."""
    scale: float
    offset: float
    terms: Mapping[str, float]
    """Column -> factor."""


class ExactEnergy(NamedTuple):
    """Exact thermal averages of one spec on its finite lattice, per site; simulations are compared with them."""

    energy: float
    specific_heat: float
    """N (<e^2> - <e>^2) / T^2 with the energy e per site of N sites."""


class BondSum(NamedTuple):
    """An energy that is a sum over bonds and nothing else: e = -J ``per_site`` of a configuration."""

    coupling: float
    """J."""
    per_site: Callable[[NDArray[Any]], NDArray[np.float64]]
    """(S, features, rows, columns) configurations -> (S,) their sums over all bonds, divided by the number of sites.

    Features are what a decoder of the system's likelihood draws: spins -1 and 1 in one feature for ``bernoulli``; for
    ``multinomial`` one feature per state, 1 at sites in that state and 0 elsewhere."""
