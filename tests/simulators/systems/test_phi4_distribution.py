"""Every phi^4 algorithm samples exp(-S): quadrature, the Gaussian model, a transfer matrix and an exact identity.

Chains are independent, so autocorrelation cannot spoil the statistics.
"""

import functools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare, norm

from simulators.systems.phi4 import ALGORITHMS, Simulation, Spec

FALSE_ALARM = 1e-7  # per comparison, of which there are about 120: correct samplers fail here with chance 1.2e-5
LARGEST_Z = norm.isf(FALSE_ALARM / 2)
WRONG = 1.03
CHAINS = 64 * 100
SWEEPS = {"metropolis": 60, "swendsen-wang": 30, "wolff": 30}
"""More than ten autocorrelation times of everything on the small lattices below, from random starts."""
GRID = np.linspace(-7, 7, 701)
"""exp(-S) is below 1e-19 beyond; the trapezoidal rule is good to rounding."""


def run(
    spec: Spec, algorithm: str, chains: int, measurements: int
) -> tuple[Simulation, dict[str, NDArray[np.float64]]]:
    """Chains after SWEEPS from Gaussian starts, and what the sweeps that follow gave, mean of each chain."""
    rng = np.random.default_rng([ALGORITHMS.index(algorithm), spec.size])
    simulation = Simulation(spec, np.zeros(chains, dtype=bool), algorithm, rng)
    simulation.updates = Simulation.kinds[algorithm](spec, rng.normal(size=(chains, spec.size, spec.size)), rng)
    simulation.advance(SWEEPS[algorithm])
    series: dict[str, list[NDArray[np.float64]]] = {}
    for _ in range(measurements):
        simulation.advance(1)
        for name, x_R in observed(simulation).items():
            series.setdefault(name, []).append(x_R)
    return simulation, {name: np.mean(x, axis=0) for name, x in series.items()}


def observed(simulation: Simulation) -> dict[str, NDArray[np.float64]]:
    """What is compared, of the current states."""
    now = simulation.measure()
    squares = {f"{name}_squared": x_R**2 for name, x_R in now.items() if name.endswith("magnetization")}
    plain = {name: now[name] for name in ("energy", "square", "hopping_term", "magnetization")}
    return {**plain, **squares, "fourth": simulation.updates.sums()[3] / simulation.spec.size**2}


def z(x_R: NDArray[np.float64], truth: float) -> float:
    return float((x_R.mean() - truth) / (x_R.std() / math.sqrt(len(x_R))))


def potential(spec: Spec) -> NDArray[np.float64]:
    return np.asarray((1 - 2 * spec.quartic) * GRID**2 + spec.quartic * GRID**4)


@functools.cache
def powers(spec: Spec) -> tuple[NDArray[np.float64], ...]:
    """Powers 1 to 4 of the transfer matrix along the ring of four sites that L = 2 is, two bonds between neighbours."""
    V = potential(spec)
    one = np.exp(4 * spec.hopping * GRID[:, None] * GRID - V[:, None] / 2 - V / 2)
    two = one @ one
    return one, two, two @ one, two @ two


def exact_2x2(spec: Spec) -> dict[str, float]:
    one, two, three, four = powers(spec)
    Z = np.trace(four)
    square, fourth = ((GRID**power * np.diag(four)).sum() / Z for power in (2, 4))
    near, far = (GRID @ (a * b.T) @ GRID / Z for a, b in ((one, three), (two, two)))
    return {
        "energy": -4 * spec.hopping * near + (1 - 2 * spec.quartic) * square + spec.quartic * fourth,
        "square": square,
        "fourth": fourth,
        "hopping_term": 2 * near,
        "magnetization": 0.0,
        "magnetization_squared": (square + 2 * near + far) / 4,
        "staggered_magnetization_squared": (square - 2 * near + far) / 4,
    }


def exact_gaussian(spec: Spec) -> dict[str, float]:
    """Modes cost S = (1 - 2 kappa (cos p_x + cos p_y)) |phi_p|^2, and so have <|phi_p|^2> = 1 / 2 of the inverse."""
    p = 2 * np.pi * np.arange(spec.size) / spec.size
    cosines = np.cos(p)[:, None] + np.cos(p)
    propagator = 0.5 / (1 - 2 * spec.hopping * cosines)
    found = {
        "energy": 0.5,
        "square": propagator.mean(),
        "hopping_term": (cosines * propagator).mean(),
        "magnetization": 0.0,
        "magnetization_squared": propagator[0, 0] / spec.size**2,
    }
    if spec.size % 2 == 0:
        half = spec.size // 2
        found["staggered_magnetization_squared"] = propagator[half, half] / spec.size**2
    return found


def compare(measured: dict[str, NDArray[np.float64]], exact: dict[str, float]) -> None:
    for name, truth in exact.items():
        assert abs(z(measured[name], truth)) < LARGEST_Z, name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("hopping", "quartic"), [(0.2, 0.4), (-0.3, 0.1), (0.15, 3.0)])
def test_the_2x2_lattice_against_its_transfer_matrix(algorithm: str, hopping: float, quartic: float) -> None:
    spec = Spec(size=2, hopping=hopping, quartic=quartic)
    _, measured = run(spec, algorithm, CHAINS, 30)
    compare(measured, exact_2x2(spec))
    wrong = exact_2x2(Spec(size=2, hopping=hopping * WRONG, quartic=quartic))
    assert abs(z(measured["hopping_term"], wrong["hopping_term"])) > LARGEST_Z, "negative control"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("hopping", "quartic"), [(0.2, 0.4), (0.15, 3.0)])
def test_one_site_of_the_2x2_lattice_has_its_density(algorithm: str, hopping: float, quartic: float) -> None:
    spec = Spec(size=2, hopping=hopping, quartic=quartic)
    simulation, _ = run(spec, algorithm, 2 * CHAINS, 0)
    assert density_p_value(simulation, spec) > FALSE_ALARM
    wrong = Spec(size=2, hopping=hopping * 1.5, quartic=quartic)
    # Negative control; a histogram of one snapshot is less sharp than the means above.
    assert density_p_value(simulation, wrong) < FALSE_ALARM


def density_p_value(simulation: Simulation, spec: Spec) -> float:
    """Chi-square of one site; cells are rounded to the grid, and rare ones taken together."""
    phi_R = simulation.updates.states()[:, 1, 0]
    edges = np.linspace(-7, 7, 141)
    fine = np.linspace(-7, 7, 140 * 50 + 1)
    log_density = np.interp(fine, GRID, np.log(np.maximum(np.diag(powers(spec)[3]), 1e-300)))
    shares = np.exp((log_density[1:] + log_density[:-1]) / 2).reshape(140, 50).sum(1)
    expected = len(phi_R) * shares / shares.sum()
    found = np.histogram(phi_R, edges)[0]
    common = expected > 10
    pairs = [np.append(x[common], x[~common].sum()) for x in (found, expected)]
    return float(chisquare(*pairs).pvalue)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("size", "hopping"), [(2, 0.2), (3, 0.2), (4, -0.2), (8, 0.22)])
def test_without_a_quartic_term_it_is_the_gaussian_model(algorithm: str, size: int, hopping: float) -> None:
    spec = Spec(size=size, hopping=hopping, quartic=0.0)
    _, measured = run(spec, algorithm, CHAINS // (8 if size == 8 else 2), 30)
    compare(measured, exact_gaussian(spec))
    wrong = exact_gaussian(Spec(size=size, hopping=hopping * WRONG, quartic=0.0))
    assert abs(z(measured["hopping_term"], wrong["hopping_term"])) > LARGEST_Z, "negative control"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("quartic", [0.0, 0.3, 20.0])
def test_without_hopping_sites_are_independent(algorithm: str, quartic: float) -> None:
    spec = Spec(size=3, hopping=0.0, quartic=quartic)
    simulation, measured = run(spec, algorithm, CHAINS, 10)
    weight = np.exp(-potential(spec) + potential(spec).min())
    square, fourth = ((GRID**power * weight).sum() / weight.sum() for power in (2, 4))
    truth = {"square": square, "fourth": fourth, "magnetization": 0.0, "magnetization_squared": square / 9}
    compare(measured, truth | {"energy": (1 - 2 * quartic) * square + quartic * fourth, "hopping_term": 0.0})
    phi = simulation.updates.states()
    shares = np.cumsum(weight) / weight.sum()
    # Ten cells of equal probability at each site; at the edges the grid's half cells.
    found = np.floor(10 * np.interp(phi, GRID + (GRID[1] - GRID[0]) / 2, shares)).astype(int).clip(0, 9)
    assert chisquare(np.bincount(found.ravel(), minlength=10)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("hopping", "quartic"), [(0.25, 0.1), (-0.27, 0.5)])
def test_schwinger_dyson(algorithm: str, hopping: float, quartic: float) -> None:
    """<phi_i dS/dphi_i> = 1, by parts, at points where nothing else is known."""
    spec = Spec(size=8, hopping=hopping, quartic=quartic)
    _, measured = run(spec, algorithm, 512, 40)
    assert abs(z(identity(measured, spec), 1.0)) < 6  # Student's t with 511 degrees of freedom: 4e-9
    for wrong in (
        Spec(size=8, hopping=hopping * 1.1, quartic=quartic),
        Spec(size=8, hopping=hopping, quartic=quartic * 1.2),
    ):
        assert abs(z(identity(measured, wrong), 1.0)) > 6, "negative control"


def identity(measured: dict[str, NDArray[np.float64]], spec: Spec) -> NDArray[np.float64]:
    """Mean of phi_i dS/dphi_i over the sites of each chain."""
    local = 2 * (1 - 2 * spec.quartic) * measured["square"] + 4 * spec.quartic * measured["fourth"]
    return np.asarray(local - 4 * spec.hopping * measured["hopping_term"])


def test_sweeps_at_another_hopping_in_between_are_noticed() -> None:
    """Negative control: moves that are not accepted as they should be, one sweep in eight."""
    spec = Spec(size=2, hopping=0.2, quartic=0.4)
    simulation, other = (
        Simulation(one, np.zeros(CHAINS, dtype=bool), "metropolis", np.random.default_rng(5))
        for one in (spec, Spec(size=2, hopping=0.3, quartic=0.4))
    )
    for _ in range(16):
        simulation.advance(7)
        simulation.exchange(other, np.ones(CHAINS, dtype=bool))
        other.advance(1)
        simulation.exchange(other, np.ones(CHAINS, dtype=bool))
    assert abs(z(observed(simulation)["hopping_term"], exact_2x2(spec)["hopping_term"])) > LARGEST_Z
