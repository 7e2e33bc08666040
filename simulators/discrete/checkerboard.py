"""Replicas of a square lattice of two-valued spins in the bits of words, one array per checkerboard colour.

Site (i, j) is even where i + j is.  Its spin in 64 replicas is one word, a set bit meaning +1: the even sites of row
i, in order of j, are ``even_WIH[w, i, 1:-1]``, the odd ones ``odd_WIH[w, i, 1:-1]``.  The first and the last column
repeat the other end of the row, so that a row's horizontal neighbours are slices too.  Along a row the columns are
independent, which is what the vector units work on.

Axes: W words of 64 replicas, R replicas, I rows, J columns, H = J / 2 columns of one colour (plus two in storage).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.lanes import LANES
from simulators.rng.sfc64 import ONE, ZERO


@njit(cache=True, nogil=True)
def pack(spins_RIJ: NDArray[np.int8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The two colours of ``spins_RIJ`` (+-1, even size); lanes beyond the last replica hold -1 everywhere."""
    replicas, size, _ = spins_RIJ.shape
    half = size // 2
    shape = ((replicas + LANES - 1) // LANES, size, half + 2)
    even_WIH, odd_WIH = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.uint64)
    for r in range(replicas):
        w, lane = r // LANES, np.uint64(r % LANES)
        for i in range(size):
            even_H, odd_H, row_J = even_WIH[w, i], odd_WIH[w, i], spins_RIJ[r, i]
            for h in range(half):
                even_H[h + 1] |= np.uint64(row_J[2 * h + i % 2] > 0) << lane
                odd_H[h + 1] |= np.uint64(row_J[2 * h + 1 - i % 2] > 0) << lane
    for w in range(shape[0]):
        for i in range(size):
            even_WIH[w, i, 0], even_WIH[w, i, half + 1] = even_WIH[w, i, half], even_WIH[w, i, 1]
            odd_WIH[w, i, 0], odd_WIH[w, i, half + 1] = odd_WIH[w, i, half], odd_WIH[w, i, 1]
    return even_WIH, odd_WIH


@njit(cache=True, nogil=True)
def unpack(even_WIH: NDArray[np.uint64], odd_WIH: NDArray[np.uint64], replicas: int) -> NDArray[np.int8]:
    """(replicas, I, J) spins +-1; the inverse of ``pack``."""
    _, size, stored = even_WIH.shape
    words_N, bytes_N = np.empty(size * size, dtype=np.uint64), np.empty(size * size, dtype=np.uint8)
    spins_RN = np.empty((replicas, size * size), dtype=np.int8)
    for r in range(replicas):
        w, lane = r // LANES, r % LANES
        if lane == 0:
            for i in range(size):
                for h in range(stored - 2):
                    words_N[i * size + 2 * h + i % 2] = even_WIH[w, i, h + 1]
                    words_N[i * size + 2 * h + 1 - i % 2] = odd_WIH[w, i, h + 1]
        # Eight replicas at a time as bytes: the loop over r below then handles many sites per instruction.
        if lane % 8 == 0:
            for n in range(size * size):
                bytes_N[n] = np.uint8(words_N[n] >> np.uint64(lane))
        bit, spins_N = np.uint8(1 << (lane % 8)), spins_RN[r]
        for n in range(size * size):
            spins_N[n] = np.int8(1) if np.uint8(bytes_N[n] & bit) else np.int8(-1)
    return spins_RN.reshape(replicas, size, size)


@njit(inline="always")
def add_words(planes_PH: NDArray[np.uint64], carry_H: NDArray[np.uint64], first: int, last: int) -> None:
    """Add the bits of ``carry_H`` (destroyed) at weight 2^first to counters whose bit p is plane p."""
    for p in range(first, last):
        for h in range(len(carry_H)):
            plane = planes_PH[p, h]
            planes_PH[p, h] = plane ^ carry_H[h]
            carry_H[h] &= plane


@njit(inline="always")
def sum_lanes(planes_PH: NDArray[np.uint64], totals_R: NDArray[np.int64]) -> None:
    """Add the counters of all columns, lane by lane, to ``totals_R`` (64,)."""
    planes, half = planes_PH.shape
    for p in range(planes):
        for h in range(half):
            word = planes_PH[p, h]
            for r in range(LANES):
                totals_R[r] += np.int64((word >> np.uint64(r)) & ONE) << p


@njit(cache=True, nogil=True)
def count(even_WIH: NDArray[np.uint64], odd_WIH: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(3, 64 W) per replica: even sites up, odd sites up, and bonds (of 2 I J) whose ends differ."""
    words, size, stored = even_WIH.shape
    half = stored - 2
    planes = 0
    while (1 << planes) <= 4 * size:
        planes += 1
    totals_3WR = np.zeros((3, words, LANES), dtype=np.int64)
    even_PH, odd_PH, bond_PH = np.empty((3, planes, half), dtype=np.uint64)
    ones_H, twos_H, fours_H = np.empty((3, half), dtype=np.uint64)
    for w in range(words):
        even_PH[:], odd_PH[:], bond_PH[:] = ZERO, ZERO, ZERO
        used = 0
        for i in range(size):
            # A counter of rows 0 to i needs the bits of i + 1, one of their bonds two more.
            while (1 << used) <= i + 1:
                used += 1
            even_H, odd_H = even_WIH[w, i, 1 : half + 1], odd_WIH[w, i, 1 : half + 1]
            side_H = odd_WIH[w, i, 2 : half + 2] if i % 2 else odd_WIH[w, i, 0:half]
            above_H, below_H = odd_WIH[w, i - 1, 1 : half + 1], odd_WIH[w, (i + 1) % size, 1 : half + 1]
            for h in range(half):
                ones_H[h], twos_H[h] = even_H[h], odd_H[h]
            add_words(even_PH, ones_H, 0, used)
            add_words(odd_PH, twos_H, 0, used)
            # Every bond has one even end; its four bonds sum to a three-bit number.
            for h in range(half):
                b0, b1 = even_H[h] ^ above_H[h], even_H[h] ^ below_H[h]
                b2, b3 = even_H[h] ^ odd_H[h], even_H[h] ^ side_H[h]
                parity, other = b0 ^ b1, b2 ^ b3
                ones_H[h] = parity ^ other
                twos_H[h] = (b0 & b1) ^ (b2 & b3) ^ (parity & other)
                fours_H[h] = b0 & b1 & b2 & b3
            add_words(bond_PH, ones_H, 0, used + 2)
            add_words(bond_PH, twos_H, 1, used + 2)
            add_words(bond_PH, fours_H, 2, used + 2)
        sum_lanes(even_PH[:used], totals_3WR[0, w])
        sum_lanes(odd_PH[:used], totals_3WR[1, w])
        sum_lanes(bond_PH, totals_3WR[2, w])
    return totals_3WR.reshape(3, words * LANES)
