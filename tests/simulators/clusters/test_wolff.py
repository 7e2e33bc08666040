"""Single clusters: how many make a sweep, tables of reflections, and the distribution of clock spins."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from simulators.clusters import single, wolff
from simulators.clusters import swendsen_wang as clusters
from simulators.rng.sfc64 import generators
from simulators.systems import ising

FALSE_ALARM = 1e-7  # per comparison; the seeds are fixed
CHAINS = 64 * 800
STATES = 4
"""Of a clock spin."""


def clock(temperature: float, strength: float = 0.0) -> wolff.Reflections:
    """Four-state clock spins with energies -cos, in a field of ``strength`` along the first direction.

    A line through two opposite directions or between them maps s to k - s; all four keep the bonds.
    """
    s_S = np.arange(STATES)
    angle_SS = 2 * np.pi * (s_S[:, None] - s_S) / STATES
    reflected_KS = ((s_S[:, None] - s_S) % STATES).astype(np.int8)
    site_S = -strength * np.cos(2 * np.pi * s_S / STATES) if strength else None
    return wolff.reflections(-np.cos(angle_SS), reflected_KS, temperature, 0, site_S)


def energies(strength: float) -> NDArray[np.float64]:
    """Of the 4^4 states of 2 x 2 sites, whose bonds are there twice."""
    angle = 2 * np.pi / STATES * np.array(list(itertools.product(range(STATES), repeat=4))).reshape(-1, 2, 2)
    bonds = sum(np.cos(angle - np.roll(angle, 1, axis)).sum((1, 2)) for axis in (1, 2))
    return np.round(-bonds - strength * np.cos(angle).sum((1, 2)), 9)


def chi_square(states_RN: NDArray[np.int8], temperature: float, strength: float, by_energy: bool = False) -> float:
    """P-value over all states, or over energies: blind for much, but quick to see a wrong temperature."""
    energy = energies(strength)
    weight = np.exp(-energy / temperature)
    expected = len(states_RN) * weight / weight.sum()
    found = np.bincount(states_RN @ (STATES ** np.arange(4)[::-1]), minlength=STATES**4)
    if by_energy:
        level = np.unique(energy, return_inverse=True)[1]
        found, expected = (np.bincount(level, x) for x in (found, expected))
    rare = expected < 10
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found, expected))
    keep = expected > 0
    return float(chi2.sf(((found - expected)[keep] ** 2 / expected[keep]).sum(), keep.sum() - 1))


@pytest.mark.parametrize("temperature", [1.2, 1.6])
@pytest.mark.parametrize("strength", [0.0, 0.4])
def test_clock_spins_follow_the_boltzmann_distribution(temperature: float, strength: float) -> None:
    rng = np.random.default_rng(1)
    states_RN = rng.integers(0, STATES, (CHAINS, 4)).astype(np.int8)
    visited, turned = wolff.table_clusters(states_RN, 2, generators(rng, CHAINS), *clock(temperature, strength), 120)
    assert chi_square(states_RN, temperature, strength) > FALSE_ALARM
    assert chi_square(states_RN, temperature, strength, by_energy=True) > FALSE_ALARM
    # Negative control; a miss has a chance below 1e-4.
    assert chi_square(states_RN, temperature * 1.03, strength, by_energy=True) < FALSE_ALARM
    # A line through the first site's own direction leaves it, and hence the lattice, as it is.
    assert 0 < turned < visited


def test_a_field_that_clusters_ignore_is_noticed() -> None:
    """Negative control: reflections without the energies of single sites."""
    rng = np.random.default_rng(2)
    states_RN = rng.integers(0, STATES, (CHAINS, 4)).astype(np.int8)
    tables = clock(1.6, 0.1)._replace(gains_KS=None)
    wolff.table_clusters(states_RN, 2, generators(rng, CHAINS), *tables, 120)
    assert chi_square(states_RN, 1.6, 0.0) > FALSE_ALARM
    assert chi_square(states_RN, 1.6, 0.1) < FALSE_ALARM


def test_thresholds_are_exact_beyond_sixteen_bits() -> None:
    """Bonds of probability 2^-17 share their first 16 bits with 0: further bits must decide."""
    rng = np.random.default_rng(3)
    tables = wolff.Reflections(
        np.array([[[2**47, 0], [0, 2**47]]], dtype=np.uint64), np.array([[1, 0]], dtype=np.int8), None, 0
    )
    grown = joined = 0
    for _ in range(40):
        states_RN = np.zeros((1000, 64 * 64), dtype=np.int8)
        visited, turned = wolff.table_clusters(states_RN, 64, generators(rng, 1000), *tables, 200)
        assert visited == turned
        grown += 200_000
        joined += visited - 200_000
    # Hardly ever two of a cluster's four neighbours; sites turned before lower the count by less than their share.
    spread = np.sqrt(4 * grown * 2**-17)
    assert abs(joined - 4 * grown * 2**-17 * (1 - 200 / 4096)) < 5.4 * spread + 0.02 * 4 * grown * 2**-17
    closed_J, state_V = np.empty(2**20, dtype=np.uint8), generators(rng, 1)[0]
    ones_J, found = np.ones(2**20, dtype=np.int8), 0
    for _ in range(64):
        chunk_J = rng.integers(0, 2**16, 2**20).astype(np.uint16)
        clusters.close_bonds(ones_J, ones_J, chunk_J, 1, np.uint64(2**47), state_V, closed_J)
        found += int(closed_J.sum())
    assert binomtest(found, 2**26, 2**-17).pvalue > FALSE_ALARM
    assert binomtest(found, 2**26, 2**-16).pvalue < FALSE_ALARM


def test_a_sweep_visits_about_every_site_once() -> None:
    for temperature in (1.0, 2.27, 5.0):
        spec = ising.Spec(size=16, coupling=1.0, temperature=temperature)
        simulation = ising.Simulation(spec, np.arange(64) % 2 == 0, "wolff", np.random.default_rng(4))
        simulation.advance(200)
        # Clusters vary by about their own size, and their number is counted on eight sweeps: within a fifth.
        assert 0.8 < simulation.acceptance < 1.25
        assert simulation.state()["clusters"].shape == (1,)


def test_the_number_of_clusters_is_n_over_their_mean_size() -> None:
    sizes = iter([5.0] * 40 + [10.0] * 1000)

    def grow(count: int) -> float:
        return sum(next(sizes) for _ in range(count))

    assert single.clusters_per_sweep(grow, 25) == 2, "the first eight sweeps are a warm-up"
    assert single.clusters_per_sweep(lambda count: 100.0 * count, 100) == 1
    assert single.clusters_per_sweep(lambda count: 1.0 * count, 100) == 100


def test_chains_depend_on_their_own_generators_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the groups that keep a run interruptible don't change its numbers."""
    spec = ising.Spec(size=8, coupling=-1.0, field=0.2, temperature=2.5)
    whole, parts = (ising.Simulation(spec, np.arange(20) % 2 == 0, "wolff", np.random.default_rng(5)) for _ in range(2))
    whole.advance(30)
    with monkeypatch.context() as patched:
        patched.setattr(single, "SITES_PER_CALL", 64 * 3)
        parts.advance(30)
    np.testing.assert_array_equal(whole.configurations(), parts.configurations())
    assert whole.acceptance == parts.acceptance


@pytest.mark.parametrize(
    ("energy", "reflected", "message"),
    [
        ([[0.0, 1.0], [1.0, 0.0]], [[0, 0]], "twice must give the value again"),
        ([[0.0, 1.0], [1.0, 5.0]], [[1, 0]], "must leave the energy of a bond as it is"),
    ],
)
def test_what_is_no_reflection_is_refused(energy: list[list[float]], reflected: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wolff.reflections(np.array(energy), np.array(reflected, dtype=np.int8), 1.0, 0)


def test_clusters_of_swendsen_and_wang_are_what_a_search_finds() -> None:
    """``find_clusters`` on random spins, 0 among them: labels are equal where a search along closed bonds connects."""
    rng = np.random.default_rng(6)
    for size, satisfied in ((2, 1), (5, 1), (8, -1), (16, 1)):
        spins_N = rng.integers(-1, 2, size**2).astype(np.int8)
        spins_N[rng.random(size**2) < 0.3] = 1
        parent_N = np.empty(size**2, dtype=np.int32)
        # A probability of 1 closes every bond that is satisfied.
        certain = np.uint64(2**64 - 1)
        clusters.find_clusters(
            spins_N, generators(rng, 1)[0], certain, satisfied, size, parent_N, clusters.new_scratch(size)
        )
        for n in range(size**2):
            parent_N[n] = parent_N[parent_N[n]]
        label_N = np.arange(size**2)
        for _ in range(size**2):
            for i, j in itertools.product(range(size), range(size)):
                for other in (i * size + (j + 1) % size, (i + 1) % size * size + j):
                    if spins_N[i * size + j] * spins_N[other] == satisfied:
                        label_N[[i * size + j, other]] = min(label_N[i * size + j], label_N[other])
        np.testing.assert_array_equal(parent_N, label_N)
