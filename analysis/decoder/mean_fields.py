"""Order parameters of generated mean fields: what the decoder's averages would measure as a configuration does.

Axes: N generated fields, F channels of features, C stored channels, H rows, W columns, K components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analysis.encodings import Variable
from analysis.errors import Array
from analysis.latent_space.separation import checkerboard, overlaps, uniform
from analysis.orders import OrderParameter

PATTERNS: dict[str, Callable[[tuple[int, int, int]], Array]] = {
    "magnetization": uniform,
    "staggered_magnetization": checkerboard,
}
"""Order parameters that are the overlap of a configuration with a pattern, and so can be read off a mean field."""


def readable(orders: Sequence[OrderParameter]) -> list[int]:
    """Order parameters, as indices, that ``components`` can read off a field."""
    return [k for k, order in enumerate(orders) if order.name in PATTERNS]


def components(field_NFHW: Array, variable: Variable, order: OrderParameter) -> Array:
    """Components (N, K) of one order parameter of each field.

    Args:
        field_NFHW: means of the features: probability of +1 of spins, probabilities of states, mean (cos, sin) of
            angles or mean values; one stored channel after the other.
        variable: what a site holds.
        order: one of those that ``readable`` names.

    Raises:
        ValueError: an order parameter without a pattern, or one that does not fit the variable or the channels.
    """
    if order.name not in PATTERNS or field_NFHW.ndim != 4 or field_NFHW.shape[1] % variable.width:
        raise ValueError(
            f"cannot read {order.name!r} off {variable.kind} in fields {field_NFHW.shape}; "
            f"known are {', '.join(PATTERNS)}"
        )
    channels, height, width = field_NFHW.shape[1] // variable.width, *field_NFHW.shape[2:]
    pattern = PATTERNS[order.name]((channels, height, width))
    if variable.kind == "spins":
        return overlaps(field_NFHW, [pattern])
    by_feature_NCQHW = field_NFHW.reshape(len(field_NFHW), channels, variable.width, height, width)
    mean_NQ = np.einsum("ncqhw,chw->nq", by_feature_NCQHW, pattern) / pattern.size
    kind, columns = order.kind, len(order.components)
    if variable.kind != "states":
        fits = (variable.width, "continuous") if variable.kind == "angles" else (1, "sign")
        return _checked(mean_NQ, columns == fits[0] and kind == fits[1], variable, order)
    states = np.arange(variable.states)
    if kind == "sign":
        _checked(mean_NQ, columns == 1, variable, order)
        # Spin one is its own state; of two states the first counts as +.
        value_Q = states + variable.lowest if variable.lowest < 0 else 1.0 - 2.0 * states
        return np.asarray(mean_NQ @ value_Q[:, None])
    if columns == 2 and kind in ("angles", "continuous"):
        angle_Q = 2 * np.pi * states / variable.states
        return np.asarray(mean_NQ @ np.stack([np.cos(angle_Q), np.sin(angle_Q)], axis=1))
    _checked(mean_NQ, columns == variable.states, variable, order)
    if kind == "states":
        return (variable.states * mean_NQ - 1) / (variable.states - 1)
    return 2 * mean_NQ


def _checked(mean_NQ: Array, fits: bool, variable: Variable, order: OrderParameter) -> Array:
    if not fits:
        raise ValueError(
            f"{order.name!r} of kind {order.kind!r} with {len(order.components)} components does not fit "
            f"{variable.kind} of {variable.width} features"
        )
    return mean_NQ
