"""The Ising system as a whole: exact energies through certified samples, starts, and what it refuses."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from simulators import contract
from simulators.clusters import single
from simulators.reference import exact
from simulators.sampling.sampler import sample
from simulators.systems import ising
from simulators.systems.ising import Metropolis, Simulation, Spec

T_C = exact.ISING_CRITICAL_TEMPERATURE
TEMPERATURES = (2.0, T_C, 2.5, 3.0)
FALSE_ALARM = 1e-6


def energy_z(size: int, temperature: float, coupling: float, algorithm: str, truth: float) -> float:
    """Energy of certified samples against ``truth``, in standard errors."""
    result = sample(
        contract.load("ising"),
        Spec(size=size, coupling=coupling, temperature=temperature),
        chains=128,
        samples=16 * 128,
        algorithm=algorithm,
        thermalization="auto",
        spacing="auto",
        rng=np.random.default_rng([size, round(1000 * temperature)]),
    )
    assert result.certificate.certified, result.certificate.reasons
    energy = result.certificate.observables["energy"]
    return (energy.mean - truth) / energy.error


# |z| < 4 of Student's t with 127 degrees of freedom: false alarm 1.1e-4 in each of the 26 cases.
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("size", [4, 8, 16, 32, 64])
def test_metropolis_has_the_exact_energy(size: int, temperature: float) -> None:
    coupling = 1.0 if size in (4, 16, 64) else -1.0
    truth = exact.ising(size, size, temperature, coupling).energy
    assert abs(energy_z(size, temperature, coupling, "metropolis", truth)) < 4


@pytest.mark.parametrize("temperature", [2.0, T_C, 3.0])
@pytest.mark.parametrize("algorithm", ["swendsen-wang", "wolff"])
@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_clusters_have_the_exact_energy(algorithm: str, coupling: float, temperature: float) -> None:
    truth = exact.ising(16, 16, temperature, coupling).energy
    assert abs(energy_z(16, temperature, coupling, algorithm, truth)) < 4


def measured(spec: Spec, algorithm: str, sweeps: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Observables of 512 independent chains after ``sweeps`` sweeps."""
    simulation = Simulation(spec, np.arange(512) % 2 == 0, algorithm, rng)
    simulation.advance(sweeps)
    found = simulation.measure()
    return found | {f"abs_{name}": np.abs(found[name]) for name in ising.ORDER_PARAMETERS}


def largest_z(size: int, field: float, temperature: float, wrong: float = 1.0) -> float:
    """Over pairs of algorithms and observables; ``wrong`` is a factor of the temperature of the last algorithm."""
    found, rng = [], np.random.default_rng(17)
    for algorithm in ising.ALGORITHMS:
        factor = wrong if algorithm == ising.ALGORITHMS[-1] else 1.0
        spec = Spec(size=size, coupling=1.0, field=field, temperature=temperature * factor)
        sweeps = 40 * size if algorithm == "metropolis" else 40 if field == 0 else 100
        found.append(measured(spec, algorithm, sweeps, rng))
    z = [
        (one[x].mean() - other[x].mean()) / np.sqrt((one[x].var() + other[x].var()) / 512)
        for one, other in itertools.combinations(found, 2)
        for x in one
    ]
    return float(np.max(np.abs(z)))


# Of 3 pairs and 5 observables in each of the 10 cases, |z| > 4 has a chance of 6e-5: false alarm below 1e-2 of all.
@pytest.mark.parametrize("size", [16, pytest.param(32, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("field", "temperature"), [(0.0, 2.15), (0.0, T_C), (0.0, 2.5), (0.02, T_C), (0.02, 2.5)])
def test_algorithms_agree(size: int, field: float, temperature: float) -> None:
    assert largest_z(size, field, temperature) < 4


def test_an_algorithm_at_another_temperature_does_not_agree() -> None:
    """Negative control."""
    assert largest_z(16, 0.0, T_C, wrong=1.05) > 4


def test_energy_at_a_three_percent_wrong_temperature_is_noticed() -> None:
    """Negative control."""
    assert abs(energy_z(16, 2.5, 1.0, "metropolis", exact.ising(16, 16, 2.5 * 1.03).energy)) > 4


@pytest.mark.parametrize("coupling", [1.0, -1.0])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_hot_starts_end_in_either_phase_and_never_in_stripes(coupling: float, temperature: float) -> None:
    chains = 256
    spec = Spec(size=32, coupling=coupling, temperature=temperature)
    simulation = Simulation(spec, np.ones(chains, dtype=bool), "metropolis", np.random.default_rng(11))
    simulation.advance(50)
    order_R = simulation.measure()["magnetization" if coupling > 0 else "staggered_magnetization"]
    # m = 0.999 at T = 1; a stripe has |m| < 0.9 unless it is narrower than two rows, which does not last.
    assert (np.abs(order_R) > 0.9).all()
    assert binomtest(int((order_R > 0).sum()), chains).pvalue > FALSE_ALARM


def test_without_relaxation_stripes_survive() -> None:
    """Negative control: a quench by single spins leaves a good part of the chains in stripes."""
    chains = 256
    rng = np.random.default_rng(12)
    random_RIJ = rng.choice(np.array([-1, 1], dtype=np.int8), size=(chains, 32, 32))
    quenched = Metropolis(Spec(size=32, coupling=1.0, temperature=0.5), random_RIJ, rng)
    quenched.advance(2000)
    assert (np.abs(quenched.states().mean(axis=(1, 2))) < 0.9).mean() > 0.1


def test_ordered_starts_are_ordered_with_either_sign() -> None:
    for coupling, name in ((1.0, "magnetization"), (-1.0, "staggered_magnetization")):
        spec = Spec(size=8, coupling=coupling, temperature=3.0)
        start = Simulation(spec, np.zeros(256, dtype=bool), "metropolis", np.random.default_rng(13)).measure()
        assert set(start[name]) == {-1.0, 1.0}
        assert (start["energy"] == -2).all()
        assert binomtest(int((start[name] > 0).sum()), 256).pvalue > FALSE_ALARM


@pytest.mark.parametrize("hot", [True, False])
def test_a_weak_field_sets_how_often_each_phase_occurs(hot: bool) -> None:
    """Below T_c local moves never cross over, so the start must have the weights of the two phases."""
    spec = Spec(size=16, coupling=1.0, field=0.004, temperature=1.5)
    simulation = Simulation(spec, np.full(1024, hot), "metropolis", np.random.default_rng(14))
    simulation.advance(50)
    down = int((simulation.measure()["magnetization"] < 0).sum())
    # Two phases of magnetization m N = 0.9865 N (Yang; corrections by the field are below 1e-4).
    weight = 1 / (1 + np.exp(-2 * spec.field * 0.9865 * 256 / spec.temperature))
    assert binomtest(down, 1024, weight).pvalue > FALSE_ALARM
    assert binomtest(down, 1024, 0.5).pvalue < FALSE_ALARM


@pytest.mark.parametrize(
    ("coupling", "field", "ground"), [(1.0, -50.0, (52.0, 1.0, 0.0)), (-1.0, 1e12, (1e12 - 2, -1.0, 0.0))]
)
@pytest.mark.parametrize("temperature", [1e-3, 1e-300])
def test_coldest_lattices_and_strongest_fields(
    coupling: float, field: float, ground: tuple[float, float, float], temperature: float
) -> None:
    spec = Spec(size=4, coupling=coupling, field=field, temperature=temperature)
    for algorithm in ising.ALGORITHMS:
        if ising.refuse(spec, algorithm):
            continue
        simulation = Simulation(spec, np.arange(64) % 2 == 0, algorithm, np.random.default_rng(15))
        simulation.advance(5)
        energy, magnetization, staggered = (set(x) for x in simulation.measure().values())
        assert (energy, magnetization, staggered) == ({-ground[0]}, {ground[1]}, {ground[2]})


def test_runs_cut_into_kernel_calls_are_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits that keep a run interruptible don't change its numbers."""
    spec = Spec(size=6, coupling=1.0, field=0.2, temperature=2.5)
    for algorithm in ising.ALGORITHMS:
        whole, parts = (
            Simulation(spec, np.arange(70) % 2 == 0, algorithm, np.random.default_rng(16)) for _ in range(2)
        )
        whole.advance(50)
        with monkeypatch.context() as patched:
            patched.setattr(single, "SITES_PER_CALL", 1)
            patched.setattr(ising, "FLIPS_PER_CALL", 128 * 36 * 3)
            patched.setattr(ising, "SPINS_PER_CALL", 1)
            parts.advance(50)
        np.testing.assert_array_equal(whole.configurations(), parts.configurations())
        assert whole.acceptance == parts.acceptance


def test_a_spec_reports_all_its_problems() -> None:
    with pytest.raises(contract.SpecError) as caught:
        Spec(size=5, coupling=0.0, field=float("nan"), temperature=-1.0)
    assert caught.value.problems == (
        ("size", "must be even and at least 4, got 5"),
        ("coupling", "must not be zero, got 0.0"),
        ("field", "must be finite, got nan"),
        ("temperature", "must be positive, got -1.0"),
    )


@pytest.mark.parametrize("temperature", [float("inf"), float("nan"), 0.0])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(contract.SpecError, match="temperature: must be"):
        Spec(size=4, coupling=1.0, temperature=temperature)


def test_a_simulation_needs_chains() -> None:
    with pytest.raises(ValueError, match="one entry per chain"):
        Simulation(ising.EXAMPLE, np.ones(0, dtype=bool), "metropolis", np.random.default_rng(1))
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Simulation(ising.EXAMPLE, np.ones(1, dtype=bool), "metropolis", np.random.default_rng(1)).advance(-1)


@pytest.mark.parametrize("algorithm", ising.ALGORITHMS)
def test_exchanging_chains_swaps_their_spins_and_nothing_else(algorithm: str) -> None:
    cold, warm = (
        Simulation(
            Spec(size=6, coupling=1.0, temperature=temperature),
            np.arange(70) % 2 == 0,
            algorithm,
            np.random.default_rng(18),
        )
        for temperature in (2.0, 4.0)
    )
    for simulation in (cold, warm):
        simulation.advance(20)
    before, other = cold.configurations(), warm.configurations()
    chosen_R = np.random.default_rng(19).random(70) < 0.4
    cold.exchange(warm, chosen_R)
    keep = ~chosen_R[:, None, None, None]
    np.testing.assert_array_equal(cold.configurations(), np.where(keep, before, other))
    np.testing.assert_array_equal(warm.configurations(), np.where(keep, other, before))
    # What is measured and what a sweep reads are the same spins, those beyond the edge of a row included.
    s_RIJ = cold.configurations()[:, 0].astype(float)
    energy_R = -(s_RIJ * (np.roll(s_RIJ, 1, 1) + np.roll(s_RIJ, 1, 2))).mean((1, 2))
    np.testing.assert_allclose(cold.measure()["energy"], energy_R, atol=1e-15)
    cold.advance(1)
    again = Simulation(cold.spec, np.ones(70, dtype=bool), algorithm, np.random.default_rng(20))
    again.restore(cold.state())
    for simulation in (cold, again):
        simulation.advance(17)
    np.testing.assert_array_equal(cold.configurations(), again.configurations())
    assert cold.acceptance == again.acceptance


def test_clusters_are_refused_where_the_field_leaves_no_antiferromagnet() -> None:
    for algorithm in ("swendsen-wang", "wolff"):
        reason = ising.refuse(Spec(size=4, coupling=-1.0, field=-4.0, temperature=1.0), algorithm)
        assert reason is not None and "|h| < 4 |J|, got h = -4.0" in reason
        assert ising.refuse(Spec(size=4, coupling=-1.0, field=3.9, temperature=1.0), algorithm) is None
        assert ising.refuse(Spec(size=4, coupling=1.0, field=9.0, temperature=1.0), algorithm) is None
    assert ising.refuse(Spec(size=4, coupling=-1.0, field=9.0, temperature=1.0), "metropolis") is None


def test_costs_count_whole_words() -> None:
    """What is charged for 65 chains of Metropolis is two words; for clusters 65 lattices."""
    spec = Spec(size=8, coupling=1.0, temperature=3.0)
    for algorithm, lattices in (("metropolis", 128), ("swendsen-wang", 65), ("wolff", 65)):
        simulation = Simulation(spec, np.zeros(65, dtype=bool), algorithm, np.random.default_rng(1))
        assert simulation.cost == lattices * 64 * ising.Simulation.kinds[algorithm].nanoseconds
        assert ising.expected_tau(spec, algorithm) > 0.5
