"""Clock model: exact mappings, observables, starts, and agreement of the algorithms."""

import math
from typing import Any

import numpy as np
import pytest
from measured import series
from numpy.typing import NDArray
from scipy.stats import norm

from simulators.contract import SpecError
from simulators.reference import exact, plain
from simulators.rng.sfc64 import generators
from simulators.systems import clock, potts
from simulators.systems.clock import ALGORITHMS, JUDGED, Simulation, Spec

FALSE_ALARM = 1e-7  # per comparison, of which there are about 30; the seeds are fixed
BOUND = norm.isf(FALSE_ALARM / 2)


def chain_means(
    module: Any, spec: Any, algorithm: str, chains: int, schedule: tuple[int, int, int], seed: int
) -> dict[str, NDArray[np.float64]]:
    """Means over time of every observable, (R,), after ``schedule``: sweeps before, measurements, sweeps between."""
    return {name: x_RT.mean(axis=1) for name, x_RT in series(module, spec, algorithm, chains, schedule, seed).items()}


def standard_error(x_R: NDArray[np.float64]) -> float:
    return float(x_R.std(ddof=1) / math.sqrt(len(x_R)))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("states", "copies"), [(2, 1), (4, 2)])
def test_two_and_four_values_are_ising_models(algorithm: str, states: int, copies: int) -> None:
    """Four values are two Ising spins, (s + t, s - t) / 2 the components, each with half of the coupling."""
    temperature = 2.5 / copies
    spec = Spec(size=8, states=states, coupling=1.0, temperature=temperature)
    energy_R = chain_means(clock, spec, algorithm, 512, (200, 30, 5), 1)["energy"]
    for factor, agrees in ((1.0, True), (1.03, False)):
        expected = copies * exact.ising(8, 8, temperature * factor, 1 / copies).energy
        assert (abs(energy_R.mean() - expected) < BOUND * standard_error(energy_R)) == agrees


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_three_values_are_the_potts_model(algorithm: str) -> None:
    """cos = 3/2 delta - 1/2: coupling 3/2, and 1/2 more for each of two bonds per site."""
    temperature = 1.7
    spec = Spec(size=8, states=3, coupling=1.0, temperature=temperature)
    mine = chain_means(clock, spec, algorithm, 512, (200, 30, 5), 2)
    for factor, agrees in ((1.0, True), (1.03, False)):
        other = potts.Spec(size=8, states=3, coupling=1.5, temperature=temperature * factor)
        theirs = chain_means(potts, other, "heat-bath", 512, (200, 30, 5), 3)
        error = math.hypot(standard_error(mine["energy"]), standard_error(theirs["energy"]))
        assert (abs(mine["energy"].mean() - theirs["energy"].mean() - 1) < BOUND * error) == agrees


@pytest.mark.parametrize("algorithm", ["metropolis", "heat-bath"])
def test_the_plain_kernels_agree_with_the_fast_ones(algorithm: str) -> None:
    """Where 200 sweeps are ten autocorrelation times.  A 3 % wrong temperature would show."""
    rng, q, temperature = np.random.default_rng(4), 6, 1.2
    states_RIJ, state_RV = rng.integers(0, q, (2500, 8, 8), dtype=np.int8), generators(rng, 2500)
    energy_Q = -np.cos(2 * np.pi * np.arange(q) / q)
    kernel = plain.metropolis if algorithm == "metropolis" else plain.heat_bath
    kernel(states_RIJ, state_RV, energy_Q, temperature, 200)
    neighbours = (np.roll(states_RIJ, 1, axis) for axis in (1, 2))
    energy_R = sum(energy_Q[(states_RIJ - other_RIJ) % q] for other_RIJ in neighbours).mean((1, 2))
    for factor, agrees in ((1.0, True), (1.03, False)):
        spec = Spec(size=8, states=q, coupling=1.0, temperature=temperature * factor)
        fast_R = chain_means(clock, spec, algorithm, 1536, (200, 20, 5), 5)["energy"]
        error = math.hypot(standard_error(fast_R), standard_error(energy_R))
        assert (abs(fast_R.mean() - energy_R.mean()) < BOUND * error) == agrees


@pytest.mark.parametrize(("states", "size", "coupling"), [(6, 6, -0.7), (5, 7, 1.3), (20, 4, 1.0)])
def test_observables_are_those_of_the_configurations(states: int, size: int, coupling: float) -> None:
    spec = Spec(size=size, states=states, coupling=coupling, temperature=1.2)
    simulation = Simulation(spec, np.arange(70) % 2 == 0, "metropolis", np.random.default_rng(6))
    simulation.advance(5)
    values = simulation.measure()
    angle_RIJ = 2 * np.pi / states * simulation.configurations()[:, 0]
    right_RIJ = np.roll(angle_RIJ, -1, 2) - angle_RIJ
    below_RIJ = np.roll(angle_RIJ, -1, 1) - angle_RIJ
    m_R = np.exp(1j * angle_RIJ).mean((1, 2))
    np.testing.assert_allclose(values["magnetization_x"] + 1j * values["magnetization_y"], m_R, atol=1e-12)
    np.testing.assert_allclose(values["magnetization"], np.abs(m_R), atol=1e-12)
    for name, turn_RIJ in (("x", right_RIJ), ("y", below_RIJ)):
        np.testing.assert_allclose(values[f"helicity_cosine_{name}"], np.cos(turn_RIJ).mean((1, 2)), atol=1e-12)
        np.testing.assert_allclose(values[f"helicity_sine_{name}"], np.sin(turn_RIJ).mean((1, 2)), atol=1e-12)
    energy_R = -coupling * (values["helicity_cosine_x"] + values["helicity_cosine_y"])
    np.testing.assert_allclose(values["energy"], energy_R, atol=1e-12)
    # Turns in (-pi, pi], an exact half turn being positive.
    right_RIJ, below_RIJ = (np.pi - (np.pi - x + 1e-9) % (2 * np.pi) + 1e-9 for x in (right_RIJ, below_RIJ))
    around_RIJ = right_RIJ + np.roll(below_RIJ, -1, 2) - np.roll(right_RIJ, -1, 1) - below_RIJ
    winding_RIJ = np.rint(around_RIJ / (2 * np.pi))
    assert (winding_RIJ.sum((1, 2)) == 0).all()
    np.testing.assert_allclose(values["vorticity"], np.abs(winding_RIJ).mean((1, 2)), atol=1e-12)
    if size % 2 == 0:
        sign_IJ = 1 - 2 * (np.indices((size, size)).sum(axis=0) % 2)
        staggered_R = (sign_IJ * np.exp(1j * angle_RIJ)).mean((1, 2))
        found_R = values["staggered_magnetization_x"] + 1j * values["staggered_magnetization_y"]
        np.testing.assert_allclose(found_R, staggered_R, atol=1e-12)
        np.testing.assert_allclose(values["staggered_magnetization"], np.abs(staggered_R), atol=1e-12)
    else:
        assert not any("staggered" in name for name in values)


@pytest.mark.parametrize(("states", "coupling"), [(4, 1.0), (6, 1.0), (6, -1.0)])
def test_cold_starts_have_neither_walls_nor_twists(states: int, coupling: float) -> None:
    """Every hot chain reaches the ground state, and all of its values occur."""
    spec = Spec(size=24, states=states, coupling=coupling, temperature=0.08)
    simulation = Simulation(spec, np.ones(256, dtype=bool), "heat-bath", np.random.default_rng(7))
    simulation.advance(20)
    values = simulation.measure()
    # A wall or a twist costs 1 - cos(2 pi / 6) = 1/2 per bond across it at least: 1/48 per site, and more.
    assert (values["energy"] + 2).max() < 0.015
    first_R = simulation.configurations()[:, 0, 0, 0]
    counts, expected = np.bincount(first_R, minlength=states), 256 / states
    # Binomial, within 5.5 standard deviations: false alarm 4e-8 each.
    assert np.abs(counts - expected).max() < 5.5 * np.sqrt(expected * (1 - 1 / states))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"states": 1}, "states: must be 2 to 64, got 1"),
        ({"states": 65}, "states: must be 2 to 64, got 65"),
        ({"size": 1}, "size: must be at least 2, got 1"),
        (
            {"size": 7, "coupling": -1.0},
            "size: must be even with a negative coupling, since two sublattices do not fit",
        ),
        ({"coupling": 0.0}, "coupling: must not be zero"),
        ({"coupling": float("inf")}, "coupling: must be finite"),
        ({"temperature": -1.0}, "temperature: must be positive"),
        ({"temperature": float("nan")}, "temperature: must be finite"),
    ],
)
def test_what_is_not_physical_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**({"size": 8, "states": 6, "coupling": 1.0, "temperature": 1.0} | wrong))


def test_rotations_decide_what_is_judged() -> None:
    even, odd = (Spec(size=size, states=6, coupling=1.0, temperature=1.0) for size in (8, 9))
    assert JUDGED(even) == ("energy", "magnetization", "staggered_magnetization")
    assert JUDGED(odd) == ("energy", "magnetization")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("states", "coupling", "temperature"),
    [(3, 1.0, 1.492459), (3, 1.0, 1.65), (6, 1.0, 0.7), (6, 1.0, 0.9), (6, 1.0, 1.0), (6, -1.0, 0.9), (18, 1.0, 0.95)],
)
@pytest.mark.parametrize("size", [16, 32])
def test_algorithms_agree(states: int, coupling: float, temperature: float, size: int) -> None:
    """On every observable, at |z| < 4, false alarm 6e-5 for each of about 500 comparisons; the seeds are fixed."""
    spec = Spec(size=size, states=states, coupling=coupling, temperature=temperature)
    few = states <= 8
    means = {
        algorithm: chain_means(clock, spec, algorithm, 128, schedule, 8)
        for algorithm, schedule in {
            "metropolis": (4000, 150, 40) if few else (1000, 60, 20),
            "heat-bath": (2000, 150, 20) if few else (300, 60, 10),
            "swendsen-wang": (60, 100, 3),
            "wolff": (60, 100, 3),
        }.items()
    }
    reference = means.pop("wolff")
    for algorithm, other in means.items():
        for name, x_R in other.items():
            error = math.hypot(standard_error(x_R), standard_error(reference[name]))
            assert abs(x_R.mean() - reference[name].mean()) < 4 * error, (algorithm, name)
