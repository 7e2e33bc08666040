"""Ids and random streams from content alone: what is added elsewhere changes neither."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np


def sha256_of(content: Any) -> str:
    """sha256 of plain content (numbers, strings, lists, dictionaries) as canonical JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def stream(seed: int, digest: str) -> np.random.Generator:
    """The random stream of the content with this ``digest`` in a study with this ``seed``."""
    words = tuple(int(digest[i : i + 8], 16) for i in range(0, 64, 8))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=words))
