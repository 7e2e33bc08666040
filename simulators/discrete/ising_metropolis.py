"""Metropolis sweeps of Ising spins, 64 replicas per word, over the two colours of the checkerboard.

A sweep proposes every even site, then every odd site.  Sites of one colour don't interact, so a whole row is turned
over at once.  A move that costs dH > 0 is taken with probability exp(-dH / T), exact to 2^-64 and with random bits
of its own in every replica.

Axes as in ``simulators.discrete.checkerboard``.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.discrete.multispin import (
    BLOCK,
    MASK_0,
    MASK_1,
    MASK_2,
    MASK_3,
    MASK_4,
    POSITION,
    fill_five,
    fill_two,
    popcount,
    thresholds,
)
from simulators.rng.lanes import LANES
from simulators.rng.sfc64 import ALL, ONE, ZERO

ACCEPTANCE_PERIOD = 16
"""Accepted moves are counted on every 16th sweep, the 16th first: not where a start relaxes, and at little cost."""


class Rule(NamedTuple):
    """When a move is taken, as ``sweep`` reads it."""

    leading_X: NDArray[np.uint64]
    """As in ``multispin.Thresholds``."""
    bits_P: NDArray[np.uint64]
    """As in ``multispin.Thresholds``."""
    equal: np.uint64
    """All bits where the coupling favours equal neighbours, none where it favours opposite ones."""
    upward_5: NDArray[np.uint64] | None
    """With a field: for 0 to 4 neighbours up, all bits where the local field points up; None without."""


def acceptance(coupling: float, field: float, temperature: float) -> Rule:
    """The Metropolis rule of H = -J sum s s + h sum s at temperature T > 0.

    Without a field a move costs something only if three neighbours satisfy their bond, or all four: two
    probabilities.  With a field the local field J n - h decides, n the sum of the neighbours: leaving its direction
    costs 2 |J n - h| and taking it nothing, which makes five probabilities.
    """
    J, h, T = Decimal(coupling), Decimal(field), Decimal(temperature)
    equal = ALL if J > 0 else ZERO
    if h == 0:
        return Rule(*thresholds([4 * abs(J) / T, 8 * abs(J) / T]), equal, None)
    local = [J * (2 * up - 4) - h for up in range(5)]
    upward_5 = np.where([x > 0 for x in local], ALL, ZERO)
    return Rule(*thresholds([2 * abs(x) / T for x in local]), equal, upward_5)


@njit(inline="always")
def turn(
    own_H: NDArray[np.uint64],
    neighbours: tuple[NDArray[np.uint64], ...],
    masks: tuple[NDArray[np.uint64], ...],
    equal: np.uint64,
) -> None:
    """Turn over the spins of a slice of a row that accept, without a field."""
    above_H, below_H, level_H, side_H = neighbours
    three_H, four_H = masks
    for h in range(len(own_H)):
        s = own_H[h]
        reference = s ^ equal
        b0, b1 = reference ^ above_H[h], reference ^ below_H[h]
        b2, b3 = reference ^ level_H[h], reference ^ side_H[h]
        both01, one01, both23, one23 = b0 & b1, b0 ^ b1, b2 & b3, b2 ^ b3
        three = (both01 & one23) | (both23 & one01)
        own_H[h] = s ^ ~((three & ~three_H[h]) | (both01 & both23 & ~four_H[h]))


@njit(inline="always")
def turn_in_field(
    own_H: NDArray[np.uint64],
    neighbours: tuple[NDArray[np.uint64], ...],
    masks: tuple[NDArray[np.uint64], ...],
    upward_5: NDArray[np.uint64],
) -> None:
    """Turn over the spins of a slice of a row that accept; masks go by the number of neighbours up."""
    above_H, below_H, level_H, side_H = neighbours
    mask0_H, mask1_H, mask2_H, mask3_H, mask4_H = masks
    up0, up1, up2, up3, up4 = upward_5[0], upward_5[1], upward_5[2], upward_5[3], upward_5[4]
    for h in range(len(own_H)):
        s = own_H[h]
        b0, b1, b2, b3 = above_H[h], below_H[h], level_H[h], side_H[h]
        both01, one01, both23, one23 = b0 & b1, b0 ^ b1, b2 & b3, b2 ^ b3
        odd, four = one01 ^ one23, both01 & both23
        three = (both01 & one23) | (both23 & one01)
        none = ~(b0 | b1 | b2 | b3)
        two = ~(odd | four | none)
        accept = none & (mask0_H[h] | (s ^ up0))
        accept |= odd & ~three & (mask1_H[h] | (s ^ up1))
        accept |= two & (mask2_H[h] | (s ^ up2))
        accept |= three & (mask3_H[h] | (s ^ up3))
        accept |= four & (mask4_H[h] | (s ^ up4))
        own_H[h] = s ^ accept


@njit(cache=True, nogil=True)
def half_sweep(
    own_IH: NDArray[np.uint64],
    other_IH: NDArray[np.uint64],
    colour: int,
    stream_S: NDArray[np.uint64],
    leading_X: NDArray[np.uint64],
    bits_P: NDArray[np.uint64],
    equal: np.uint64,
    upward_5: NDArray[np.uint64] | None,
) -> None:
    """Propose every site of one colour (0 even, 1 odd) in 64 replicas.

    ``upward_5 is None`` is decided when this is compiled: there is one version with a field and one without.
    """
    size, half = own_IH.shape[0], own_IH.shape[1] - 2
    position = int(stream_S[POSITION])
    for i in range(size):
        above, below = i - 1 if i else size - 1, i + 1 if i + 1 < size else 0
        shift = 1 if (i + colour) % 2 else -1
        start = 1
        while start <= half:
            if position == BLOCK:
                if upward_5 is None:
                    fill_two(stream_S, leading_X, bits_P)
                else:
                    fill_five(stream_S, leading_X, bits_P)
                position = 0
            length = min(half + 1 - start, BLOCK - position)
            end = start + length
            own_H = own_IH[i, start:end]
            neighbours = (
                other_IH[above, start:end],
                other_IH[below, start:end],
                other_IH[i, start:end],
                other_IH[i, start + shift : end + shift],
            )
            mask0_H = stream_S[MASK_0 + position : MASK_0 + position + length]
            mask1_H = stream_S[MASK_1 + position : MASK_1 + position + length]
            if upward_5 is None:
                turn(own_H, neighbours, (mask0_H, mask1_H), equal)
            else:
                mask2_H = stream_S[MASK_2 + position : MASK_2 + position + length]
                mask3_H = stream_S[MASK_3 + position : MASK_3 + position + length]
                mask4_H = stream_S[MASK_4 + position : MASK_4 + position + length]
                turn_in_field(own_H, neighbours, (mask0_H, mask1_H, mask2_H, mask3_H, mask4_H), upward_5)
            position += length
            start = end
        own_IH[i, 0], own_IH[i, half + 1] = own_IH[i, half], own_IH[i, 1]
    stream_S[POSITION] = np.uint64(position)


@njit(inline="always")
def differing(before_IH: NDArray[np.uint64], after_IH: NDArray[np.uint64], used: np.uint64) -> int:
    """Used lanes in which two arrays of one colour differ, counted over all sites."""
    total = ZERO
    for i in range(before_IH.shape[0]):
        for h in range(1, before_IH.shape[1] - 1):
            total += popcount((before_IH[i, h] ^ after_IH[i, h]) & used)
    return int(total)


@njit(cache=True, nogil=True)
def sweep(
    even_WIH: NDArray[np.uint64],
    odd_WIH: NDArray[np.uint64],
    stream_WS: NDArray[np.uint64],
    leading_X: NDArray[np.uint64],
    bits_P: NDArray[np.uint64],
    equal: np.uint64,
    upward_5: NDArray[np.uint64] | None,
    chains: int,
    before: int,
    sweeps: int,
) -> int:
    """Sweep all words in place; returns the moves that ``chains`` chains took on the counted sweeps.

    Args:
        even_WIH, odd_WIH, stream_WS: the state of W words.
        leading_X, bits_P, equal, upward_5: the fields of ``Rule``.
        chains: lanes in use, over all words.
        done: sweeps done before; every ``ACCEPTANCE_PERIOD``-th of all is counted.
        sweeps: sweeps to do.
    """
    turned = 0
    for w in range(len(even_WIH)):
        even_IH, odd_IH, stream_S = even_WIH[w], odd_WIH[w], stream_WS[w]
        lanes = min(LANES, chains - w * LANES)
        used = ALL if lanes == LANES else (ONE << np.uint64(lanes)) - ONE
        for number in range(before, before + sweeps):
            counted = (number + 1) % ACCEPTANCE_PERIOD == 0
            if counted:
                even_before_IH, odd_before_IH = even_IH.copy(), odd_IH.copy()
            half_sweep(even_IH, odd_IH, 0, stream_S, leading_X, bits_P, equal, upward_5)
            half_sweep(odd_IH, even_IH, 1, stream_S, leading_X, bits_P, equal, upward_5)
            if counted:
                # A sweep proposes each site once, so what differs now is what was taken.
                turned += differing(even_before_IH, even_IH, used) + differing(odd_before_IH, odd_IH, used)
    return turned
