"""Order parameters as physics: what columns they have, how large they are, and which way they point.

Axes: S samples, C components of one order parameter, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Array

KINDS = ("sign", "states", "angles", "sublattices", "continuous")


class OrderParameter(NamedTuple):
    """One order parameter, of one or more components, all per site and 0 where there is no order.

    ``kind`` is how the symmetry acts on it:

    * ``sign``: one component that changes sign; two phases.
    * ``states``: q components, of which s is 1 and the others are -1 / (q - 1) where state s is everywhere; permuted
      with the states; q phases.
    * ``angles``: two components, turned by 2 pi / q; one phase in each of ``directions`` = q directions 2 pi d / q.
    * ``sublattices``: q components that sum to 0, differences of sublattices in the shares of the q states. What orders
      depends on q, so this counts as one phase.
    * ``continuous``: components of a vector that turns by any angle; no discrete phases, so one.
    """

    name: str
    components: tuple[str, ...]
    """Columns."""
    kind: str = "sign"
    directions: int = 2
    """Number of ordered phases."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the ordered phases."""
        if self.kind == "sign":
            return f"{self.name}+", f"{self.name}-"
        if self.directions == 1:
            return (self.name,)
        return tuple(f"{self.name} {d}" for d in range(self.directions))

    def length(self, order_SC: Array) -> Array:
        """Size of the order parameter of each sample, (S,); 1 for perfect order of spins, states and angles.

        Raises:
            ValueError: an unknown kind.
        """
        if self.kind not in KINDS:
            raise ValueError(f"kind of {self.name!r} must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.kind == "sign":
            return np.abs(order_SC[:, 0])
        if self.kind == "states":
            return order_SC.max(axis=1)
        if self.kind == "sublattices":
            return np.abs(order_SC).sum(axis=1) / 2
        return np.linalg.norm(order_SC, axis=1)

    def direction(self, order_SC: Array) -> NDArray[np.intp]:
        """Which of the ordered phases each sample is nearest to, (S,), as an index into ``phases``."""
        if self.kind == "sign":
            return (order_SC[:, 0] < 0).astype(np.intp)
        if self.directions == 1:
            return np.zeros(len(order_SC), dtype=np.intp)
        if self.kind == "states":
            return order_SC.argmax(axis=1)
        angle_D = 2 * np.pi / self.directions * np.arange(self.directions)
        return (order_SC @ np.stack([np.cos(angle_D), np.sin(angle_D)])).argmax(axis=1)


def signs(names: Sequence[str]) -> tuple[OrderParameter, ...]:
    """An order parameter of kind ``sign`` for each of these columns."""
    return tuple(OrderParameter(name, (name,)) for name in names)


def columns(orders: Sequence[OrderParameter]) -> tuple[str, ...]:
    """The components of all, one after the other: the columns of an array (S, K) of order parameters."""
    return tuple(component for order in orders for component in order.components)


def split(order_SK: Array, orders: Sequence[OrderParameter]) -> list[Array]:
    """The components (S, C) of each order parameter.

    Raises:
        ValueError: another number of columns than the order parameters have components.
    """
    widths = [len(order.components) for order in orders]
    if order_SK.ndim != 2 or order_SK.shape[1] != sum(widths):
        raise ValueError(f"order parameters must be (samples, {sum(widths)}), got {order_SK.shape}")
    return np.split(order_SK, np.cumsum(widths)[:-1], axis=1) if orders else []
