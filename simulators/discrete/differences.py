"""Local updates of spins with too many values for the tables of ``simulators.discrete.transitions``, 64 chains side by
side.

The energy of a bond depends on the difference of its values mod q, of which there may be any number up to 64.  Lanes
are updated one by one here; what they share is the layout and the random numbers.

Axes as in ``simulators.discrete.local``; Q values.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.chains import cut
from simulators.discrete.local import RUNS, around, run
from simulators.rng.lanes import LANES, take, uniform_below
from simulators.rng.sfc64 import SHIFT_TO_DOUBLE, TWO_TO_MINUS_53

UPDATES_PER_CALL = 2**21
"""Most site updates, of all lanes, in one kernel call: up to half a second."""
SMALLEST = 1e-280
"""Weights that all are smaller may have lost digits, and are made anew from energies."""


@njit(inline="always")
def propose(
    old: int,
    around_4: tuple[int, int, int, int],
    energy_Q: NDArray[np.float64],
    temperature: float,
    word: np.uint64,
    stream_S: NDArray[np.uint64],
) -> int:
    """The value after a Metropolis move to one of the others."""
    q = len(energy_Q)
    new = old + 1 + uniform_below(q - 1, stream_S)
    new = new if new < q else new - q
    cost = 0.0
    for s in around_4:
        cost += energy_Q[abs(s - new)] - energy_Q[abs(s - old)]
    if cost <= 0.0 or (word >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53 < np.exp(-cost / temperature):
        return new
    return old


@njit(inline="always")
def pick(
    around_4: tuple[int, int, int, int],
    energy_Q: NDArray[np.float64],
    weight_Q: NDArray[np.float64],
    temperature: float,
    word: np.uint64,
    cumulative_Q: NDArray[np.float64],
) -> int:
    """A value from the distribution that the neighbours give."""
    q, (a, b, c, d) = len(weight_Q), around_4
    total = 0.0
    for s in range(q):
        total += weight_Q[abs(s - a)] * weight_Q[abs(s - b)] * weight_Q[abs(s - c)] * weight_Q[abs(s - d)]
        cumulative_Q[s] = total
    if total < SMALLEST:
        lowest = np.inf
        for s in range(q):
            energy = energy_Q[abs(s - a)] + energy_Q[abs(s - b)] + energy_Q[abs(s - c)] + energy_Q[abs(s - d)]
            cumulative_Q[s] = energy
            lowest = min(lowest, energy)
        total = 0.0
        for s in range(q):
            total += np.exp((lowest - cumulative_Q[s]) / temperature)
            cumulative_Q[s] = total
    point, new = (word >> SHIFT_TO_DOUBLE) * TWO_TO_MINUS_53 * total, 0
    while new < q - 1 and cumulative_Q[new] <= point:
        new += 1
    return new


@njit(cache=True, nogil=True)
def sweep_runs(
    states_GX: NDArray[np.uint8],
    stream_GS: NDArray[np.uint64],
    energy_Q: NDArray[np.float64],
    temperature: float,
    heat_bath: bool,
    size: int,
    first_run: int,
    last_run: int,
    sweeps: int,
) -> None:
    """Update every site of some runs in every lane, ``sweeps`` times.

    Args:
        states_GX: values 0 to q - 1, site by site, 64 lanes each.
        stream_GS: random words of each group.
        energy_Q: energy of a bond whose values differ by 0 to q - 1, E(d) = E(q - d).
        temperature: T, in the units of the energies.
        heat_bath: whether to draw from the distribution that the neighbours give, rather than propose another value.
        size: rows, and columns, of the lattice.
        first_run, last_run: of RUNS size, the last one not included.
        sweeps: of each group.
    """
    weight_Q, cumulative_Q = np.exp((energy_Q.min() - energy_Q) / temperature), np.empty(len(energy_Q))
    for g in range(len(states_GX)):
        states_X, stream_S = states_GX[g], stream_GS[g]
        for _ in range(sweeps):
            for n in range(first_run, last_run):
                i = n % size
                start, end = run(n // size, i, size)
                for j in range(start, end, 2):
                    here, above, below, left, right = around(i, j, size)
                    row = take(stream_S)
                    for k in range(LANES):
                        a, b = np.int64(states_X[above + k]), np.int64(states_X[below + k])
                        c, d = np.int64(states_X[left + k]), np.int64(states_X[right + k])
                        word = stream_S[row + k]
                        if heat_bath:
                            new = pick((a, b, c, d), energy_Q, weight_Q, temperature, word, cumulative_Q)
                        else:
                            old = np.int64(states_X[here + k])
                            new = propose(old, (a, b, c, d), energy_Q, temperature, word, stream_S)
                        states_X[here + k] = np.uint8(new)


def sweep(
    states_GX: NDArray[np.uint8],
    stream_GS: NDArray[np.uint64],
    energy_Q: NDArray[np.float64],
    temperature: float,
    heat_bath: bool,
    size: int,
    sweeps: int,
) -> None:
    """``sweep_runs`` of all runs, in calls of well below a second, even where one sweep takes longer."""
    runs, updates = RUNS * size, states_GX.size
    rule = (energy_Q, temperature, heat_bath, size)
    if updates <= UPDATES_PER_CALL:
        for part in cut(sweeps, UPDATES_PER_CALL // updates):
            sweep_runs(states_GX, stream_GS, *rule, 0, runs, part)
        return
    few = max(1, runs * UPDATES_PER_CALL // updates)
    for _ in range(sweeps):
        for first in range(0, runs, few):
            sweep_runs(states_GX, stream_GS, *rule, first, min(first + few, runs), 1)


def nanoseconds(states: int, heat_bath: bool) -> float:
    """Measured cost of one site and sweep, by ``latentphase bench --only simulators``."""
    return 20.0 + 3.0 * states if heat_bath else 25.0
