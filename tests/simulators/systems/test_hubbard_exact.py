"""Every observable of 2 x 2 sites against Fock space, at the same number of slices and extrapolated to none.

About 100 comparisons, 230 with the slow ones, each with the false alarms of ``measured.LARGEST_Z``."""

import math
from typing import Any

import fock_space
import numpy as np
import occupations
import pytest
from measured import LARGEST_Z, STEPS, Series, estimate, estimates, extrapolated, largest_z, series

from simulators.fermions.tight_binding import sublattices
from simulators.systems import hubbard
from simulators.systems.hubbard import Simulation, Spec

CHAINS = 128
THERMALIZATION = 20


def run(spec: Spec, rounds: int, spacing: int = 1, seed: int = 1, algorithm: str = "metropolis") -> Series:
    """(CHAINS, rounds) of every column."""
    return series(hubbard, spec, algorithm, CHAINS, (THERMALIZATION, rounds, spacing), seed)


def exact(spec: Spec, slices: int | None) -> dict[str, float]:
    return fock_space.averages(
        T=spec.temperature, U=spec.interaction, mu=spec.chemical_potential, slices=slices, t=spec.hopping
    )


def twisted(spec: Spec) -> dict[str, float]:
    return occupations.hubbard(
        T=spec.temperature, U=spec.interaction, mu=spec.chemical_potential, slices=spec.slices,
        twist_x=spec.twist_x, twist_y=spec.twist_y,
    )  # fmt: skip


def cell(**values: Any) -> Spec:
    return Spec(size=2, **values)


QUICK = {
    "half filling": cell(temperature=0.5, interaction=4.0, trotter_step=0.1),
    "strong": cell(temperature=1.0, interaction=8.0, trotter_step=0.1),
    "doped": cell(temperature=0.5, interaction=4.0, chemical_potential=-1.0, trotter_step=0.2),
    "attractive": cell(temperature=0.5, interaction=-4.0, chemical_potential=0.5, trotter_step=0.2, channel="charge"),
    "charge": cell(temperature=0.5, interaction=4.0, trotter_step=0.2, channel="charge"),
}
SLOW = {
    "half filling, coarse": cell(temperature=0.5, interaction=4.0, trotter_step=0.2),
    "half filling, fine": cell(temperature=0.5, interaction=4.0, trotter_step=0.05),
    "weak, warm": cell(temperature=1.0, interaction=2.0, trotter_step=0.1),
    "weak, cold": cell(temperature=0.25, interaction=2.0, trotter_step=0.1),
    "cold": cell(temperature=0.25, interaction=4.0, trotter_step=0.1),
    "strong, cool": cell(temperature=0.5, interaction=8.0, trotter_step=0.1),
    "doped, fine": cell(temperature=0.5, interaction=4.0, chemical_potential=-1.0, trotter_step=0.05),
    "doped with particles": cell(temperature=0.5, interaction=4.0, chemical_potential=2.0, trotter_step=0.1),
    "attractive, half filling": cell(temperature=0.5, interaction=-4.0, trotter_step=0.1, channel="charge"),
    "attractive, dilute": cell(
        temperature=0.4, interaction=-6.0, chemical_potential=-2.0, trotter_step=0.1, channel="charge"
    ),
    "charge, strong": cell(temperature=1.0, interaction=8.0, trotter_step=0.1, channel="charge"),
    "other hopping": cell(temperature=1.0, interaction=4.0, hopping=-0.5, chemical_potential=1.0, trotter_step=0.25),
}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_discretised_averages(name: str) -> None:
    spec = (QUICK | SLOW)[name]
    # Strong coupling turns moments over slowly.
    algorithm = "lines" if abs(spec.interaction) >= 6 else "metropolis"
    worst = largest_z(run(spec, rounds=20, spacing=2, algorithm=algorithm), exact(spec, spec.slices))
    assert worst < (LARGEST_Z, ""), worst


TWISTED = {
    "complex": cell(temperature=0.5, interaction=4.0, trotter_step=0.2, twist_x=0.15, twist_y=0.3),
    "doped": cell(temperature=0.5, interaction=4.0, chemical_potential=-1.0, trotter_step=0.2, twist_x=0.5),
    "attractive": cell(
        temperature=0.5, interaction=-4.0, chemical_potential=0.5, trotter_step=0.2, twist_y=0.5, channel="charge"
    ),
    "charge": cell(temperature=0.5, interaction=4.0, trotter_step=0.2, twist_x=0.35, channel="charge"),
}


@pytest.mark.parametrize("name", TWISTED)
def test_averages_with_a_twist(name: str) -> None:
    spec = TWISTED[name]
    measured = run(spec, rounds=10, spacing=2)
    worst = largest_z(measured, twisted(spec))
    assert worst < (LARGEST_Z, ""), worst
    # Negative control: without the twist.
    assert largest_z(measured, exact(spec, spec.slices))[0] > 5 * LARGEST_Z


def test_one_reference_is_the_other() -> None:
    for values in ({}, {"chemical_potential": -1.0}):
        spec = cell(temperature=0.5, interaction=4.0, trotter_step=0.2, **values)
        truth = exact(spec, spec.slices)
        for name, value in twisted(spec).items():
            assert value == pytest.approx(truth[name], abs=1e-10), name


TABLE = {
    (0.0, 0.2): (1.0, 0.126403, 0.747194, 0.357513, -1.912468, -2.406855),
    (0.0, 0.1): (1.0, 0.139336, 0.721327, 0.334757, -1.891067, -2.333722),
    (0.0, 0.05): (1.0, 0.142886, 0.714228, 0.328446, -1.884487, -2.312943),
    (0.0, None): (1.0, 0.144100, 0.711800, 0.326281, -1.882154, -2.305753),
    (-1.0, 0.1): (0.855604, 0.095914, 0.663776, 0.286386, -1.899275, -1.371223),
    (-1.0, None): (0.853874, 0.099532, 0.654811, 0.279074, -1.890773, -1.346520),
}
"""mu, dtau -> density, double occupancy, moment, S(pi, pi), kinetic and total energy at U = 4, T = 1/2, from another
program."""


@pytest.mark.parametrize(("mu", "step"), TABLE)
def test_the_reference_itself(mu: float, step: float | None) -> None:
    found = fock_space.averages(T=0.5, U=4.0, mu=mu, slices=None if step is None else round(2 / step))
    names = ("density", "double_occupancy", "local_moment", "spin_structure", "kinetic_energy", "energy")
    np.testing.assert_allclose([found[name] for name in names], TABLE[mu, step], atol=1.5e-6)


def test_a_ring_of_single_bonds_would_be_noticed() -> None:
    """Negative control: half the hopping is what L = 2 has if its bonds are counted once."""
    spec = cell(temperature=0.5, interaction=4.0, trotter_step=0.2)
    wrong = fock_space.averages(T=0.5, U=4.0, slices=spec.slices, t=0.5)
    assert largest_z(run(spec, rounds=4), wrong)[0] > 10 * LARGEST_Z


def test_averages_with_negative_weights() -> None:
    """And without the sign, as a negative control."""
    spec = cell(temperature=0.2, interaction=6.0, chemical_potential=-2.0, trotter_step=0.25)
    series, truth = run(spec, rounds=25, spacing=2), exact(spec, spec.slices)
    assert 0.4 < series["sign"].mean() < 0.8
    worst = largest_z(series, truth)
    assert worst < (LARGEST_Z, ""), worst
    assert largest_z(series, truth, use_sign=False)[0] > 2 * LARGEST_Z


FINE_STEPS = (0.125, 0.0625, 0.03125)


def test_the_error_of_the_slices_is_quadratic() -> None:
    """Exact values: each half step has a quarter of the error, and what is extrapolated a hundredth of it at most."""
    for mu in (0.0, -1.0):
        spec = cell(temperature=1.0, interaction=4.0, chemical_potential=mu)
        truth = exact(spec, None)
        at = [exact(spec, round(1 / step)) for step in FINE_STEPS]
        for name, value in truth.items():
            errors = [one[name] - value for one in at]
            if abs(errors[0]) < 1e-9:
                continue
            assert 3.7 < errors[0] / errors[1] < 4.0, name
            assert 3.9 < errors[1] / errors[2] < 4.0, name
            limit, _ = extrapolated([one[name] for one in at], [0, 0, 0])
            assert abs(limit - value) < abs(errors[2]) / 100, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"interaction": 4.0},
        {"interaction": 4.0, "chemical_potential": -1.0},
        {"interaction": -4.0, "chemical_potential": 0.5, "channel": "charge"},
    ],
)
def test_extrapolated_averages(values: dict[str, Any]) -> None:
    specs = [cell(temperature=1.0, trotter_step=step, **values) for step in STEPS]
    series = [run(spec, rounds=40, spacing=2) for spec in specs]
    truth = exact(specs[0], None)
    for name, value in truth.items():
        limit, error = extrapolated(*estimates(series, name))
        assert abs(limit - value) < max(LARGEST_Z * error, 1e-10), (name, limit, error, value)
    assert largest_z(series[0], truth)[0] > 3 * LARGEST_Z, "negative control: the coarsest step alone"


@pytest.mark.slow
def test_sixteen_sites_against_published_energies() -> None:
    """The ground state of ten electrons, E = -19.58094 t at U = 4 t (Phys. Rev. B 45,
    10741 (1992), Table 2), at mu between those of 9 and 11: both cost .98 t more, so at beta = 8
    the mean is off by less than 3e-4.  Extrapolated from two steps; nine electrons would be some 45 errors away."""
    electrons, ground, interaction, mu = 10, -19.58094, 4.0, -2.047
    steps, found = (0.2, 0.1), []
    for step in steps:
        spec = Spec(size=4, temperature=0.125, interaction=interaction, chemical_potential=mu, trotter_step=step)
        values = series(hubbard, spec, "metropolis", 32, (30, 40, 2), seed=1)
        density, error = estimate(values["density"], values["sign"])
        assert abs(density - electrons / 16) < 4 * error + 1e-3
        assert 0.9 < values["sign"].mean() < 1
        found.append(estimate(values["energy"], values["sign"]))
    (coarse, coarse_error), (fine, fine_error) = found
    energy, error = (4 * fine - coarse) / 3, math.hypot(4 * fine_error, coarse_error) / 3
    # (n - 1/2)(n - 1/2) and mu n, where the table has n n.
    expected = (ground - interaction / 2 * electrons + interaction / 4 * 16 - mu * electrons) / 16
    assert abs(energy - expected) < LARGEST_Z * error + 3e-4
    assert abs(fine - expected) > LARGEST_Z * fine_error, "negative control: without the extrapolation"


SIGNS = {
    (4.0, -1.0, 3): (0.993, 0.002),
    (4.0, -1.0, 4): (0.887, 0.010),
    (4.0, -1.0, 5): (0.682, 0.018),
    (4.0, -0.5, 4): (0.961, 0.004),
    (4.0, -2.0, 4): (0.996, 0.001),
    (8.0, -2.0, 3): (0.707, 0.022),
}
"""U, mu, beta -> average sign of 4 x 4 sites at dtau = 0.1 and its error, from another program."""


@pytest.mark.slow
def test_average_signs_of_sixteen_sites() -> None:
    """Six comparisons.  Negative control: those of beta = 4 and 5 at mu = -1 are not each other's."""
    found = {}
    for (U, mu, beta), (expected, its_error) in SIGNS.items():
        spec = Spec(size=4, temperature=1 / beta, interaction=U, chemical_potential=mu, trotter_step=0.1)
        sign_RT = series(hubbard, spec, "metropolis", 64, (30, 40, 4), seed=2)["sign"]
        mean_R = sign_RT.mean(axis=1)
        mean, error = mean_R.mean(), mean_R.std() / math.sqrt(len(mean_R))
        assert abs(mean - expected) < LARGEST_Z * math.hypot(error, its_error), (U, mu, beta, mean, error)
        found[U, mu, beta] = mean, error
    (one, one_error), (other, other_error) = found[4.0, -1.0, 4], found[4.0, -1.0, 5]
    assert abs(one - other) > 2 * LARGEST_Z * math.hypot(one_error, other_error)


@pytest.mark.parametrize("channel", ["spin", "charge"])
@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.5, 0.0), (0.15, 0.3)])
def test_no_interaction_is_free_fermions(twist: tuple[float, float], channel: str) -> None:
    """Of momenta 2 pi (n + twist) / L."""
    mu, (twist_x, twist_y) = -0.7, twist
    spec = Spec(
        size=4, temperature=0.3, interaction=0.0, chemical_potential=mu, trotter_step=0.1, channel=channel,
        twist_x=twist_x, twist_y=twist_y,
    )  # fmt: skip
    measured = Simulation(spec, np.ones(3, dtype=bool), "metropolis", np.random.default_rng(1)).measure()
    x, y = (sites.ravel() for sites in np.indices((4, 4))[::-1])
    k_x, k_y = (2 * np.pi * (n_K + twist) / 4 for n_K, twist in ((x, twist_x), (y, twist_y)))
    energy_K = -2 * (np.cos(k_x) + np.cos(k_y))
    occupied_K = 1 / (1 + np.exp((energy_K - mu) / spec.temperature))
    n, kinetic = 2 * occupied_K.mean(), 2 * (energy_K * occupied_K).mean()
    wave_NK = np.exp(1j * (np.outer(x, k_x) + np.outer(y, k_y))) / 4
    rho_NN = (wave_NK * occupied_K) @ wave_NK.conj().T
    pair = (np.outer(sublattices(4), sublattices(4)) * rho_NN * (np.eye(16) - rho_NN).T).real
    expected = {
        "energy": kinetic - mu * n,
        "density": n,
        "double_occupancy": n**2 / 4,
        "local_moment": n - n**2 / 2,
        "kinetic_energy": kinetic,
        "potential_energy": 0.0,
        "spin_structure": 2 * pair.sum() / 4 / 16,
        "charge_structure": 2 * pair.sum() / 16,
        "sign": 1.0,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, atol=1e-10, err_msg=name)


def test_no_hopping_is_single_sites() -> None:
    """Without Trotter error, since nothing is left that does not commute."""
    T, U, mu = 0.5, 3.0, -0.8
    spec = Spec(size=2, temperature=T, interaction=U, chemical_potential=mu, trotter_step=0.25, hopping=0.0)
    empty, single, double = np.exp(-U / 4 / T), 2 * np.exp((U / 4 + mu) / T), np.exp((2 * mu - U / 4) / T)
    Z = empty + single + double
    truth = {
        "density": (single + 2 * double) / Z,
        "double_occupancy": double / Z,
        "local_moment": single / Z,
        "kinetic_energy": 0.0,
        "spin_structure": single / Z / 4,
    }
    worst = largest_z(run(spec, rounds=10, spacing=2), truth)
    assert worst < (LARGEST_Z, ""), worst


def differences(coupling_off: float) -> tuple[float, float]:
    """Mean and error of (S_field - 1) / tanh^2(lambda) - (4 S_zz - <m^2>), zero at any step."""
    spec = Spec(size=4, temperature=0.5, interaction=4.0, trotter_step=0.125)
    simulation = Simulation(spec, np.ones(32, dtype=bool), "metropolis", np.random.default_rng(5))
    simulation.advance(THERMALIZATION)
    found = []
    for _ in range(20):
        simulation.advance(1)
        field_RTN = simulation.configurations().reshape(32, spec.slices, -1)
        structure_R = ((field_RTN * sublattices(4)).sum(axis=2) ** 2).mean(axis=1) / 16
        measured = simulation.measure()
        squared = np.tanh(coupling_off * spec.coupling.real) ** 2
        found.append((structure_R - 1) / squared - (4 * measured["spin_structure"] - measured["local_moment"]))
    mean_R = np.mean(found, axis=0)
    return float(mean_R.mean()), float(mean_R.std() / math.sqrt(len(mean_R)))


def test_the_field_follows_the_moments() -> None:
    """<s_i s_j> = tanh^2(lambda) <m_i m_j>; another lambda is noticed."""
    mean, error = differences(1.0)
    assert abs(mean) < LARGEST_Z * error
    mean, error = differences(0.8)
    assert abs(mean) > LARGEST_Z * error
