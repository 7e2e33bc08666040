"""Potts model: exact values of larger lattices, agreement of the algorithms, and first-order coexistence."""

import math
from typing import Any

import numpy as np
import pytest
from measured import series
from numpy.typing import NDArray
from scipy.stats import norm

from simulators import contract
from simulators.discrete import potts_sums
from simulators.reference import exact, plain
from simulators.rng.sfc64 import generators
from simulators.sampling.sampler import sample
from simulators.systems import potts
from simulators.systems.potts import ALGORITHMS, Spec, refuse

FALSE_ALARM = 1e-7  # per comparison, of which there are about 60; the seeds are fixed
BOUND = norm.isf(FALSE_ALARM / 2)


def critical(states: int) -> float:
    """T_c of the infinite lattice, J = 1 (Potts 1952)."""
    return 1 / math.log(1 + math.sqrt(states))


def chain_means(
    spec: Any, algorithm: str, chains: int, thermalization: int, rounds: int, spacing: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Means over time of every observable, (R,): independent numbers, whatever the autocorrelation."""
    found = series(potts, spec, algorithm, chains, (thermalization, rounds, spacing), seed)
    return {name: x_RT.mean(axis=1) for name, x_RT in found.items()}


def z(x_R: NDArray[np.float64], value: float) -> float:
    """Standard errors between the mean of independent numbers and a value."""
    return float((x_R.mean() - value) / (x_R.std(ddof=1) / math.sqrt(len(x_R))))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_states_are_the_ising_model(algorithm: str) -> None:
    """delta = (1 + s s') / 2: coupling 1 / 2, and two bonds of -1 / 2 per site.  512 chains: normal to 1e-7."""
    spec = Spec(size=8, states=2, coupling=1.0, temperature=1.25)
    energy_R = chain_means(spec, algorithm, 512, 300, 40, 5, 1)["energy"]
    assert abs(z(energy_R, exact.ising(8, 8, 1.25, 0.5).energy - 1)) < BOUND
    # Negative control: the chance that it is missed is below 1e-9.
    assert abs(z(energy_R, exact.ising(8, 8, 1.25 * 1.03, 0.5).energy - 1)) > BOUND


@pytest.mark.parametrize(("algorithm", "coupling"), [("metropolis", -1.0), ("heat-bath", -1.0), ("metropolis", 1.0)])
def test_two_states_have_the_order_parameters_of_the_ising_model(algorithm: str, coupling: float) -> None:
    """Each of the 2^16 states of 4 x 4 sites, |m| and |staggered m| alike."""
    spec = Spec(size=4, states=2, coupling=coupling, temperature=1.3)
    means = chain_means(spec, algorithm, 512, 100, 40, 5, 2)
    ising = exact.enumerate_ising(4)
    for temperature, agrees in ((1.3, True), (1.3 * 1.03, False)):
        values = ising.observables(temperature, coupling / 2)
        order = "abs_magnetization" if coupling > 0 else "abs_staggered_magnetization"
        assert (abs(z(means[order.removeprefix("abs_")], getattr(values, order))) < BOUND) == agrees
        assert (abs(z(means["energy"], values.energy - coupling)) < BOUND) == agrees


@pytest.mark.parametrize(("states", "exponent", "tolerance"), [(3, -0.8, 0.03), (4, -0.5, 0.06)])
def test_the_energy_at_the_transition_tends_to_its_exact_value(states: int, exponent: float, tolerance: float) -> None:
    """e = -(1 + 1 / sqrt q) by duality; on L sites it is lower by A L^(1/nu - 2), nu = 5/6 and 2/3.

    L = 8 and 16 determine A.  What they leave of the difference, corrections and, for q = 4, logarithms, is the
    tolerance; the difference at L = 16 is larger, and so is the effect of a 3 % wrong temperature.
    """
    infinite = -(1 + 1 / math.sqrt(states))
    spec = {size: Spec(size=size, states=states, coupling=1.0, temperature=critical(states)) for size in (8, 16)}
    small, large = (chain_means(spec[size], "swendsen-wang", 256, 0, 30, 4, size)["energy"].mean() for size in (8, 16))
    assert small < large < infinite
    ratio = 2**exponent
    assert abs(large + (large - small) * ratio / (1 - ratio) - infinite) < tolerance
    assert infinite - large > 0.03, "the trend is more than what is left"
    wrong = Spec(size=16, states=states, coupling=1.0, temperature=1.03 * critical(states))
    assert chain_means(wrong, "swendsen-wang", 64, 0, 20, 4, 1)["energy"].mean() > infinite + tolerance


def plain_energies(algorithm: str, states: int, size: int, temperature: float, chains: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    states_RIJ, state_RV = rng.integers(0, states, (chains, size, size), dtype=np.int8), generators(rng, chains)
    energy_Q = np.where(np.arange(states) == 0, -1.0, 0.0)
    for _ in range(10):
        if algorithm == "heat-bath":
            plain.heat_bath(states_RIJ, state_RV, energy_Q, temperature, 20)
        elif algorithm == "metropolis":
            plain.metropolis(states_RIJ, state_RV, energy_Q, temperature, 40)
        else:
            plain.potts_metropolis(states_RIJ, state_RV, states, np.exp(-np.arange(1, 5) / temperature), 40)
    return -potts_sums.count(states_RIJ, states)[1] / size**2


@pytest.mark.parametrize("algorithm", ["metropolis", "heat-bath", "comparing metropolis"])
def test_the_plain_kernels_agree_with_the_fast_ones(algorithm: str) -> None:
    """At 1.2 T_c, where 200 sweeps are ten autocorrelation times.  A 3 % wrong temperature would show."""
    temperature = 1.2 * critical(3)
    energy_R = plain_energies(algorithm, 3, 8, temperature, 2000)
    for factor, agrees in ((1.0, True), (1.03, False)):
        spec = Spec(size=8, states=3, coupling=1.0, temperature=temperature * factor)
        fast_R = chain_means(spec, algorithm.split()[-1], 2048, 200, 1, 1, 4)["energy"]
        error = math.hypot(fast_R.std() / math.sqrt(len(fast_R)), energy_R.std() / math.sqrt(len(energy_R)))
        assert (abs(fast_R.mean() - energy_R.mean()) < BOUND * error) == agrees


@pytest.mark.slow
@pytest.mark.parametrize(("states", "coupling"), [(3, 1.0), (10, 1.0), (3, -1.0)])
@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_algorithms_agree(states: int, coupling: float, size: int, factor: float) -> None:
    """On every observable, at and above the transition (for q = 10 above only: at it, chains of this length don't mix).

    At |z| < 4, false alarm 6e-5 for each of about 300 comparisons; the seeds are fixed.
    """
    if states == 10 and factor == 1.0:
        factor = 1.05
    temperature = factor * critical(states)
    spec = Spec(size=size, states=states, coupling=coupling, temperature=temperature)
    # Near the transition of q = 10, clusters need hundreds of updates to shed an ordered start.
    first = 100 if states < 10 else 2000
    means = {
        algorithm: chain_means(spec, algorithm, 128, *schedule, seed=5)
        for algorithm, schedule in {
            "metropolis": (6000, 200, 60),
            "heat-bath": (3000, 200, 40),
            "swendsen-wang": (first, 150, 3),
            "wolff": (first, 150, 3),
        }.items()
        if refuse(spec, algorithm) is None
    }
    reference = means.pop("heat-bath")
    for other in means.values():
        for name, x_R in other.items():
            y_R = reference[name]
            error = math.hypot(x_R.std(), y_R.std()) / math.sqrt(128)
            assert abs(x_R.mean() - y_R.mean()) < 4 * error, name


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["metropolis", "heat-bath", "swendsen-wang", "wolff"])
def test_first_order_coexistence_is_never_silently_wrong(algorithm: str) -> None:
    """Potts q = 10 at T_c, L = 32: both phases are metastable, their energies 0.7 apart (Baxter 1973).

    Runs much shorter than the time to tunnel must not be certified; if one is, its hot and its ordered chains agree.
    """
    system = contract.load("potts")
    spec = Spec(size=32, states=10, coupling=1.0, temperature=critical(10))
    result = sample(
        system,
        spec,
        chains=16,
        samples=64,
        algorithm=algorithm,
        thermalization=200,
        spacing=20,
        rng=np.random.default_rng(6),
    )
    energy = result.certificate.observables["energy"]
    assert not result.certificate.certified
    assert any("R-hat" in reason or "start" in reason for reason in result.certificate.reasons)
    assert energy.r_hat > 1.05
    # Negative control: off the transition, the same run is certified.
    easy = Spec(size=32, states=10, coupling=1.0, temperature=1.15 * critical(10))
    mixed = sample(
        system,
        easy,
        chains=16,
        samples=64,
        algorithm=algorithm,
        thermalization=200,
        spacing=20,
        rng=np.random.default_rng(6),
    )
    assert mixed.certificate.certified, mixed.certificate.reasons
