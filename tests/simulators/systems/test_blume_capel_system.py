"""The Blume-Capel system as a whole: limits, agreement of its algorithms, starts, and what it refuses."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from simulators import contract
from simulators.discrete import local, spin_one
from simulators.reference import exact
from simulators.rng.lanes import streams
from simulators.systems import blume_capel
from simulators.systems.blume_capel import ALGORITHMS, Simulation, Spec

FALSE_ALARM = 1e-6  # per test; the seeds are fixed
SWEEPS = {"metropolis": 25, "heat-bath": 20, "swendsen-wang": 1, "wolff": 1}
"""How much longer than clusters the local algorithms run on 16 x 16 sites; four times that on 32 x 32."""


def run(spec: Spec, algorithm: str, chains: int, sweeps: int, seed: int | list[int]) -> dict[str, NDArray[np.float64]]:
    simulation = Simulation(spec, np.arange(chains) % 2 == 0, algorithm, np.random.default_rng(seed))
    simulation.advance(sweeps)
    found = simulation.measure()
    return found | {f"abs_{name}": np.abs(x_R) for name, x_R in found.items() if "magnetization" in name}


def z(one_R: NDArray[np.float64], other_R: NDArray[np.float64]) -> float:
    """Of the difference of two means."""
    variance = one_R.var() / len(one_R) + other_R.var() / len(other_R)
    return float((one_R.mean() - other_R.mean()) / np.sqrt(variance)) if variance > 0 else 0.0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_without_vacancies_it_is_the_ising_model(algorithm: str, coupling: float) -> None:
    """D = -60: one site in 10^10 is vacant.  Metropolis needs longer, as half its proposals are vacancies."""
    spec = Spec(size=8, coupling=coupling, crystal_field=-60.0, temperature=2.5)
    energy_R = run(spec, algorithm, 2048, 30 * SWEEPS[algorithm], 1)["energy"] + 60
    error = energy_R.std() / np.sqrt(len(energy_R))
    assert abs(energy_R.mean() - exact.ising(8, 8, 2.5).energy) < norm.isf(FALSE_ALARM / 2) * error
    wrong = exact.ising(8, 8, 2.5 * 1.03).energy
    assert abs(energy_R.mean() - wrong) > norm.isf(FALSE_ALARM / 2) * error, "negative control"


def test_a_strong_crystal_field_empties_the_lattice() -> None:
    found = run(Spec(size=5, coupling=1.0, crystal_field=90.0, temperature=1.0), "heat-bath", 70, 5, 2)
    assert (found["quadrupole"] == 0).all() and (found["energy"] == 0).all()


def largest_z(size: int, coupling: float, temperature: float, crystal_field: float, wrong: float = 1.0) -> float:
    """Over pairs of algorithms and observables; ``wrong`` is a factor of the temperature of the last algorithm."""
    found: list[dict[str, NDArray[np.float64]]] = []
    for algorithm in ALGORITHMS:
        factor = wrong if algorithm == ALGORITHMS[-1] else 1.0
        spec = Spec(size=size, coupling=coupling, crystal_field=crystal_field, temperature=temperature * factor)
        sweeps = 40 * SWEEPS[algorithm] * (4 if size == 32 and SWEEPS[algorithm] > 1 else 1)
        found.append(run(spec, algorithm, 512, sweeps, [3, len(found)]))
    return max(abs(z(one[x], other[x])) for one, other in itertools.combinations(found, 2) for x in one)


# Of 6 pairs and 7 observables in each of the 10 cases, |z| > 4 has a chance of 6e-5: false alarm below 3e-2 of all.
@pytest.mark.parametrize(("coupling", "crystal_field"), [(1.0, 0.0), (-1.0, 1.0)])
@pytest.mark.parametrize("relative", [0.95, 1.0, 1.1])
def test_algorithms_agree_on_16_sites(coupling: float, crystal_field: float, relative: float) -> None:
    critical = {0.0: 1.694, 1.0: 1.399}[crystal_field]
    assert largest_z(16, coupling, critical * relative, crystal_field) < 4


@pytest.mark.slow
@pytest.mark.parametrize(("coupling", "crystal_field"), [(1.0, 0.0), (-1.0, 1.0)])
@pytest.mark.parametrize("relative", [1.0, 1.05])
def test_algorithms_agree_on_32_sites(coupling: float, crystal_field: float, relative: float) -> None:
    critical = {0.0: 1.694, 1.0: 1.399}[crystal_field]
    assert largest_z(32, coupling, critical * relative, crystal_field) < 4


def test_an_algorithm_at_another_temperature_does_not_agree() -> None:
    """Negative control."""
    assert largest_z(16, 1.0, 1.694, 0.0, wrong=1.03) > 4


@pytest.mark.parametrize("coupling", [1.0, -1.0])
@pytest.mark.parametrize("temperature", [0.8, 0.4])
def test_hot_starts_end_in_either_phase_and_never_in_stripes(coupling: float, temperature: float) -> None:
    chains = 256
    spec = Spec(size=32, coupling=coupling, temperature=temperature)
    simulation = Simulation(spec, np.ones(chains, dtype=bool), "metropolis", np.random.default_rng(11))
    simulation.advance(50)
    order_R = simulation.measure()["magnetization" if coupling > 0 else "staggered_magnetization"]
    assert (np.abs(order_R) > 0.9).all()
    assert binomtest(int((order_R > 0).sum()), chains).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("crystal_field", "expected"), [(1.5, {-1.0, 1.0}), (2.5, {0.0})])
def test_other_starts_are_ground_states(crystal_field: float, expected: set[float]) -> None:
    for coupling, name in ((1.0, "magnetization"), (-1.0, "staggered_magnetization")):
        spec = Spec(size=8, coupling=coupling, crystal_field=crystal_field, temperature=1.0)
        start = Simulation(spec, np.zeros(256, dtype=bool), "metropolis", np.random.default_rng(13)).measure()
        assert set(start[name]) == expected
        if len(expected) == 2:
            assert binomtest(int((start[name] > 0).sum()), 256).pvalue > FALSE_ALARM


@pytest.mark.parametrize("temperature", [1e-3, 1e-300])
def test_coldest_lattices(temperature: float) -> None:
    for algorithm in ALGORITHMS:
        spec = Spec(size=4, coupling=1.0, crystal_field=-3.0, temperature=temperature)
        assert set(run(spec, algorithm, 70, 30, 15)["energy"]) == {-5.0}


def test_thresholds_are_exact_beyond_sixteen_bits() -> None:
    """A value of probability 2^-17 shares its first 16 bits with one of probability 0: further bits must decide."""
    rng = np.random.default_rng(4)
    thresholds_T2 = np.tile(np.array([2**47, 2**64 - 2**47], dtype=np.uint64), (27, 1))
    states_GX, stream_GS = np.zeros((1, 64 * 64 * 64), dtype=np.int8), streams(rng, 1)
    counts = np.zeros(3, dtype=np.int64)
    for _ in range(200):
        spin_one.sweep_lanes(states_GX, stream_GS, thresholds_T2, spin_one.packed(thresholds_T2), 64, 1)
        counts += np.bincount(states_GX[0] + 1, minlength=3)
    for rare in (int(counts[0]), int(counts[2])):
        assert binomtest(rare, int(counts.sum()), 2**-17).pvalue > FALSE_ALARM
        assert binomtest(rare, int(counts.sum()), 2**-16).pvalue < FALSE_ALARM


@pytest.mark.parametrize("rule", [spin_one.heat_bath, spin_one.metropolis])
def test_tables_keep_detailed_balance(rule: Callable[[float, float, float], NDArray[np.uint64]]) -> None:
    """w(s) p(s -> t) = w(t) p(t -> s) for every sum of neighbours, to the 2^-64 of the table."""
    J, D, T = -0.7, 0.4, 0.9
    low, high = (rule(J, D, T).reshape(3, 9, 2) / 2.0**64).transpose(2, 0, 1)
    p_3 = np.stack([low, high - low, 1 - high])
    for k, n in enumerate(spin_one.SUMS):
        weight_S = np.exp([(J * s * n - D * s * s) / T for s in spin_one.VALUES])
        flow_SS = weight_S[:, None] * p_3[:, :, k].T
        np.testing.assert_allclose(flow_SS, flow_SS.T, rtol=1e-12, atol=1e-14)


def test_runs_cut_into_kernel_calls_are_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits that keep a run interruptible don't change its numbers."""
    for algorithm in ALGORITHMS:
        whole, parts = (
            Simulation(blume_capel.EXAMPLE, np.arange(70) % 2 == 0, algorithm, np.random.default_rng(16))
            for _ in range(2)
        )
        whole.advance(50)
        with monkeypatch.context() as patched:
            patched.setattr(local, "UPDATES_PER_CALL", 64 * 36 * 3)
            patched.setattr(blume_capel, "CLUSTER_SITES_PER_CALL", 36 * 3)
            parts.advance(50)
        np.testing.assert_array_equal(whole.configurations(), parts.configurations())
        assert whole.acceptance == parts.acceptance


def test_columns_follow_the_lattice() -> None:
    system = contract.load("blume-capel")
    even, odd = (system.names(Spec(size=size, coupling=1.0, temperature=1.0)) for size in (4, 5))
    assert even.order_parameters == ("magnetization", "staggered_magnetization")
    assert odd.order_parameters == ("magnetization",)
    assert even.judged == ("energy", "abs_magnetization", "abs_staggered_magnetization", "quadrupole")
    assert odd.columns == ("energy", "magnetization", "quadrupole")


def test_a_spec_reports_all_its_problems() -> None:
    with pytest.raises(contract.SpecError) as caught:
        Spec(size=5, coupling=-1.0, crystal_field=float("nan"), temperature=0.0)
    assert caught.value.problems == (
        ("size", "must be even with a negative coupling, since two sublattices do not fit into an odd lattice, got 5"),
        ("crystal_field", "must be finite, got nan"),
        ("temperature", "must be positive, got 0.0"),
    )


@pytest.mark.parametrize("temperature", [float("inf"), float("nan"), 0.0])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(contract.SpecError, match="temperature: must be"):
        Spec(size=4, coupling=1.0, temperature=temperature)
