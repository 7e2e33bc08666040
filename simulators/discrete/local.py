"""Local updates of spins with few values, 0 to q - 1: what the kernels for 64 chains side by side share.

A sweep updates every site once, in *runs*: sites of one row, two columns apart, of which no two are neighbours.  The
update of a run goes in steps, each a loop over the lanes of its sites with few operands, which the compiler turns
into vector instructions: random numbers, what they decide, the moves.  On a lattice of even size the runs are the
colours of a checkerboard; an odd row is three runs, since its ends are neighbours.  Every site's update leaves the
Boltzmann distribution as it is, so any order of the sites does.

Axes: G groups of K lanes, N sites; X numbers of a run, 64 for each of its sites.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.chains import Arrays, Lanes, cut
from simulators.rng.lanes import LANES

UPDATES_PER_CALL = 2**26
"""Most site updates, of all lanes, in one kernel call, well below a second of work: between calls Python can be
interrupted."""
ACCEPTANCE_PERIOD = 16
"""Moves are counted on every 16th sweep, the 16th first: not where a start relaxes, and at little cost."""
HOLD = 1 / 16
"""How often a site with two values gets no proposal.  If the only other value were proposed every time, moves that cost
nothing would follow from the order of the sites alone: sweeps of a lattice of 3 x 3 sites never leave some classes of
states.  More values bring chance into every proposal."""
RUNS = 3
"""Runs of a row, at most."""


class Local(Lanes):
    """Local updates of (R, I, J) states 0 to q - 1, int8; a subclass defines ``sweep`` and ``nanoseconds``."""

    def __init__(self, spec: Any, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self.sweeps_1 = np.zeros(1, dtype=np.int64)

    def sweep(self, states_GX: NDArray[np.uint8], stream_GS: NDArray[np.uint64], sweeps: int) -> None:
        """Sweep some groups; ``states_GX`` are the sites of a group row by row, LANES chains each."""
        raise NotImplementedError

    def advance(self, sweeps: int) -> None:
        """Update every site of every chain, ``sweeps`` times."""
        while sweeps > 0:
            before_counted = ACCEPTANCE_PERIOD - 1 - int(self.sweeps_1[0]) % ACCEPTANCE_PERIOD
            part = min(sweeps, before_counted) or 1
            before_GIJK = None if before_counted else self.states_GIJK.copy()
            self._sweep_all(part)
            if before_GIJK is not None:
                self.counts_2[0] += changes(before_GIJK, self.states_GIJK, self.chains)
                self.counts_2[1] += self.chains * self.states_GIJK[0, :, :, 0].size
            self.sweeps_1 += part
            sweeps -= part

    def _sweep_all(self, sweeps: int) -> None:
        groups = len(self.states_GIJK)
        states_GX = self.states_GIJK.view(np.uint8).reshape(groups, -1)
        few = max(1, UPDATES_PER_CALL // states_GX.shape[1])
        for g in range(0, groups, few):
            some_GX = states_GX[g : g + few]
            for part in cut(sweeps, UPDATES_PER_CALL // some_GX.size):
                self.sweep(some_GX, self.stream_GS[g : g + few], part)

    def arrays(self) -> Arrays:
        return super().arrays() | {"sweeps": self.sweeps_1}


@njit(cache=True, nogil=True)
def changes(before_GIJK: NDArray[np.int8], after_GIJK: NDArray[np.int8], chains: int) -> int:
    """Sites whose value has changed, of the lanes that hold a chain."""
    groups, size, _, lanes = after_GIJK.shape
    total = 0
    for g in range(groups):
        held = min(lanes, chains - g * lanes)
        for i in range(size):
            for j in range(size):
                before_K, after_K = before_GIJK[g, i, j], after_GIJK[g, i, j]
                for k in range(held):
                    total += int(before_K[k] != after_K[k])
    return total


@njit(inline="always")
def run(number: int, i: int, size: int) -> tuple[int, int]:
    """First column of run ``number`` < RUNS of row ``i`` and the end of its columns, which are two apart."""
    if size % 2 == 0:
        return (i + number) % 2, (size if number < 2 else 0)
    # The last column is a run of its own: as a neighbour of the first one, and of the one before it.
    return (number, size - 1) if number < 2 else (size - 1, size)


@njit(inline="always")
def around(i: int, j: int, size: int) -> tuple[int, int, int, int, int]:
    """Where the lanes of site (i, j) begin, and those of its neighbours above, below, left and right."""
    above, below = (i - 1 if i > 0 else size - 1), (i + 1 if i + 1 < size else 0)
    left, right = (j - 1 if j > 0 else size - 1), (j + 1 if j + 1 < size else 0)
    return (
        (i * size + j) * LANES,
        (above * size + j) * LANES,
        (below * size + j) * LANES,
        (i * size + left) * LANES,
        (i * size + right) * LANES,
    )
