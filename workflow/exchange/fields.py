"""Auxiliary fields as other programs store them: what a reader of a layout returns, and the checks that all share.

A reader is a module with ``PATTERNS`` (names of its files in a folder), ``declared`` (what a file says itself of the
parameter point) and ``read`` (its fields in our order).

Axes: S samples, T slices, N sites, I rows (y), J columns (x).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.systems.hubbard import Spec
from workflow.dataset.points import Scalar

FOUR_VALUED = (
    "a field of four values, -2, -1, 1 and 2 (Gauss-Hermite quadrature), is no Hirsch field: its slices hold other "
    "matrices than those of -1 and 1"
)


class LayoutError(ValueError):
    """A file with another layout or parameter point than it should have, or an output folder that is not empty."""


class FileFields(NamedTuple):
    """The fields of one file."""

    field_STIJ: NDArray[np.int8]
    """-1 or 1; in the spin channel 1 favours spin up, in the charge channel a particle."""
    chain_S: NDArray[np.int64] | None = None
    """Numbers of the Markov chains, where the file has them; None: its name stands for its one chain."""
    sweep_S: NDArray[np.int64] | None = None


class Layout(Protocol):
    """How another program stores fields."""

    PATTERNS: tuple[str, ...]

    def declared(self, path: Path, dataset: str | None) -> Mapping[str, Scalar]:
        """Fields of ``Spec`` that the file states, by name; raises LayoutError."""

    def read(self, path: Path, spec: Spec, dataset: str | None) -> FileFields:
        """The file's fields; raises LayoutError."""


def signs(values: NDArray[Any], where: str) -> NDArray[np.int8]:
    """``values`` as int8, where all are -1 or 1.

    Args:
        values: numbers, whole or not.
        where: file and dataset, for messages.

    Raises:
        LayoutError: naming the first other value, and its index.
    """
    wrong = ~((values == 1) | (values == -1))
    if not wrong.any():
        return values.astype(np.int8)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    value = values[index]
    text = f"{where}{list(index)} must be -1 or 1, got {value}"
    if np.isin(values, (-2, -1, 1, 2)).all():
        text += f"; {FOUR_VALUED}"
    elif np.isfinite(value) and value != np.round(value):
        text += "; a continuous field is no Hirsch field"
    raise LayoutError(text)


def require_shape(shape: tuple[int, ...], names: str, expected: tuple[int, ...], spec: Spec, where: str) -> None:
    """Compare the shape of a dataset with that of the point.

    Args:
        shape: shape of the dataset.
        names: of its axes.
        expected: the shape that ``spec`` has.
        spec: the point.
        where: file and dataset, for messages.

    Raises:
        LayoutError: they differ; the message names the ``trotter_step`` that would fit, if there is one.
    """
    if shape == expected:
        return
    text = (
        f"{where} must have shape {expected} ({names}) for size {spec.size}, temperature {spec.temperature:g} and "
        f"trotter_step {spec.trotter_step:g}, got {shape}"
    )
    others = [i for i, name in enumerate(names.split(", ")) if name != "slices"]
    if len(shape) == len(expected) and all(shape[i] == expected[i] for i in others):
        slices = shape[names.split(", ").index("slices")]
        if slices:
            text += f"; trotter_step {1 / (spec.temperature * slices):.10g} would make {slices} slices"
    raise LayoutError(text)
