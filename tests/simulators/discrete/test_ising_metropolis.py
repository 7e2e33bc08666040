"""The multispin Metropolis kernel: acceptance against the definition, and replicas that stay apart."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from simulators.discrete import checkerboard, multispin
from simulators.discrete import ising_metropolis as metropolis
from simulators.reference.exact import ising
from simulators.systems.ising import Metropolis, Simulation, Spec

FALSE_ALARM = 1e-6  # per test; the seeds are fixed
POINTS = [(1.0, 0.0, 2.5), (-1.3, 0.0, 3.0), (1.0, 0.7, 2.0), (-1.0, -2.5, 3.0), (0.5, 6.0, 4.0), (1.0, 2.0, 2.0)]
"""J, h, T; in the last but one the field beats all neighbours, in the last it cancels two of them."""


def energy(spins_IJ: NDArray[np.int8], coupling: float, field: float) -> float:
    """H of one configuration, bond by bond."""
    size = len(spins_IJ)
    total = 0.0
    for i, j in itertools.product(range(size), range(size)):
        neighbours = int(spins_IJ[(i + 1) % size, j]) + int(spins_IJ[i, (j + 1) % size])
        total += -coupling * int(spins_IJ[i, j]) * neighbours + field * int(spins_IJ[i, j])
    return total


@pytest.mark.parametrize(("coupling", "field", "temperature"), POINTS)
@pytest.mark.parametrize("colour", [0, 1])
def test_every_site_is_turned_with_the_metropolis_probability(
    coupling: float, field: float, temperature: float, colour: int
) -> None:
    """One colour of a sweep from a fixed state, many times: its sites decide independently."""
    chains = 64 * 100
    rng = np.random.default_rng(3)
    rule = metropolis.acceptance(coupling, field, temperature)
    z = []
    for number in range(20):
        # Up in all proportions, so that every number of neighbours up occurs.
        start_IJ = np.where(rng.random((6, 6)) < (number + 0.5) / 20, 1, -1).astype(np.int8)
        words = list(checkerboard.pack(np.repeat(start_IJ[None], chains, axis=0)))
        streams = multispin.streams(rng, len(words[0]))
        for w in range(len(streams)):
            metropolis.half_sweep(words[colour][w], words[1 - colour][w], colour, streams[w], *rule)
        turned_IJ = (checkerboard.unpack(*words, chains) != start_IJ).mean(axis=0)
        for i, j in itertools.product(range(6), range(6)):
            if (i + j) % 2 != colour:
                assert turned_IJ[i, j] == 0
                continue
            moved_IJ = start_IJ.copy()
            moved_IJ[i, j] *= -1
            cost = energy(moved_IJ, coupling, field) - energy(start_IJ, coupling, field)
            if cost < 1e-9:
                assert turned_IJ[i, j] == 1
            else:
                p = np.exp(-cost / temperature)
                z.append((turned_IJ[i, j] - p) / np.sqrt(p * (1 - p) / chains))
    assert chi2.sf(np.sum(np.square(z)), len(z)) > FALSE_ALARM
    assert chi2.cdf(np.sum(np.square(z)), len(z)) > FALSE_ALARM


def replica_ratio(energy_WR: NDArray[np.float64]) -> float:
    """64 Var(mean over 64 replicas) / Var(one replica): 1 if they are independent, 64 if they are the same."""
    return 64 * energy_WR.mean(axis=1).var(ddof=1) / energy_WR.var(ddof=1)


@pytest.mark.parametrize("temperature", [2.0, 2.5, 4.0])
def test_replicas_of_a_word_are_independent(temperature: float) -> None:
    words = 300
    rng = np.random.default_rng(4)
    random_RIJ = rng.choice(np.array([-1, 1], dtype=np.int8), size=(64 * words, 8, 8))
    updates = Metropolis(Spec(size=8, coupling=1.0, temperature=temperature), random_RIJ, rng)
    updates.advance(300)
    ratio = replica_ratio(1.0 * updates.counts()[2].reshape(words, 64))
    low, high = (chi2.ppf(p, words - 1) / (words - 1) for p in (FALSE_ALARM / 2, 1 - FALSE_ALARM / 2))
    assert low < ratio < high  # 1 - 0.35 to 1 + 0.45


def test_replicas_that_share_random_numbers_are_not() -> None:
    """Negative control: the common trick of one random number for all replicas, at T = 2.5."""
    words, size, temperature = 50, 8, 2.5
    rng = np.random.default_rng(5)
    spins = rng.choice(np.array([-1.0, 1.0]), size=(words, 64, size, size))
    parity = np.indices((size, size)).sum(axis=0) % 2
    for _ in range(300):
        for colour in (0, 1):
            sums = sum(np.roll(spins, shift, axis) for shift in (1, -1) for axis in (2, 3))
            random = rng.random((words, 1, size, size))
            spins = np.where((parity == colour) & (random < np.exp(-2 * spins * sums / temperature)), -spins, spins)
    energies = -(spins * (np.roll(spins, 1, 2) + np.roll(spins, 1, 3))).mean(axis=(2, 3))
    assert replica_ratio(energies) > chi2.ppf(1 - FALSE_ALARM, words - 1) / (words - 1)


def test_acceptance_is_the_share_of_moves_taken() -> None:
    """At T = infinity (here 10^9) every move is taken; at equilibrium, against moves counted by hand."""
    hot = np.ones(70, dtype=bool)
    free = Simulation(Spec(size=6, coupling=1.0, temperature=1e9), hot, "metropolis", np.random.default_rng(6))
    assert free.acceptance == 0
    free.advance(33)
    # A move is refused with probability at most 8e-9, so none of 5040 should be, but with chance 4e-5.
    assert free.acceptance == 1
    spec = Spec(size=16, coupling=-1.0, field=0.5, temperature=2.5)
    simulation = Simulation(spec, np.ones(200, dtype=bool), "metropolis", np.random.default_rng(7))
    shares = []
    for _ in range(100 * metropolis.ACCEPTANCE_PERIOD):
        before = simulation.configurations()
        simulation.advance(1)
        shares.append((before != simulation.configurations()).mean())
    assert simulation.acceptance == pytest.approx(
        np.mean(shares[metropolis.ACCEPTANCE_PERIOD - 1 :: metropolis.ACCEPTANCE_PERIOD]), abs=1e-12
    )


def test_partial_words_have_the_exact_energy() -> None:
    """70 chains use 6 lanes of the second word; the lanes beyond run, and are dropped."""
    spec = Spec(size=8, coupling=1.0, temperature=2.5)
    simulation = Simulation(spec, np.ones(70, dtype=bool), "metropolis", np.random.default_rng(8))
    means = []
    for _ in range(200):
        simulation.advance(20)
        means.append(simulation.measure()["energy"])
    chain_means = np.array(means).mean(axis=0)
    assert chain_means.shape == (70,)
    z = (chain_means.mean() - ising(8, 8, 2.5).energy) / (chain_means.std(ddof=1) / np.sqrt(70))
    assert abs(z) < norm.isf(FALSE_ALARM / 2)
