"""Every observable of the Anderson model: 2 x 2 cells against Fock space at the same number of slices and extrapolated
to none, limits exactly.

Fock space has all numbers of particles, odd and even.  About 60 comparisons, 170 with the slow ones, each with the
false alarms of ``measured.LARGEST_Z``.  No negative weights: 2 x 2 cells have next to none at any filling; averages
with a sign are tested in test_hubbard_exact.py.
"""

import functools
import math
from typing import Any

import numpy as np
import occupations
import pytest
from measured import LARGEST_Z, STEPS, Series, estimates, extrapolated, largest_z, series

from simulators.fermions.tight_binding import sublattices
from simulators.systems import anderson
from simulators.systems.anderson import Simulation, Spec

CHAINS = 128
THERMALIZATION = 20


def run(spec: Spec, rounds: int, spacing: int = 2, seed: int = 1) -> Series:
    return series(anderson, spec, "metropolis", CHAINS, (THERMALIZATION, rounds, spacing), seed)


@functools.cache
def exact(spec: Spec) -> dict[str, float]:
    """Columns, and ``rotated``: -<S_c . S_f> from all its components."""
    return occupations.anderson(
        T=spec.temperature, U=spec.interaction, V=spec.hybridization, mu=spec.chemical_potential, level=spec.level,
        slices=spec.slices, twist_x=spec.twist_x, twist_y=spec.twist_y, t=spec.hopping,
    )  # fmt: skip


def columns(truth: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in truth.items() if name != "rotated"}


def cell(**values: Any) -> Spec:
    return Spec(**{"size": 2, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.5, **values})


QUICK = {
    "moments": cell(hybridization=0.7),
    "singlets": cell(hybridization=1.6),
    "doped": cell(hybridization=1.0, chemical_potential=-0.8, interaction=3.0),
}
SLOW = {
    "fine": cell(hybridization=1.0, trotter_step=0.25),
    "cold": cell(hybridization=1.2, temperature=0.25, interaction=3.0),
    "more particles, level": cell(hybridization=-0.8, chemical_potential=1.2, level=0.5, temperature=1.0),
    "attractive": cell(
        hybridization=0.8, interaction=-4.0, chemical_potential=0.5, level=-0.3, channel="charge", trotter_step=0.25
    ),
    "charge": cell(hybridization=0.8, channel="charge", temperature=1.0, trotter_step=0.25),
    "antiperiodic, doped": cell(hybridization=1.0, chemical_potential=-0.8, twist_x=0.5),
    "twisted": cell(hybridization=0.7, twist_x=0.15, twist_y=0.3, hopping=0.8),
}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_discretised_averages(name: str) -> None:
    spec = (QUICK | SLOW)[name]
    truth = exact(spec)
    assert set(truth) | {"staggered_field", "sign", "rotated"} == {*Simulation.columns, "rotated"}
    worst = largest_z(run(spec, rounds=20), columns(truth))
    assert worst < (LARGEST_Z, ""), worst


def test_singlets_are_measured_by_one_component_of_their_spins() -> None:
    """Also at finite steps: -3 <S^z_c S^z_f> = -<S_c . S_f>, which grows with V."""
    found = [exact(QUICK[name]) for name in ("moments", "singlets")]
    for truth in found:
        assert truth["rotated"] == pytest.approx(truth["singlet_correlation"], abs=1e-12)
    assert found[0]["singlet_correlation"] < 0.1 < 0.2 < found[1]["singlet_correlation"] < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(
    "values", [{"hybridization": 1.0}, {"hybridization": 1.0, "chemical_potential": -0.8, "level": 0.3}]
)
def test_extrapolated_averages(values: dict[str, float]) -> None:
    """Against the limit of exact values at the same steps, which by finer steps is known to 1e-6; half the step has a
    quarter of the error where there is one (in some kinetic energies dtau^2 has next to no part)."""
    specs = [cell(temperature=1.0, trotter_step=step, **values) for step in STEPS]
    at = [run(spec, rounds=40) for spec in specs]
    truth = {
        name: extrapolated([columns(exact(spec))[name] for spec in specs], [0, 0, 0])[0]
        for name in columns(exact(specs[0]))
    }
    for name, value in truth.items():
        _, at_half, at_quarter = (exact(spec)[name] - value for spec in specs)
        assert abs(at_half) < 1e-4 or 3.7 < at_half / at_quarter < 4.2, (name, at_half, at_quarter)
        limit, error = extrapolated(*estimates(at, name))
        assert abs(limit - value) < max(LARGEST_Z * error, 1e-10), (name, limit, error, value)
    assert largest_z(at[0], truth)[0] > 3 * LARGEST_Z, "negative control: the coarsest step alone"


@pytest.mark.parametrize("values", [{"hybridization": 0.77}, {"level": 0.2}])
def test_a_wrong_hamiltonian_is_noticed(values: dict[str, float]) -> None:
    """Negative control: V off by a tenth, and a level."""
    point = {"hybridization": 0.7, "interaction": 4.0}
    assert largest_z(run(cell(**{**point, **values}), rounds=10), columns(exact(cell(**point))))[0] > 2 * LARGEST_Z


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.5, 0.0), (0.15, 0.3)])
@pytest.mark.parametrize("channel", ["spin", "charge"])
def test_no_interaction_is_two_bands(channel: str, twist: tuple[float, float]) -> None:
    """Of momenta 2 pi (n + twist) / L, each with a matrix of two: level and V of f, V and epsilon(k) of c."""
    mu, level, V, T = -0.7, 0.4, 0.9, 0.3
    spec = Spec(
        size=4, temperature=T, interaction=0.0, hybridization=V, level=level, chemical_potential=mu, channel=channel,
        twist_x=twist[0], twist_y=twist[1],
    )  # fmt: skip
    measured = Simulation(spec, np.ones(3, dtype=bool), "metropolis", np.random.default_rng(1)).measure()
    k_x, k_y = (2 * np.pi * (np.arange(4) + shift) / 4 for shift in twist)
    epsilon_K = -2 * np.add.outer(np.cos(k_y), np.cos(k_x)).ravel()
    H_K22 = np.array([[[level, -V], [-V, epsilon]] for epsilon in epsilon_K])
    energy_K2, mode_K22 = np.linalg.eigh(H_K22)
    rho_K22 = np.einsum("kab,kb,kcb->kac", mode_K22, 1 / (1 + np.exp((energy_K2 - mu) / T)), mode_K22)
    f, c, fc = 2 * rho_K22[:, 0, 0].mean(), 2 * rho_K22[:, 1, 1].mean(), 2 * rho_K22[:, 0, 1].mean()
    kinetic = 2 * (epsilon_K * rho_K22[:, 1, 1]).mean()
    # <n_i n_j> - <n_i><n_j> of f at (pi, pi) is the mean over k of n_k (1 - n_(k + pi)).
    shifted_K = np.roll(rho_K22[:, 0, 0].reshape(4, 4), (2, 2), (0, 1)).ravel()
    expected = {
        "sign": 1.0,
        "density": f + c,
        "f_density": f,
        "c_density": c,
        "double_occupancy": f**2 / 4,
        "local_moment": f - f**2 / 2,
        "kinetic_energy": kinetic,
        "hybridization_energy": -2 * V * fc,
        "potential_energy": 0.0,
        "energy": kinetic - 2 * V * fc + level * f - mu * (f + c),
        "singlet_correlation": 3 * fc**2 / 8,
        "spin_structure": (rho_K22[:, 0, 0] * (1 - shifted_K)).mean() / 2,
        "charge_structure": (rho_K22[:, 0, 0] * (1 - shifted_K)).mean() * 2,
    }
    assert set(expected) | {"staggered_field"} == set(measured)
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, atol=1e-10, err_msg=name)


def test_no_hybridization_is_atoms_and_a_free_band() -> None:
    """c is free in every field; f has no Trotter error, since nothing is left that does not commute."""
    T, U, mu, level = 0.5, 3.0, -0.8, 0.2
    spec = cell(temperature=T, interaction=U, hybridization=0.0, chemical_potential=mu, level=level, trotter_step=0.25)
    measured = run(spec, rounds=10)
    momenta = np.pi * np.arange(2)
    energy_K = -2 * np.add.outer(np.cos(momenta), np.cos(momenta)).ravel()
    occupied_K = 1 / (1 + np.exp((energy_K - mu) / T))
    np.testing.assert_allclose(measured["c_density"], 2 * occupied_K.mean(), atol=1e-10)
    np.testing.assert_allclose(measured["kinetic_energy"], 2 * (energy_K * occupied_K).mean(), atol=1e-10)
    empty, single, double = np.exp([-U / 4 / T, (U / 4 + mu - level) / T, (2 * (mu - level) - U / 4) / T])
    Z = empty + 2 * single + double
    truth = {
        "hybridization_energy": 0.0,
        "singlet_correlation": 0.0,
        "f_density": 2 * (single + double) / Z,
        "double_occupancy": double / Z,
        "local_moment": 2 * single / Z,
        "spin_structure": 2 * single / Z / 4,
    }
    worst = largest_z(measured, truth)
    assert worst < (LARGEST_Z, ""), worst


def differences(coupling_off: float) -> tuple[float, float]:
    """Mean and error of (S_field - 1) / tanh^2(lambda) - (4 S_zz - <m^2>) of f, zero at any step."""
    spec = cell(temperature=0.25, hybridization=1.4, trotter_step=0.25)
    simulation = Simulation(spec, np.ones(CHAINS, dtype=bool), "metropolis", np.random.default_rng(5))
    simulation.advance(THERMALIZATION)
    found = []
    for _ in range(20):
        simulation.advance(1)
        field_RTN = simulation.configurations().reshape(CHAINS, spec.slices, -1)
        structure_R = ((field_RTN * sublattices(2)).sum(axis=2) ** 2).mean(axis=1) / 4
        measured = simulation.measure()
        squared = np.tanh(coupling_off * spec.coupling.real) ** 2
        found.append((structure_R - 1) / squared - (4 * measured["spin_structure"] - measured["local_moment"]))
    mean_R = np.mean(found, axis=0)
    return float(mean_R.mean()), float(mean_R.std() / math.sqrt(len(mean_R)))


def test_the_field_follows_the_moments_of_f() -> None:
    """<s_i s_j> = tanh^2(lambda) <m_i m_j>; another lambda is noticed."""
    mean, error = differences(1.0)
    assert abs(mean) < LARGEST_Z * error
    mean, error = differences(0.7)
    assert abs(mean) > LARGEST_Z * error
