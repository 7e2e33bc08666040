"""Ids and random streams that follow from content alone: adding a point to a study changes those of no other."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from functools import cached_property
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


class IdentifiedTask(ABC):
    """A task whose id and shard follow from its content alone."""

    @property
    @abstractmethod
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard's bytes, in plain values."""

    @cached_property
    def digest(self) -> str:
        """sha256 of the content, in hexadecimal."""
        return sha256_of(self.content)

    @property
    def task_id(self) -> str:
        """The first 16 hex digits of the digest; it names the shard."""
        return self.digest[:16]
