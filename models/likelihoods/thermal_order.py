"""The order in which the thermal likelihoods draw the sites of a periodic lattice: from coarse to fine.

With rows and columns = odd numbers times 2^m, the first step draws the corners, a grid of spacing 2^m. Each of m
refinements halves the spacing s in two steps: the centres of the squares, whose parents are the four corners around
them, then the edges, whose parents are the two corners and two centres next to them at s/2. The very last step draws
one sublattice of the checkerboard given all nearest neighbours.

Axes: S steps, N sites of all channels, P = 4 parents.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PARENTS = 4


class Order(NamedTuple):
    """Every site once, each after its parents."""

    steps: tuple[Tensor, ...]
    """(n_l,) sites that step l draws together, ascending."""
    parents_PN: Tensor
    """(4, N) sites that each one depends on; on a small lattice one may count twice. A corner has none, and names
    itself."""

    @property
    def cuts(self) -> list[int]:
        """Where the steps begin and end in their sequence: step l draws the sites cuts[l] ... cuts[l + 1] - 1 of it."""
        return [0, *accumulate(len(sites) for sites in self.steps)]

    @property
    def spread_SN(self) -> Tensor:
        """1 where a step draws a site, 0 elsewhere: a product with it gives each site the number of its step."""
        spread_SN = torch.zeros(len(self.steps), self.parents_PN.shape[1])
        for row_N, sites in zip(spread_SN, self.steps, strict=True):
            row_N[sites] = 1
        return spread_SN


def coarse_to_fine(shape: tuple[int, int, int]) -> Order:
    """The 1 + 2 m steps for (channels, rows, columns); the channels are drawn side by side, blind to each other.

    Raises:
        ValueError: an odd number of rows or columns, which leaves nothing to refine.
    """
    channels, rows, columns = shape
    if rows % 2 or columns % 2:
        raise ValueError(f"thermal needs rows and columns that are even, got {rows} x {columns}")
    common = np.gcd(rows, columns)
    spacing = int(common & -common)
    grid = np.arange(channels * rows * columns).reshape(shape)
    parents_PN = np.tile(np.arange(grid.size), (PARENTS, 1))
    steps = [grid[:, ::spacing, ::spacing].ravel()]
    while spacing > 1:
        half = spacing // 2
        centres = (slice(None), slice(half, None, spacing), slice(half, None, spacing))
        across = (slice(None), slice(0, None, spacing), slice(half, None, spacing))
        along = (slice(None), slice(half, None, spacing), slice(0, None, spacing))
        _adopt(parents_PN, grid, centres, [(-half, -half), (-half, half), (half, -half), (half, half)])
        for edges in (across, along):
            _adopt(parents_PN, grid, edges, [(-half, 0), (half, 0), (0, -half), (0, half)])
        steps += [grid[centres].ravel(), np.sort(np.concatenate([grid[across].ravel(), grid[along].ravel()]))]
        spacing = half
    return Order(tuple(torch.from_numpy(sites) for sites in steps), torch.from_numpy(parents_PN))


def _adopt(
    parents_PN: NDArray[np.int64],
    grid: NDArray[np.int64],
    sites: tuple[slice, slice, slice],
    offsets: list[tuple[int, int]],
) -> None:
    """Enter the sites at these distances, in rows and columns, as parents; the lattice is periodic."""
    for parent_N, (row, column) in zip(parents_PN, offsets, strict=True):
        parent_N[grid[sites]] = np.roll(grid, (-row, -column), axis=(1, 2))[sites]


def add_up(x_N: Tensor, parents_Pn: Tensor) -> Tensor:
    """Sum over parents of a feature of theirs: (..., N) -> (..., n)."""
    # torch selects columns of matrices only at full speed, twenty times that of more axes.
    chosen_MPn = x_N.reshape(-1, x_N.shape[-1]).index_select(1, parents_Pn.flatten()).unflatten(1, parents_Pn.shape)
    return chosen_MPn.sum(1).view(*x_N.shape[:-1], -1)
