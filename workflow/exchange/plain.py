"""The plain layout, HDF5 or npz, for fields of any program: read here, and written by ``latentphase export``.

* ``configurations``: integers -1 and 1 of shape (samples, slices, L, L).
* ``chain``, ``sweep``: integers, one per sample; may be left out.
* ``system`` = "hubbard" and the fields of the parameter point (``size``, ``temperature``, ...): attributes of an HDF5
  file, arrays without axes of an npz file; may be left out.

Nothing else in a file is read.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.systems.hubbard import Spec
from workflow.dataset.points import Scalar
from workflow.exchange.fields import FileFields, LayoutError, require_shape, signs
from workflow.exchange.hdf5 import is_hdf5, numbers, opened

PATTERNS = ("*.h5", "*.hdf5", "*.npz")
CONFIGURATIONS = "configurations"
SYSTEM = "hubbard"


def declared(path: Path, dataset: str | None) -> Mapping[str, Scalar]:
    """The entries of the parameter point that the file states.

    Raises:
        LayoutError: not in this layout, or of another system.
    """
    names = ("system", *(field.name for field in fields(Spec)))
    if is_hdf5(path):
        with opened(path) as file:
            stated = {name: file.attrs[name] for name in names if name in file.attrs}
    else:
        with _archive(path) as archive:
            stated = {name: archive[name] for name in names if name in archive.files}
    values = {name: _scalar(value, f"{path}: {name}") for name, value in stated.items()}
    system = values.pop("system", SYSTEM)
    if system != SYSTEM:
        raise LayoutError(f'{path}: system must be "{SYSTEM}", got {system!r}')
    return values


def read(path: Path, spec: Spec, dataset: str | None) -> FileFields:
    """All fields of a file.

    Raises:
        LayoutError: not in this layout, or not of this point.
    """
    name = dataset or CONFIGURATIONS
    arrays = _arrays(path, name)
    values_STIJ, where = arrays[name], f"{path}: {name}"
    samples = len(values_STIJ) if values_STIJ.ndim else 0
    require_shape(values_STIJ.shape, "samples, slices, rows, columns", (samples, *spec.shape), spec, where)
    if not samples:
        raise LayoutError(f"{where} must hold at least one sample, got shape {values_STIJ.shape}")
    field_STIJ = signs(values_STIJ, where)
    for key in ("chain", "sweep"):
        if key in arrays and arrays[key].shape != (samples,):
            raise LayoutError(f"{path}: {key} must have shape ({samples},), one per sample, got {arrays[key].shape}")
    chain_S, sweep_S = (arrays[key].astype(np.int64) if key in arrays else None for key in ("chain", "sweep"))
    return FileFields(field_STIJ, chain_S, sweep_S)


def _arrays(path: Path, name: str) -> dict[str, NDArray[Any]]:
    if is_hdf5(path):
        with opened(path) as file:
            keys = [name, *(key for key in ("chain", "sweep") if key in file)]
            return {key: numbers(file, path, key, "i") for key in keys}
    with _archive(path) as archive:
        if name not in archive.files:
            raise LayoutError(f"{path} has no array {name}; there are: {', '.join(archive.files) or 'none'}")
        arrays = {key: archive[key] for key in (name, "chain", "sweep") if key in archive.files}
    for key, array in arrays.items():
        if array.dtype.kind != "i":
            raise LayoutError(f"{path}: {key} must hold integers, got {array.dtype}")
    return arrays


@contextmanager
def _archive(path: Path) -> Iterator[Any]:
    """An npz file; arrays of Python objects, which could run code, are refused."""
    if not zipfile.is_zipfile(path):
        raise LayoutError(f"{path} is neither an HDF5 nor an npz file, or it is truncated")
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except LayoutError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LayoutError(f"{path} cannot be read: {error}") from None


def _scalar(value: Any, where: str) -> Scalar:
    """A number or text without axes."""
    plain = np.asarray(value)
    if plain.ndim or plain.dtype.kind not in "iufUO":
        raise LayoutError(f"{where} must be one number or text, got {plain.dtype} of shape {plain.shape}")
    number = plain.item()
    if isinstance(number, bytes):
        number = number.decode()
    if not isinstance(number, int | float | str) or (isinstance(number, float) and not math.isfinite(number)):
        raise LayoutError(f"{where} must be one finite number or text, got {number!r}")
    return number
