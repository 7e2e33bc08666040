"""Synthetic phases: independent spins around a pattern, so that no simulator is needed."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.data.samples import PackedSamples

Phases = tuple[NDArray[np.uint8], NDArray[np.int64]]

FERROMAGNET_UP, FERROMAGNET_DOWN = 1, 2


@pytest.fixture(scope="session")
def phases() -> Callable[[int, int], Phases]:
    """(size, n) -> packed bits and phase of each sample: 0 PM, 1 and 2 FM up and down, 3 and 4 AFM; weights of 1/3."""

    def draw(size: int, n: int) -> Phases:
        rng = np.random.default_rng(11)
        checkerboard = (-1.0) ** np.add.outer(np.arange(size), np.arange(size)).ravel()
        patterns = np.stack(
            [0 * checkerboard, 1 + 0 * checkerboard, -1 + 0 * checkerboard, checkerboard, -checkerboard]
        )
        phase = rng.choice(5, size=n, p=[1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
        up = rng.random((n, size * size)) < (1 + 0.9 * patterns[phase]) / 2
        return np.packbits(up, axis=1), phase

    return draw


@pytest.fixture
def samples(phases: Callable[[int, int], Phases]) -> PackedSamples:
    """A few 4x4 samples, for tests that ask whether, not how well, something is learned."""
    return PackedSamples(phases(4, 300)[0], (1, 4, 4))


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Networks, data and noise in float64.

    Training amplifies rounding by an unknown factor. From float64's 1e-16 it stays far below the 1e-7 at which
    torch.testing.assert_close compares, so that what is compared is the algorithm.
    """
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
