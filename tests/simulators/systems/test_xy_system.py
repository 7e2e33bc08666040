"""The XY system as a whole: kernels, starts, sums, algorithms against each other, and what it refuses."""

import itertools
import math

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from simulators.continuous import planar
from simulators.contract import SpecError
from simulators.rng import continuous
from simulators.rng.lanes import streams
from simulators.systems import xy
from simulators.systems.xy import ALGORITHMS, Simulation, Spec


@njit
def exponentials(x_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-x) as the kernels have it."""
    values_N = np.empty_like(x_N)
    for n in range(len(x_N)):
        values_N[n] = continuous.exp_minus(x_N[n])
    return values_N


def test_exponentials_are_good_to_the_last_bits() -> None:
    x_N = np.concatenate([np.linspace(0, 700, 100_001), np.linspace(0, 1, 100_001), np.geomspace(1e-300, 1, 1001)])
    # Two roundings of 1.1e-16 each, here and in numpy's own.
    assert np.abs(exponentials(x_N) / np.exp(-x_N) - 1).max() < 5e-16


def test_a_group_is_the_plain_sweep_of_its_lanes() -> None:
    """Against the same moves in the order of the sites, with numpy and the same random words."""
    K, width, size, lanes = 1.3, 0.7, 3, continuous.LANES
    rng = np.random.default_rng(2)
    angles_IJK = rng.uniform(-np.pi, np.pi, (size, size, lanes))
    spins_IJX = np.concatenate([np.cos(angles_IJK), np.sin(angles_IJK)], axis=-1)
    stream_S, same_S = streams(np.random.default_rng(3), 1)[0], streams(np.random.default_rng(3), 1)[0]
    accepted_K = planar.metropolis(spins_IJX, stream_S, K, width, 1, 1)
    spins_IJK, expected_K = np.exp(1j * angles_IJK), np.zeros(lanes)
    for i, j in itertools.product(range(size), range(size)):
        words_K = words(same_S)
        rotation_K = np.exp(2j * np.arctan(width * (2 * uniform(words_K[:lanes]) - 1)))
        cost_K = K * (((1 - rotation_K) * spins_IJK[i, j]).conj() * field(spins_IJK, i, j)).real
        taken_K = uniform(words_K[lanes:]) < np.exp(-cost_K)
        spins_IJK[i, j] *= np.where(taken_K, rotation_K, 1)
        expected_K += taken_K
    for i, j in itertools.product(range(size), range(size)):
        h_K = field(spins_IJK, i, j)
        spins_IJK[i, j] = spins_IJK[i, j].conj() * h_K / h_K.conj()
    np.testing.assert_array_equal(accepted_K, expected_K)
    # Rounding only: 18 updates of numbers of order one.
    np.testing.assert_allclose(spins_IJX[..., :lanes] + 1j * spins_IJX[..., lanes:], spins_IJK, atol=1e-12)


def words(stream_S: NDArray[np.uint64]) -> NDArray[np.uint64]:
    row = continuous.proposal(stream_S)
    return stream_S[int(row) : int(row) + 64].copy()


def uniform(words_K: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (words_K >> np.uint64(11)) * 2.0**-53


def field(spins_IJK: NDArray[np.complex128], i: int, j: int) -> NDArray[np.complex128]:
    up, left = spins_IJK[i - 1, j], spins_IJK[i, j - 1]
    down, right = spins_IJK[(i + 1) % len(spins_IJK), j], spins_IJK[i, (j + 1) % len(spins_IJK)]
    return np.asarray(up + left + down + right)


@pytest.mark.parametrize(("size", "sign"), [(2, 1), (3, 1), (6, 1), (6, -1)])
@pytest.mark.parametrize("algorithm", ["metropolis", "wolff"])
def test_observables_against_angles(size: int, sign: int, algorithm: str) -> None:
    """Both layouts against the definitions, written with wrapped differences of angles."""
    spec = Spec(size=size, coupling=1.5 * sign, temperature=6.0)
    simulation = Simulation(spec, np.arange(40) % 3 > 0, algorithm, np.random.default_rng(1))
    simulation.advance(3)
    measured = simulation.measure()
    angles_RIJ = simulation.updates.states()
    right, below = wrapped(np.roll(angles_RIJ, -1, 2) - angles_RIJ), wrapped(np.roll(angles_RIJ, -1, 1) - angles_RIJ)
    along, down = (wrapped(x + np.pi * (sign < 0)) for x in (right, below))
    winding = along + np.roll(down, -1, 2) - np.roll(along, -1, 1) - down
    parity_IJ = (-1.0) ** np.indices((size, size)).sum(axis=0)
    spins_RIJ = np.exp(1j * angles_RIJ)
    uniform_RIJ, staggered_RIJ = spins_RIJ, parity_IJ * spins_RIJ
    expected = {
        "energy": -1.5 * sign * (np.cos(right) + np.cos(below)),
        "magnetization_x": uniform_RIJ.real,
        "magnetization_y": uniform_RIJ.imag,
        "vorticity": np.abs(np.round(winding / (2 * np.pi))),
        "helicity_cosine_x": np.cos(right),
        "helicity_sine_x": np.sin(right),
        "helicity_cosine_y": np.cos(below),
        "helicity_sine_y": np.sin(below),
    }
    if size % 2 == 0:
        expected |= {"staggered_magnetization_x": staggered_RIJ.real, "staggered_magnetization_y": staggered_RIJ.imag}
        np.testing.assert_allclose(measured["staggered_magnetization"], np.abs(staggered_RIJ.mean((1, 2))), atol=1e-13)
    np.testing.assert_allclose(measured["magnetization"], np.abs(uniform_RIJ.mean((1, 2))), atol=1e-13)
    for name, x_RIJ in expected.items():
        np.testing.assert_allclose(measured[name], x_RIJ.mean((1, 2)), atol=1e-13, err_msg=name)
    assert measured["vorticity"].max() > 0 or size < 6
    assert tuple(measured) == ("energy", *xy.ORDER_PARAMETERS(spec), *xy.MEASURED(spec))


def wrapped(angles_RIJ: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((angles_RIJ + np.pi) % (2 * np.pi) - np.pi)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_configurations_are_angles_and_spins_keep_their_length(algorithm: str) -> None:
    simulation = Simulation(Spec(size=4, coupling=1.0, temperature=0.5), np.ones(33, bool), algorithm, rng(1))
    simulation.advance(500)
    angles = simulation.configurations()
    assert angles.dtype == np.float32
    assert angles.shape == (33, 1, 4, 4)
    assert (np.abs(angles.astype(float)) < math.pi).all()
    states = simulation.updates.arrays()["states"]
    lengths = np.abs(states) if np.iscomplexobj(states) else np.hypot(states[..., 0, :], states[..., 1, :])
    np.testing.assert_allclose(lengths, 1, atol=1e-14)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exchange_swaps_the_chosen_chains(algorithm: str) -> None:
    one, other = (
        Simulation(Spec(size=4, coupling=1.0, temperature=T), np.ones(40, bool), algorithm, rng(2)) for T in (1, 2)
    )
    before, others = one.configurations(), other.configurations()
    chosen = np.arange(40) % 3 == 0
    one.exchange(other, chosen)
    np.testing.assert_array_equal(one.configurations(), np.where(chosen[:, None, None, None], others, before))
    np.testing.assert_array_equal(other.configurations(), np.where(chosen[:, None, None, None], before, others))
    np.testing.assert_allclose(one.reduced_energy(other.spec) * 2, one.measure()["energy"] * 16, rtol=1e-12)


def test_reflections_keep_the_energy() -> None:
    spec = Spec(size=4, coupling=1.0, temperature=0.9)
    updates = xy.OverRelaxation(spec, rng(1).uniform(-3, 3, (5, 4, 4)), rng(2))
    before = updates.sums()[[4, 6]].sum(axis=0)
    spins_IJX = updates._spins()[0]
    planar.reflect_row(spins_IJX[1], spins_IJX[0], spins_IJX[2], np.zeros(planar.SCRATCH))
    after = updates.sums()[[4, 6]].sum(axis=0)
    np.testing.assert_allclose(after, before, atol=1e-12)
    assert (
        updates.states()[:, 1] != xy.OverRelaxation(spec, rng(1).uniform(-3, 3, (5, 4, 4)), rng(2)).states()[:, 1]
    ).all()


@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_cold_starts_have_neither_twists_nor_vortices(coupling: float) -> None:
    """At T = 0.1 a local run would keep them; spin waves leave |m| above 0.9 at L = 32."""
    spec = Spec(size=32, coupling=coupling, temperature=0.1)
    for hot in (True, False):
        simulation = Simulation(spec, np.full(64, hot), "metropolis", rng(4))
        simulation.advance(20)
        measured = simulation.measure()
        name = "magnetization" if coupling > 0 else "staggered_magnetization"
        assert measured[name].min() > 0.9
        assert measured["vorticity"].max() == 0
        directions = np.arctan2(measured[f"{name}_y"], measured[f"{name}_x"])
        assert np.histogram(directions, np.linspace(-np.pi, np.pi, 5))[0].min() > 2  # 16 expected; less: 1e-5


OBSERVED = ("energy", "magnetization", "staggered_magnetization", "vorticity", "helicity_cosine_x", "helicity_cosine_y")
RUNS = {"metropolis": 20, "over-relaxation": 10, "swendsen-wang": 2, "wolff": 2}
"""Sweeps between measurements."""


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.8, 0.89, 1.1])
@pytest.mark.parametrize("size", [16, 32])
def test_algorithms_agree(size: int, temperature: float) -> None:
    """All pairs, |z| < 4 from the spread of 128 chains: 6e-5 per comparison, 48 of them at each point."""
    spec = Spec(size=size, coupling=1.0, temperature=temperature)
    means = {name: chain_means(spec, name) for name in ALGORITHMS}
    for one, other in itertools.combinations(ALGORITHMS, 2):
        for name in means[one]:
            assert abs(difference(means[one][name], means[other][name])) < 4, (one, other, name)
    wrong = chain_means(Spec(size=size, coupling=1.0, temperature=temperature * 1.03), "wolff")
    assert abs(difference(means["wolff"]["energy"], wrong["energy"])) > 4, "negative control"


def chain_means(spec: Spec, algorithm: str) -> dict[str, NDArray[np.float64]]:
    """Mean of each chain over 60 measurements, after as many that are not used."""
    simulation = Simulation(spec, np.arange(128) % 2 == 0, algorithm, rng(spec.size))
    simulation.advance(60 * RUNS[algorithm])
    series: dict[str, list[NDArray[np.float64]]] = {}
    for _ in range(60):
        simulation.advance(RUNS[algorithm])
        now = simulation.measure()
        values = {name: now[name] for name in OBSERVED}
        values |= {"sine_squared": now["helicity_sine_x"] ** 2, "magnetization_squared": now["magnetization"] ** 2}
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
            {"size": 5, "coupling": -1.0},
            "size: must be even with a negative coupling, since two sublattices do not fit",
        ),
        ({"coupling": 0.0}, "coupling: must not be zero, got 0.0"),
        ({"coupling": math.nan}, "coupling: must be finite, got nan"),
        ({"temperature": 0.0}, "temperature: must be positive, got 0.0"),
        ({"temperature": math.inf}, "temperature: must be finite, got inf"),
        ({"temperature": math.nan}, "temperature: must be finite, got nan"),
    ],
)
def test_impossible_points_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**{"size": 4, "coupling": 1.0, "temperature": 1.0} | fields)  # type: ignore[arg-type]


def test_odd_lattices_have_no_staggered_magnetization() -> None:
    spec = Spec(size=5, coupling=1.0, temperature=1.0)
    assert xy.ORDER_PARAMETERS(spec) == ("magnetization_x", "magnetization_y")
    assert xy.JUDGED(spec) == ("energy", "magnetization")
    assert xy.refuse(spec, "wolff") is None
    assert all(xy.expected_tau(spec, name) > 0 for name in ALGORITHMS)
