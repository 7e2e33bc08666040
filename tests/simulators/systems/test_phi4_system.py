"""The phi^4 system as a whole: kernels, starts, sums, algorithms against each other, and what it refuses."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.contract import SpecError
from simulators.reference import plain_continuous
from simulators.rng.sfc64 import generators
from simulators.systems import phi4
from simulators.systems.phi4 import ALGORITHMS, Simulation, Spec


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("algorithm", ["metropolis", "wolff"])
def test_observables_against_their_definitions(size: int, algorithm: str) -> None:
    spec = Spec(size=size, hopping=0.25, quartic=0.3)
    simulation = Simulation(spec, np.arange(40) % 3 > 0, algorithm, rng(1))
    simulation.advance(3)
    measured, phi = simulation.measure(), simulation.updates.states()
    hopping_term = phi * (np.roll(phi, -1, 1) + np.roll(phi, -1, 2))
    staggered = phi * (-1.0) ** np.indices((size, size)).sum(axis=0)
    expected = {
        "energy": -0.5 * hopping_term + 0.4 * phi**2 + 0.3 * phi**4,
        "magnetization": phi,
        "square": phi**2,
        "hopping_term": hopping_term,
    } | ({"staggered_magnetization": staggered} if size % 2 == 0 else {})
    assert tuple(measured) == ("energy", *phi4.ORDER_PARAMETERS(spec), *phi4.MEASURED)
    assert set(measured) == set(expected)
    for name, x_RIJ in expected.items():
        np.testing.assert_allclose(measured[name], x_RIJ.mean((1, 2)), atol=1e-13, err_msg=name)
    other = Spec(size=size, hopping=0.1, quartic=0.5)
    action = (-0.2 * hopping_term + 0.5 * phi**4).sum((1, 2))
    np.testing.assert_allclose(simulation.reduced_energy(other), action, atol=1e-11)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exchange_swaps_the_chosen_chains(algorithm: str) -> None:
    one, other = (
        Simulation(Spec(size=4, hopping=k, quartic=0.3), np.ones(40, bool), algorithm, rng(2)) for k in (0.2, 0.3)
    )
    before, others = one.configurations(), other.configurations()
    assert before.dtype == np.float32
    assert before.shape == (40, 1, 4, 4)
    chosen = np.arange(40) % 3 == 0
    one.exchange(other, chosen)
    np.testing.assert_array_equal(one.configurations(), np.where(chosen[:, None, None, None], others, before))
    np.testing.assert_array_equal(other.configurations(), np.where(chosen[:, None, None, None], before, others))


@pytest.mark.parametrize("hopping", [0.6, -0.6])
def test_ordered_phases_keep_no_stripes_and_have_either_sign(hopping: float) -> None:
    spec = Spec(size=32, hopping=hopping, quartic=0.5)
    name = "magnetization" if hopping > 0 else "staggered_magnetization"
    for hot in (True, False):
        simulation = Simulation(spec, np.full(64, hot), "metropolis", rng(4))
        simulation.advance(20)
        m = simulation.measure()[name]
        # The constant field of least S has |phi| = 1.55; a stripe would bring the mean down by a good part of it.
        assert np.abs(m).min() > 1.3
        assert 10 < (m > 0).sum() < 54  # 32 expected; outside: 3e-8


@pytest.mark.parametrize(
    ("hopping", "quartic"), [(0.0, 0.0), (0.24, 0.0), *itertools.product((0.0, 0.2, 0.4), (0.1, 1.0, 100.0, 1e5))]
)
def test_about_half_of_the_proposals_near_phi_are_taken(hopping: float, quartic: float) -> None:
    spec = Spec(size=8, hopping=hopping, quartic=quartic)
    simulation = Simulation(spec, np.ones(32, bool), "metropolis", rng(1))
    simulation.advance(200)
    # Those near -phi are taken as often at most.
    assert 0.12 < simulation.acceptance < 0.75


@pytest.mark.parametrize("fast", [True, False], ids=["lanes", "plain"])
def test_a_sharp_well_is_the_ising_model(fast: bool) -> None:
    """lambda -> infinity at J / T = 2 kappa = 0.3 on L = 2: <s s'> of a ring of four at 0.6, t + t^3 over 1 + t^4."""
    spec, chains, t = Spec(size=2, hopping=0.15, quartic=1e6), 6400, math.tanh(0.6)
    start = Simulation(spec, np.ones(chains, bool), "metropolis", rng(6))
    if fast:
        start.advance(50)
        phi = start.updates.states()
    else:
        phi, rule = start.updates.states(), phi4.rule(spec)
        plain_continuous.phi4_metropolis(phi, generators(rng(7), chains), spec.hopping, spec.quartic, rule.width, 50)
    product = np.sign(phi[:, 0, 0] * phi[:, 0, 1])
    z = (product.mean() - (t + t**3) / (1 + t**4)) / (product.std() / math.sqrt(chains))
    assert abs(z) < 5  # 6e-7; |phi| differs from 1 by 1e-6


OBSERVED = ("energy", "square", "hopping_term")
RUNS = {"metropolis": 20, "swendsen-wang": 3, "wolff": 3}
"""Sweeps between measurements."""


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize(("hopping", "quartic"), [(0.28, 0.1), (0.3005, 0.09), (0.32, 0.1), (-0.25, 1.0)])
def test_algorithms_agree(size: int, hopping: float, quartic: float) -> None:
    """All pairs, |z| < 4 from the spread of 128 chains: 6e-5 per comparison, 15 of them at each point."""
    means = {name: chain_means(Spec(size=size, hopping=hopping, quartic=quartic), name) for name in ALGORITHMS}
    for one, other in itertools.combinations(ALGORITHMS, 2):
        for name in means[one]:
            assert abs(difference(means[one][name], means[other][name])) < 4, (one, other, name)
    wrong = chain_means(Spec(size=size, hopping=hopping * 1.03, quartic=quartic), "swendsen-wang")
    assert abs(difference(means["wolff"]["hopping_term"], wrong["hopping_term"])) > 4, "negative control"


def chain_means(spec: Spec, algorithm: str) -> dict[str, NDArray[np.float64]]:
    """Mean of each chain over 60 measurements, after as many that are not used."""
    simulation = Simulation(spec, np.arange(128) % 2 == 0, algorithm, rng(spec.size))
    simulation.advance(60 * RUNS[algorithm])
    series: dict[str, list[NDArray[np.float64]]] = {}
    for _ in range(60):
        simulation.advance(RUNS[algorithm])
        now = simulation.measure()
        values = {name: now[name] for name in OBSERVED}
        values |= {f"abs_{name}": np.abs(now[name]) for name in phi4.ORDER_PARAMETERS(spec)}
        for name, x_R in values.items():
            series.setdefault(name, []).append(x_R)
    return {name: np.mean(x, axis=0) for name, x in series.items()}


def difference(one_R: NDArray[np.float64], other_R: NDArray[np.float64]) -> float:
    """In standard errors."""
    return float((one_R.mean() - other_R.mean()) / math.sqrt((one_R.var() + other_R.var()) / len(one_R)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 1}, "size: must be at least 2, got 1"),
        (
            {"size": 5, "hopping": -0.1},
            "size: must be even with a negative hopping, since two sublattices do not fit",
        ),
        ({"hopping": math.nan}, "hopping: must be at most 1e[+]06 in magnitude, got nan"),
        ({"hopping": math.inf}, "hopping: must be at most 1e[+]06 in magnitude, got inf"),
        ({"hopping": 0.25, "quartic": 0.0}, "hopping: must be between -1/4 and 1/4 without a quartic term"),
        ({"hopping": -0.3, "quartic": 0.0}, "hopping: must be between -1/4 and 1/4 without a quartic term"),
        ({"quartic": -0.1}, "quartic: must not be negative, or the weight is unbounded, and at most 1e[+]09, got -0.1"),
        ({"quartic": math.nan}, "quartic: must not be negative, .* got nan"),
        ({"quartic": math.inf}, "quartic: must not be negative, .* got inf"),
    ],
)
def test_impossible_points_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**{"size": 4, "hopping": 0.2, "quartic": 0.1} | fields)  # type: ignore[arg-type]


def test_odd_lattices_have_no_staggered_magnetization() -> None:
    spec = Spec(size=5, hopping=0.2, quartic=0.1)
    assert phi4.ORDER_PARAMETERS(spec) == ("magnetization",)
    assert phi4.JUDGED(spec) == ("energy", "abs_magnetization", "square")
    assert all(phi4.refuse(spec, name) is None and phi4.expected_tau(spec, name) > 0 for name in ALGORITHMS)
