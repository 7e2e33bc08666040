"""HDF5 files: every fault of theirs becomes a message for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow.exchange.fields import LayoutError

KINDS = {"f": "floats", "i": "integers", "u": "integers", "b": "booleans", "c": "complex numbers"}


def is_hdf5(path: Path) -> bool:
    """Whether a file begins like an HDF5 file; JLD2 files do."""
    return bool(h5py.is_hdf5(path))


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to read from.

    Raises:
        LayoutError: it cannot be opened, or something in it cannot be read.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except LayoutError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise LayoutError(f"{path} cannot be read, it may be truncated: {error}") from None


def dataset_of(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """A dataset by its name.

    Raises:
        LayoutError: there is none; the message lists the datasets of the file.
    """
    # file[name] raises for a dataset that cannot be read; file.get() would hide it.
    if name in file and isinstance(file[name], h5py.Dataset):
        return file[name]
    names = sorted(key for key in file if isinstance(file.get(key), h5py.Dataset))
    raise LayoutError(f"{path} has no dataset {name}; there are: {', '.join(names) or 'none'}")


def numbers(file: h5py.File, path: Path, name: str, kinds: str) -> NDArray[Any]:
    """The numbers of a dataset, of one of the numpy ``kinds``.

    Raises:
        LayoutError: missing, or of another kind.
    """
    dataset = dataset_of(file, path, name)
    if dataset.dtype.kind not in kinds:
        words = " or ".join(dict.fromkeys(KINDS[kind] for kind in kinds))
        raise LayoutError(f"{path}: {name} must hold {words}, got {dataset.dtype}")
    return np.asarray(dataset[()])
