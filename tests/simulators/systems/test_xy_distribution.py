"""Every XY algorithm samples the Boltzmann distribution: small tori by sums over link integers, and a series.

With exp(K cos x) = sum_n I_n(K) exp(i n x) the angles can be integrated out; what is left are integer currents on the
bonds that are conserved at the sites.  Chains are independent, so autocorrelation cannot spoil the statistics.
"""

import functools
import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ive
from scipy.stats import chisquare, norm

from simulators.chains import Updates
from simulators.reference import plain_continuous
from simulators.rng.sfc64 import generators
from simulators.systems.xy import ALGORITHMS, Simulation, Spec

FALSE_ALARM = 1e-7  # per comparison, of which there are about 100: correct samplers fail here with chance 1e-5
LARGEST_Z = norm.isf(FALSE_ALARM / 2)
WRONG = 1.03
CHAINS = 64 * 100
SWEEPS = {"metropolis": 80, "over-relaxation": 40, "swendsen-wang": 80, "wolff": 50}
"""More than ten autocorrelation times of everything on 3 x 3 sites, from random starts."""


def run(
    spec: Spec, algorithm: str, chains: int, measurements: int
) -> tuple[Simulation, dict[str, NDArray[np.float64]]]:
    """Chains after SWEEPS from random starts, and what the sweeps that follow gave, mean of each chain."""
    rng = np.random.default_rng([ALGORITHMS.index(algorithm), spec.size])
    simulation = Simulation(spec, np.zeros(chains, dtype=bool), algorithm, rng)
    angles_RIJ = rng.uniform(-np.pi, np.pi, (chains, spec.size, spec.size))
    simulation.updates = Simulation.kinds[algorithm](spec, angles_RIJ, rng)
    simulation.advance(SWEEPS[algorithm])
    series: dict[str, list[NDArray[np.float64]]] = {}
    for _ in range(measurements):
        simulation.advance(1)
        for name, x_R in observed(simulation).items():
            series.setdefault(name, []).append(x_R)
    return simulation, {name: np.mean(x, axis=0) for name, x in series.items()}


def observed(simulation: Simulation) -> dict[str, NDArray[np.float64]]:
    """What the exact sums give."""
    now = simulation.measure()
    square = {f"{name}_squared": now[name] ** 2 for name in now if name.endswith("magnetization")}
    sines = {f"{name}_squared": now[name] ** 2 for name in ("helicity_sine_x", "helicity_sine_y")}
    return {"energy": now["energy"], **square, **sines}


def z(x_R: NDArray[np.float64], truth: float) -> float:
    return float((x_R.mean() - truth) / (x_R.std() / math.sqrt(len(x_R))))


def bessel(order: NDArray[np.int64], K: float) -> NDArray[np.float64]:
    """I_n(|K|) exp(-|K|), with the sign of I_n(K)."""
    return np.where((K < 0) & (order % 2 == 1), -1, 1) * ive(order, abs(K))


def ring(K: float) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Currents of the 2 x 2 lattice, a ring of four sites with doubled bonds, and their factors: I_n, I_(n + 1)."""
    n = np.arange(-60, 61)
    return n, bessel(n, 2 * K), bessel(n + 1, 2 * K)


def exact_2x2(spec: Spec) -> dict[str, float]:
    """<cos(theta_0 - theta_r)> = sum_n I_n^(4 - r) I_(n + 1)^r / sum_n I_n^4."""
    _, one, raised = ring(spec.coupling / spec.temperature)
    near, far = ((one ** (4 - r) * raised**r).sum() / (one**4).sum() for r in (1, 2))
    return {
        "energy": -2 * spec.coupling * near,
        "magnetization_squared": (1 + 2 * near + far) / 4,
        "staggered_magnetization_squared": (1 - 2 * near + far) / 4,
    }


@functools.cache
def log_z_3x3(K: float, largest: int = 4) -> float:
    """ln Z - 18 |K| of the 3 x 3 torus: Tr T^3 with the currents along columns as states, |n| <= ``largest``.

    T carries the currents of one row to the next, I_n for each; the ring of three bonds in a row turns n into n'.
    """
    n_S3 = np.array(list(itertools.product(range(-largest, largest + 1), repeat=3)))
    gain_SS3 = n_S3[:, None] - n_S3[None]
    p = np.arange(-20, 21)
    first, second = gain_SS3[..., 0], gain_SS3[..., 0] + gain_SS3[..., 1]
    offsets = np.arange(-4 * largest, 4 * largest + 1)
    table = (bessel(p, K) * bessel(p + offsets[:, None, None], K) * bessel(p + offsets[:, None], K)).sum(-1)
    ring_SS = np.where(gain_SS3.sum(-1) == 0, table[first + 4 * largest, second + 4 * largest], 0.0)
    transfer = ring_SS * bessel(n_S3, K).prod(1)
    return math.log(np.einsum("ij,ji->", transfer @ transfer, transfer))


def exact_3x3(spec: Spec) -> dict[str, float]:
    """-d ln Z / dK; the central difference is good to 1e-8."""
    K, h = spec.coupling / spec.temperature, 1e-4
    slope = 18 + (log_z_3x3(K + h) - log_z_3x3(K - h)) / (2 * h)
    return {"energy": -spec.coupling * slope / 9}


EXACT = {2: exact_2x2, 3: exact_3x3}
CASES = [
    (algorithm, size, coupling, temperature)
    for algorithm in ALGORITHMS
    for size, coupling in ((2, 1.0), (2, -1.0), (3, 1.0))
    for temperature in (0.8, 1.6)
]


@pytest.mark.parametrize(("algorithm", "size", "coupling", "temperature"), CASES)
def test_small_tori_against_sums_over_currents(algorithm: str, size: int, coupling: float, temperature: float) -> None:
    spec = Spec(size=size, coupling=coupling, temperature=temperature)
    _, measured = run(spec, algorithm, CHAINS, 50 if algorithm == "swendsen-wang" else 30)
    for name, truth in EXACT[size](spec).items():
        assert abs(z(measured[name], truth)) < LARGEST_Z, name
    wrong = Spec(size=size, coupling=coupling, temperature=temperature * WRONG)
    # Negative control.
    assert abs(z(measured["energy"], EXACT[size](wrong)["energy"])) > LARGEST_Z


def link_p_value(simulation: Simulation, spec: Spec) -> float:
    """Chi-square of the angle between neighbours at L = 2, density exp(2 K cos x) sum_n I_n^3 cos n x."""
    n, one, _ = ring(spec.coupling / spec.temperature)
    edges = np.linspace(-np.pi, np.pi, 41)
    fine = np.linspace(-np.pi, np.pi, 40 * 100 + 1)
    middle = (fine[1:] + fine[:-1]) / 2
    density = np.exp(2 * spec.coupling / spec.temperature * np.cos(middle)) * (
        (one**3)[:, None] * np.cos(n[:, None] * middle)
    ).sum(0)
    shares = density.reshape(40, 100).sum(1)
    angles_RIJ = simulation.configurations()[:, 0].astype(float)
    difference = (angles_RIJ[:, 0, 1] - angles_RIJ[:, 0, 0] + np.pi) % (2 * np.pi) - np.pi
    found = np.histogram(difference, edges)[0]
    return float(chisquare(found, shares / shares.sum() * found.sum()).pvalue)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_angle_between_neighbours_has_its_density(algorithm: str) -> None:
    spec = Spec(size=2, coupling=1.0, temperature=0.8)
    simulation, _ = run(spec, algorithm, 4 * CHAINS, 0)
    assert link_p_value(simulation, spec) > FALSE_ALARM
    # Negative control; a histogram of one snapshot is less sharp than the means above.
    wrong = Spec(size=2, coupling=1.0, temperature=0.8 * 1.1)
    assert link_p_value(simulation, wrong) < FALSE_ALARM


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_directions_are_uniform(algorithm: str) -> None:
    """From one direction in all chains; local moves only turn the lattice little by little."""
    spec = Spec(size=3, coupling=1.0, temperature=1.0)
    updates = Simulation.kinds[algorithm](spec, np.ones((CHAINS, 3, 3)), np.random.default_rng(3))
    updates.advance(1)
    assert directions_p_value(updates) < FALSE_ALARM, "negative control"
    updates.advance(600 if algorithm in ("metropolis", "over-relaxation") else 60)
    assert directions_p_value(updates) > FALSE_ALARM


def directions_p_value(updates: Updates) -> float:
    """Chi-square of the angles of one site."""
    found = np.histogram(updates.states()[:, 1, 2], np.linspace(-np.pi, np.pi, 25))[0]
    return float(chisquare(found).pvalue)


def test_sweeps_at_another_temperature_in_between_are_noticed() -> None:
    """Negative control: moves that are not accepted as they should be, one sweep in eight."""
    spec = Spec(size=2, coupling=1.0, temperature=0.8)
    simulation, other = (
        Simulation(one, np.zeros(CHAINS, dtype=bool), "metropolis", np.random.default_rng(5))
        for one in (spec, Spec(size=2, coupling=1.0, temperature=1.2))
    )
    for _ in range(16):
        simulation.advance(7)
        other.updates.states_GIJK[...] = simulation.updates.states_GIJK
        other.advance(1)
        simulation.updates.states_GIJK[...] = other.updates.states_GIJK
    simulation.advance(2)
    assert abs(z(observed(simulation)["energy"], exact_2x2(spec)["energy"])) > LARGEST_Z


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_energy_against_the_high_temperature_series(algorithm: str) -> None:
    """ln Z / N = 2 ln I_0 + 2 x^4 + 4 x^6 + O(K^8), x = I_1 / I_0: loops around one and two plaquettes, either way.

    dx/dK = 1 - x / K - x^2.  At K = 1/4 what is left out is below 1e-5, a tenth of a standard error.
    """
    K = 0.25
    x = float(ive(1, K) / ive(0, K))
    slope = 1 - x / K - x**2
    truth = -(2 * x + (8 * x**3 + 24 * x**5) * slope)
    _, measured = run(Spec(size=16, coupling=1.0, temperature=1 / K), algorithm, 256, 100)
    assert abs(z(measured["energy"], truth)) < 6  # Student's t with 255 degrees of freedom: 7e-9
    assert abs(z(measured["energy"], truth / WRONG)) > 6, "negative control"


def test_the_plain_kernel_samples_the_same() -> None:
    """It stands beside the fast ones in the benchmark."""
    spec, rng = Spec(size=2, coupling=1.0, temperature=0.8), np.random.default_rng(8)
    angles_RIJ = rng.uniform(-np.pi, np.pi, (4 * CHAINS, 2, 2))
    plain_continuous.xy_metropolis(angles_RIJ, generators(rng, len(angles_RIJ)), 1 / 0.8, 1.3, 80)
    cosines = np.cos(angles_RIJ - np.roll(angles_RIJ, -1, 1)) + np.cos(angles_RIJ - np.roll(angles_RIJ, -1, 2))
    assert abs(z(-cosines.mean((1, 2)), exact_2x2(spec)["energy"])) < LARGEST_Z
