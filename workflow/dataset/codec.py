"""Configurations as bytes: how each encoding stores the number of one site, and the way there and back.

Axes: S samples, C channels, H rows, W columns, B bytes of one stored configuration.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.config import Variable

EncodingName = Literal["bits", "int8", "float32"]


class Encoding(NamedTuple):
    """How a shard stores the numbers of a configuration, and what they can be."""

    dtype: str
    """numpy's name of the decoded numbers: -1 and 1 of ``bits``."""
    bits: int
    """Of the file, per site; a configuration takes whole bytes."""
    simulated_bytes: int
    """About how much memory a site takes while it is simulated: angles are held as two doubles."""
    variables: tuple[Variable, ...]
    """What the numbers can be; the first is meant where a ``[[data]]`` block does not say."""

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one decoded number."""
        return np.dtype(self.dtype).itemsize

    def stored_bytes(self, sites: int) -> int:
        """Bytes of one stored configuration of so many sites."""
        return -(-sites * self.bits // 8)


ENCODINGS: dict[str, Encoding] = {
    "bits": Encoding("<i1", 1, 1, ("spins",)),
    "int8": Encoding("<i1", 8, 1, ("states", "spins")),
    "float32": Encoding("<f4", 32, 16, ("values", "angles")),
}
"""All encodings; second inputs are always stored as ``float32``."""


def encode(configurations: NDArray[Any], encoding: str) -> NDArray[np.uint8]:
    """Configurations (S, C, H, W) as bytes (S, B), in C order; a bit of 1 stands for a spin of +1."""
    rows = len(configurations)
    flat = np.ascontiguousarray(configurations).reshape(rows, prod(configurations.shape[1:]))
    if encoding == "bits":
        return np.packbits(flat > 0, axis=1)
    return np.ascontiguousarray(flat, dtype=ENCODINGS[encoding].dtype).view(np.uint8).reshape(rows, -1)


def decode(packed_SB: NDArray[np.uint8], encoding: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of ``encode``: (S, C, H, W) for the ``shape`` (C, H, W)."""
    if encoding == "bits":
        bits = np.unpackbits(packed_SB, axis=1, count=prod(shape))
        return (bits.astype(np.int8) * 2 - 1).reshape(len(packed_SB), *shape)
    return np.ascontiguousarray(packed_SB).view(ENCODINGS[encoding].dtype).reshape(len(packed_SB), *shape)


def packed_rows(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """(S, B) bytes of a column of encoded configurations."""
    width = column.type.byte_width
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width).reshape(-1, width)
        for chunk in column.chunks
    ]
    return np.concatenate(parts) if parts else np.empty((0, width), np.uint8)
