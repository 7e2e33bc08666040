"""Rows of numbers, collected part by part: in memory, or in a file where memory would not hold them."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def most_in_memory(memory: float | None) -> int:
    """Bytes that the setting ``memory`` (in GiB) allows; None: a quarter of the machine's memory."""
    return machine_memory() // 4 if memory is None else int(memory * 2**30)


class GatheredArray:
    """Parts of equal type and width, to be read as one array.

    Args:
        most: bytes to hold in memory. Beyond that, all rows are in a file without a name, which vanishes with the
            process however that ends. The array is mapped from it, so that reading costs no copy and rows that are
            read often stay in the system's cache.
    """

    def __init__(self, most: int) -> None:
        self._open = ExitStack()
        self._most = most
        self._parts: list[NDArray[Any]] = []
        self._held = 0
        self._rows = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # What was mapped stays.
        self._open.close()

    def add(self, part: NDArray[Any]) -> None:
        self._parts.append(part)
        self._held += part.nbytes
        self._rows += len(part)
        # Together they are copied once more.
        if self._file is None and 2 * self._held > self._most:
            self._file = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        if self._file is not None:
            self._spill(self._file)

    def _spill(self, file: IO[bytes]) -> None:
        for part in self._parts:
            part.tofile(file)
        # What is left tells type and width.
        self._parts = [self._parts[0][:0].copy()]

    def together(self) -> NDArray[Any]:
        """All rows, (rows, width).

        Raises:
            ValueError: no part was added.
        """
        if self._file is None or not self._rows:
            return np.concatenate(self._parts)
        self._file.flush()
        like = self._parts[0]
        # Writable, since torch copies what is not; nothing writes.
        return np.memmap(self._file, dtype=like.dtype, mode="r+", shape=(self._rows, *like.shape[1:]))
