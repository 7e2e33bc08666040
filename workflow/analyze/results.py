"""Results of analysis as JSON, and the random streams that they are made with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain(result: Any) -> Any:
    """A result (named tuples, arrays, numbers) as JSON can hold it; what is not a number becomes null."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return {key: plain(value) for key, value in result._asdict().items()}
    if isinstance(result, dict):
        return {str(key): plain(value) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return [plain(value) for value in result]
    if isinstance(result, np.ndarray):
        return plain(result.tolist())
    if isinstance(result, float | np.floating):
        return float(result) if math.isfinite(result) else None
    return int(result) if isinstance(result, np.integer) else result


def generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))
