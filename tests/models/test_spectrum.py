"""The top eigenvalue against a dense diagonalization."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.spectrum import TOLERANCE, top_eigenvalue


def dense(bits: NDArray[np.uint8], sites: int, centred: bool = True) -> float:
    x = np.unpackbits(bits, axis=1)[:, :sites] * 2.0 - 1.0
    x -= x.mean(0) * centred
    return float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])


@pytest.mark.parametrize("size", [4, 8, 12])
def test_lanczos_agrees_with_dense(phases: Callable, size: int) -> None:
    bits, _ = phases(size, 1500)
    assert top_eigenvalue(bits, (1, size, size)) == pytest.approx(dense(bits, size * size), rel=TOLERANCE)


def test_the_mean_is_subtracted(phases: Callable) -> None:
    bits, phase = phases(8, 2000)
    magnetized = bits[(phase == 1) | (phase == 0)]
    expected = dense(magnetized, 64)
    assert top_eigenvalue(magnetized, (1, 8, 8)) == pytest.approx(expected, rel=TOLERANCE)
    # Negative control: a third of the samples is magnetized, so the second moment's is larger by 1 / (1 - 1/3).
    assert dense(magnetized, 64, centred=False) > 1.2 * expected


def test_sites_that_do_not_fill_their_bytes() -> None:
    bits = np.random.default_rng(0).integers(0, 256, size=(40, 2), dtype=np.uint8)
    assert top_eigenvalue(bits, (1, 3, 4)) == pytest.approx(dense(bits, 12), rel=TOLERANCE)


def test_it_is_deterministic(phases: Callable) -> None:
    bits, _ = phases(8, 700)
    assert top_eigenvalue(bits, (1, 8, 8)) == top_eigenvalue(bits, (1, 8, 8))


def test_data_without_a_covariance_are_refused() -> None:
    with pytest.raises(ValueError, match="all equal"):
        top_eigenvalue(np.full((5, 2), 7, dtype=np.uint8), (1, 4, 4))
    with pytest.raises(ValueError, match="at least 2 samples and 2 sites, got 1 and 16"):
        top_eigenvalue(np.zeros((1, 2), dtype=np.uint8), (1, 4, 4))
