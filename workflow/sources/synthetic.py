"""The paper's synthetic set: every site of every sample drawn by itself from the same probabilities.

Source: arXiv:2110.08082, Sec. III B and Fig. 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAPER = ((1 / 3, 1 / 3, 1 / 3), (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.05, 0.05, 0.9))
"""Rows of probabilities of Fig. 5: a disordered phase, and one per favoured state."""
TOLERANCE = 1e-3
"""How far a row's sum may be from 1: enough for 0.3333 three times. Rows are normalized."""
CHUNK = 2**22
"""Sites drawn at a time."""


def normalized(row: Sequence[float]) -> tuple[float, ...]:
    """``row`` divided by its sum.

    Raises:
        ValueError: fewer than two probabilities, one that is not between 0 and 1, or a sum too far from 1.
    """
    if len(row) < 2:
        raise ValueError(f"a row needs at least two probabilities, got {list(row)}")
    if not all(0 <= p <= 1 for p in row):
        raise ValueError(f"probabilities lie between 0 and 1, got {list(row)}")
    if abs(sum(row) - 1) > TOLERANCE:
        raise ValueError(f"a row must add up to 1, got {list(row)} with the sum {sum(row):.6g}")
    return tuple(p / sum(row) for p in row)


def names(rows: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """A name per row: "disordered" where all states are alike, "state 2" where that one is favoured, else, and where an
    earlier row has the name, "row 3": a row more changes no other's name."""
    labels: list[str] = []
    for i, row in enumerate(rows):
        favoured = [state for state, p in enumerate(row) if p == max(row)]
        name = f"state {favoured[0]}" if len(favoured) == 1 else f"row {i}"
        if max(row) - min(row) < TOLERANCE:
            name = "disordered"
        labels.append(f"row {i}" if name in labels else name)
    return tuple(labels)


def draw(probabilities: Sequence[float], samples: int, sites: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Independent sites.

    Args:
        probabilities: of the states 0, 1, ..., adding up to 1.
        samples, sites: how many of each.
        rng: the stream; it is read in the same order whatever the memory.

    Returns:
        (samples, sites) states.
    """
    thresholds = np.cumsum(probabilities)[:-1]
    states = np.empty((samples, sites), dtype=np.int8)
    step = max(1, CHUNK // sites)
    for first in range(0, samples, step):
        uniform = rng.random((min(step, samples - first), sites))
        # "right": a state of probability zero is never drawn, not even by u = 0.
        states[first : first + step] = np.searchsorted(thresholds, uniform, side="right")
    return states
