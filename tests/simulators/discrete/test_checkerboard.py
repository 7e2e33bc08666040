"""Bits of words against plain arrays of spins."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.discrete import checkerboard


def random_spins(chains: int, size: int) -> NDArray[np.int8]:
    return np.random.default_rng(1).choice(np.array([-1, 1], dtype=np.int8), size=(chains, size, size))


@pytest.mark.parametrize(("chains", "size"), [(1, 4), (64, 6), (70, 10), (130, 32)])
def test_packing_is_undone_by_unpacking(chains: int, size: int) -> None:
    spins_RIJ = random_spins(chains, size)
    even_WIH, odd_WIH = checkerboard.pack(spins_RIJ)
    assert even_WIH.shape == (-(-chains // 64), size, size // 2 + 2)
    for colour_WIH in (even_WIH, odd_WIH):
        assert (colour_WIH[:, :, 0] == colour_WIH[:, :, -2]).all()
        assert (colour_WIH[:, :, -1] == colour_WIH[:, :, 1]).all()
    np.testing.assert_array_equal(checkerboard.unpack(even_WIH, odd_WIH, chains), spins_RIJ)


@pytest.mark.parametrize(("chains", "size"), [(1, 4), (64, 6), (70, 10), (3, 130)])
def test_counts_are_those_of_the_spins(chains: int, size: int) -> None:
    spins_RIJ = random_spins(chains, size)
    spins_RIJ[0] = 1  # the largest counts
    if chains > 2:
        spins_RIJ[1] = 1 - 2 * (np.indices((size, size)).sum(axis=0) % 2)
    even_R, odd_R, differ_R = checkerboard.count(*checkerboard.pack(spins_RIJ))[:, :chains]
    for r, spins_IJ in enumerate(spins_RIJ):
        ups = {0: 0, 1: 0}
        differ = 0
        for i in range(size):
            for j in range(size):
                ups[(i + j) % 2] += spins_IJ[i, j] > 0
                differ += spins_IJ[i, j] != spins_IJ[(i + 1) % size, j]
                differ += spins_IJ[i, j] != spins_IJ[i, (j + 1) % size]
        assert (even_R[r], odd_R[r], differ_R[r]) == (ups[0], ups[1], differ)
