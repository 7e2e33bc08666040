"""Stored configurations as features, and turned by a symmetry so that all samples are in the same phase.

A *variable* is what a site holds: ``spins`` (-1 or 1), ``states`` (whole numbers, q of them), ``angles`` (radians) or
``values`` (real numbers). Features are what a network sees of them.
Axes: S samples, C channels, H rows, W columns, F features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Array
from analysis.orders import OrderParameter

VARIABLES = ("spins", "states", "angles", "values")


class Variable(NamedTuple):
    """What a site holds."""

    kind: str
    """One of ``VARIABLES``."""
    states: int = 0
    """Number q of states; 0 for other variables."""
    lowest: int = 0
    """The first state: -1 for spin one."""

    @property
    def width(self) -> int:
        """Features per site."""
        return {"states": self.states, "angles": 2}.get(self.kind, 1)


def features(configuration_SCHW: NDArray[Any], variable: Variable) -> NDArray[Any]:
    """What distances in input space are made of, (S, F).

    Spins and values as they are; states one-hot, so that no two states are closer than others, (C, q, H, W) flattened;
    angles as (cos, sin), so that -pi is pi, (C, 2, H, W) flattened. Float32 but for spins, which stay whole numbers.

    Raises:
        ValueError: an unknown variable, or states outside lowest ... lowest + q - 1.
    """
    samples = len(configuration_SCHW)
    if variable.kind == "states":
        index_SC1HW = configuration_SCHW[:, :, None] - variable.lowest
        if index_SC1HW.size and not 0 <= index_SC1HW.min() <= index_SC1HW.max() < variable.states:
            raise ValueError(
                f"states must be {variable.lowest} to {variable.lowest + variable.states - 1}, got "
                f"{configuration_SCHW.min()} to {configuration_SCHW.max()}"
            )
        one_hot = index_SC1HW == np.arange(variable.states)[:, None, None]
        return one_hot.reshape(samples, -1).astype(np.float32)
    if variable.kind == "angles":
        both = np.stack([np.cos(configuration_SCHW), np.sin(configuration_SCHW)], axis=2)
        return both.reshape(samples, -1).astype(np.float32)
    if variable.kind not in VARIABLES:
        raise ValueError(f"variable must be one of {', '.join(VARIABLES)}, got {variable.kind!r}")
    return configuration_SCHW.reshape(samples, -1)


def can_fold(variable: Variable, order: OrderParameter) -> bool:
    """Whether a symmetry of single sites takes every ordered phase of ``order`` to the first one."""
    if order.kind == "continuous":
        return variable.kind == "angles" and len(order.components) == 2
    if order.kind in ("states", "angles"):
        return variable.kind == "states" and variable.states == order.directions
    return order.kind == "sign"


def folded(
    configuration_SCHW: NDArray[Any], variable: Variable, order: OrderParameter, order_SC: Array
) -> NDArray[Any]:
    """Each sample turned by the symmetry that takes its own order parameter to the first phase.

    Degenerate phases cancel in a first moment; folded, they add up. ``sign`` changes the sign of spins, values and
    states -s ... s, and swaps two states (+ for 0); ``states`` and ``angles`` are counted on cyclically,
    s - d mod q, and a vector is turned back by its own angle. Each keeps the energy of the models it is meant for.

    Args:
        configuration_SCHW: as stored.
        variable: what it holds.
        order: the order parameter, for which ``can_fold`` holds.
        order_SC: its components for each sample.

    Raises:
        ValueError: no such symmetry.
    """
    if not can_fold(variable, order):
        raise ValueError(f"an order parameter of kind {order.kind!r} cannot fold {variable.kind} of {variable.states}")
    if order.kind == "continuous":
        angle_S = np.arctan2(order_SC[:, 1], order_SC[:, 0])
        return configuration_SCHW - angle_S[:, None, None, None].astype(configuration_SCHW.dtype)
    direction_S111 = order.direction(order_SC)[:, None, None, None]
    if order.kind == "sign":
        mirrored = (
            2 * variable.lowest + variable.states - 1 - configuration_SCHW
            if variable.kind == "states"
            else -configuration_SCHW
        )
        return np.where(direction_S111 == 1, mirrored, configuration_SCHW)
    return (configuration_SCHW - variable.lowest - direction_S111) % variable.states + variable.lowest
