"""Configurations as bytes: bits, small integers or single precision."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DECODED_BYTES = {"bits": 1, "int8": 1, "float32": 4}
"""Bytes per site in memory, by encoding."""


def encode(configurations: NDArray[Any], encoding: str) -> NDArray[np.uint8]:
    """Configurations (S, C, H, W) as bytes (S, B): ``bits``, ``int8`` or ``float32``, in C order."""
    rows = len(configurations)
    flat = np.ascontiguousarray(configurations).reshape(rows, prod(configurations.shape[1:]))
    if encoding == "bits":
        return np.packbits(flat > 0, axis=1)
    kind = {"int8": "<i1", "float32": "<f4"}[encoding]
    return np.ascontiguousarray(flat, dtype=kind).view(np.uint8).reshape(rows, -1)


def decode(packed_SB: NDArray[np.uint8], encoding: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of ``encode``: (S, C, H, W)."""
    sites = int(np.prod(shape))
    if encoding == "bits":
        bits = np.unpackbits(packed_SB, axis=1, count=sites)
        return (bits.astype(np.int8) * 2 - 1).reshape(len(packed_SB), *shape)
    kind = {"int8": "<i1", "float32": "<f4"}[encoding]
    return np.ascontiguousarray(packed_SB).view(kind).reshape(len(packed_SB), *shape)


def packed_rows(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """(S, B) bytes of a column of encoded configurations."""
    width = column.type.byte_width
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width).reshape(-1, width)
        for chunk in column.chunks
    ]
    return np.concatenate(parts) if parts else np.empty((0, width), np.uint8)
