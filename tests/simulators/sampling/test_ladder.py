"""Parallel tempering samples every point of its ladder, and only then."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from simulators import contract
from simulators.reference.exact import enumerate_ising
from simulators.sampling.ladder import Ladder
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler
from simulators.sampling.samples import PointSamples
from simulators.systems import ising

TEMPERATURES = (1.8, 2.4, 3.2)
LADDERS = 64 * 150
SWEEPS = 80
"""Of Metropolis and exchanges: over ten autocorrelation times of everything on 4 x 4 sites."""
FALSE_ALARM = 1e-7  # per point; three points and two couplings: a correct ladder fails here with chance 6e-7
COUPLINGS = (1.0, -1.0)


def specs(coupling: float = 1.0, size: int = 4) -> list[ising.Spec]:
    return [ising.Spec(size=size, coupling=coupling, field=0.2, temperature=t) for t in TEMPERATURES]


def ladder(points: list[ising.Spec], seed: int, ladders: int = LADDERS) -> Ladder:
    rng = np.random.default_rng(seed)
    # Hot starts at every point: what they become is the ladder's work alone.
    simulations = []
    for spec in points:
        simulation = ising.Simulation(spec, np.zeros(ladders, dtype=bool), "metropolis", rng)
        spins = rng.choice(np.array([-1, 1], dtype=np.int8), size=(ladders, spec.size, spec.size))
        simulation.updates = ising.Metropolis(spec, spins, rng)
        simulations.append(simulation)
    return Ladder(points, simulations, rng)


def p_value(spins_RIJ: NDArray[np.int8], spec: ising.Spec) -> float:
    """Chi-square over (bond sum, magnetization), rare classes taken together."""
    exact = enumerate_ising()
    expected_C = len(spins_RIJ) * exact.probabilities(spec.temperature, spec.coupling, spec.field)
    spins = spins_RIJ.astype(np.int64)
    bonds_R = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).sum((1, 2))
    keys, index_C = np.unique((exact.bonds_C + 32) * 100 + exact.magnetization_C, return_inverse=True)
    found = np.bincount(np.searchsorted(keys, (bonds_R + 32) * 100 + spins.sum((1, 2))), minlength=len(keys))
    expected = np.bincount(index_C, expected_C)
    rare = expected < 10
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found, expected))
    return float(chi2.sf(((found - expected) ** 2 / expected).sum(), len(found) - 1))


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_every_point_of_a_ladder_is_sampled(coupling: float) -> None:
    whole = ladder(specs(coupling), seed=1)
    whole.advance(SWEEPS)
    for spec, simulation in zip(specs(coupling), whole.simulations, strict=True):
        assert p_value(simulation.configurations()[:, 0], spec) > FALSE_ALARM


def test_exchanges_that_ignore_the_energies_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: every exchange is taken, as if the points were at one temperature."""
    monkeypatch.setattr(ising.Simulation, "reduced_energy", lambda self, spec: np.zeros(LADDERS))
    broken = ladder(specs(), seed=2)
    broken.advance(SWEEPS)
    values = [p_value(s.configurations()[:, 0], spec) for spec, s in zip(specs(), broken.simulations, strict=True)]
    assert max(values) < FALSE_ALARM


def test_exchanges_take_configurations_across() -> None:
    """From hot starts, ladders cross between the ends; the taken share of each pair is between the ends of (0, 1)."""
    whole = ladder(specs(), seed=3, ladders=64)
    whole.advance(200)
    report, *others = whole.report()
    assert report is not None and all(other == report for other in others)
    assert all(0.2 < rate < 0.9 for rate in report["exchange_rates"])
    assert len(report["exchange_rates"]) == len(TEMPERATURES) - 1
    assert report["round_trips"] > 64


def test_round_trips_are_counted_as_they_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    """All exchanges taken: a configuration moves one point a sweep, so it goes around three points in six sweeps."""
    monkeypatch.setattr(ising.Simulation, "reduced_energy", lambda self, spec: np.zeros(64))
    whole = ladder(specs(), seed=4, ladders=64)
    counts = []
    for _ in range(12):
        whole.advance(6)
        counts.append(whole.report()[0]["round_trips"])
    assert np.diff(counts[2:]).tolist() == [3 * 64] * 9


def test_a_ladder_needs_two_points() -> None:
    with pytest.raises(ValueError, match="at least two points, got 1"):
        ladder(specs()[:1], seed=1, ladders=64)


def test_a_ladder_cut_in_two_and_restored_is_the_same() -> None:
    one, other = ladder(specs(), seed=5, ladders=64), ladder(specs(), seed=6, ladders=64)
    one.advance(11)
    state = one.state()
    one.advance(20)
    other.restore(state)
    for part in (7, 13):
        other.advance(part)
    for first, second in itertools.zip_longest(one.simulations, other.simulations):
        np.testing.assert_array_equal(first.configurations(), second.configurations())
    assert one.report() == other.report()


def tempered(seed: int) -> list[PointSamples]:
    order = Order(chains=16, samples=64, algorithm="tempering", thermalization="auto", spacing="auto")
    sampler = Sampler(contract.load("ising"), specs(), order, np.random.default_rng(seed))
    while not sampler.done:
        sampler.step()
    return sampler.result()


def test_samples_of_a_ladder_are_certified_point_by_point() -> None:
    for spec, samples in zip(specs(), tempered(1), strict=True):
        certificate = samples.certificate
        assert certificate.certified, certificate.reasons
        assert certificate.algorithm == "tempering"
        assert certificate.tempering is not None and len(certificate.tempering["exchange_rates"]) == 2
        energy = certificate.observables["energy"]
        truth = enumerate_ising().observables(spec.temperature, spec.coupling, spec.field).energy
        # Student's t with 15 degrees of freedom beyond 9: 2e-7.
        assert abs(energy.mean - truth) < 9 * energy.error
        wrong = enumerate_ising().observables(spec.temperature * 1.3, spec.coupling, spec.field).energy
        assert abs(energy.mean - wrong) > 9 * energy.error, "negative control"
