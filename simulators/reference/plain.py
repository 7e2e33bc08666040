"""Plain kernels of spins with few values: one chain, one site at a time, as a textbook has them.

They stand beside the fast kernels, in tests and in ``latentphase bench``, which states how many times faster those
are; no system uses them.  Potts and clock: values are 0 to q - 1, and the energy of a bond depends on their difference
mod q.

Axes: R chains, I rows, J columns, Q values, V words of a generator's state.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.rng.sfc64 import uniform


@njit(cache=True, nogil=True)
def potts_metropolis(
    states_RIJ: NDArray[np.int8], state_RV: NDArray[np.uint64], q: int, weight_4: NDArray[np.float64], sweeps: int
) -> int:
    """``metropolis`` for Potts spins, J > 0, which need no energies: ``weight_4`` is exp(-c J / T) for c = 1 to 4."""
    chains, size, _ = states_RIJ.shape
    accepted = 0
    for r in range(chains):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    old = int(states_IJ[i, j])
                    new = old + 1 + int(uniform(state_V) * (q - 1))
                    new = new if new < q else new - q
                    a, b, c, d = states_IJ[above, j], states_IJ[below, j], states_IJ[i, left], states_IJ[i, right]
                    cost = (a == old) + (b == old) + (c == old) + (d == old)
                    cost -= (a == new) + (b == new) + (c == new) + (d == new)
                    if cost <= 0 or uniform(state_V) < weight_4[cost - 1]:
                        states_IJ[i, j] = new
                        accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def metropolis(
    states_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    energy_Q: NDArray[np.float64],
    temperature: float,
    sweeps: int,
) -> int:
    """Propose one of the other values at every site, ``sweeps`` times, in place; returns the moves taken."""
    chains, size, _ = states_RIJ.shape
    q, accepted = len(energy_Q), 0
    for r in range(chains):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    old = int(states_IJ[i, j])
                    new = old + 1 + int(uniform(state_V) * (q - 1))
                    new = new if new < q else new - q
                    cost = 0.0
                    for s in (states_IJ[above, j], states_IJ[below, j], states_IJ[i, left], states_IJ[i, right]):
                        cost += energy_Q[abs(int(s) - new)] - energy_Q[abs(int(s) - old)]
                    if cost <= 0.0 or uniform(state_V) < np.exp(-cost / temperature):
                        states_IJ[i, j] = new
                        accepted += 1
    return accepted


@njit(cache=True, nogil=True)
def heat_bath(
    states_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    energy_Q: NDArray[np.float64],
    temperature: float,
    sweeps: int,
) -> int:
    """Draw every site anew from its distribution given its neighbours, likewise; returns the sites changed."""
    chains, size, _ = states_RIJ.shape
    q, accepted = len(energy_Q), 0
    weight_Q, cumulative_Q = np.exp((energy_Q.min() - energy_Q) / temperature), np.empty(q)
    for r in range(chains):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    a, b = int(states_IJ[above, j]), int(states_IJ[below, j])
                    c, d = int(states_IJ[i, left]), int(states_IJ[i, right])
                    total = 0.0
                    for s in range(q):
                        total += (
                            weight_Q[abs(s - a)] * weight_Q[abs(s - b)] * weight_Q[abs(s - c)] * weight_Q[abs(s - d)]
                        )
                        cumulative_Q[s] = total
                    pick, new = uniform(state_V) * total, 0
                    while cumulative_Q[new] <= pick and new < q - 1:
                        new += 1
                    accepted += states_IJ[i, j] != new
                    states_IJ[i, j] = new
    return accepted


def blume_capel_weights(coupling: float, crystal_field: float, temperature: float) -> NDArray[np.float64]:
    """(old + 1, new + 1, sum of neighbours + 4) exp(-cost / T)."""
    old, new, n = np.meshgrid(np.arange(-1, 2), np.arange(-1, 2), np.arange(-4, 5), indexing="ij")
    cost = -coupling * (new - old) * n + crystal_field * (new**2 - old**2)
    weights: NDArray[np.float64] = np.exp(-cost / temperature)
    return weights


@njit(cache=True, nogil=True)
def blume_capel(
    states_RIJ: NDArray[np.int8],
    state_RV: NDArray[np.uint64],
    weight_SSF: NDArray[np.float64],
    sweeps: int,
) -> None:
    """Propose one of the two other values at every site; ``weight_SSF`` as ``blume_capel_weights`` makes it."""
    chains, size, _ = states_RIJ.shape
    for r in range(chains):
        states_IJ, state_V = states_RIJ[r], state_RV[r]
        for _ in range(sweeps):
            for i in range(size):
                above, below = (i if i > 0 else size) - 1, (i + 1 if i + 1 < size else 0)
                for j in range(size):
                    left, right = (j if j > 0 else size) - 1, (j + 1 if j + 1 < size else 0)
                    old = int(states_IJ[i, j])
                    new = (old + 2 + int(2 * uniform(state_V))) % 3 - 1
                    n = states_IJ[above, j] + states_IJ[below, j] + states_IJ[i, left] + states_IJ[i, right]
                    if uniform(state_V) < weight_SSF[old + 1, new + 1, n + 4]:
                        states_IJ[i, j] = new
