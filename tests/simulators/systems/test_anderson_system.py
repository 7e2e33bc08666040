"""The Anderson system as a whole: what it refuses, starts, measures, exchanges, and how well Green's functions hold."""

import dataclasses
from typing import Any

import numpy as np
import occupations
import pytest

from simulators import contract
from simulators.contract import SpecError
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler
from simulators.systems import anderson
from simulators.systems.anderson import Simulation, Spec

FALSE_ALARM_Z = 4.5
POINT: dict[str, Any] = {"size": 4, "temperature": 0.5, "interaction": 4.0, "hybridization": 1.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 5}, "size: must be even and at least 2, got 5"),
        ({"hybridization": float("nan")}, "hybridization: must be finite, got nan"),
        ({"level": float("inf")}, "level: must be finite, got inf"),
        ({"interaction": -2.0}, 'must not be negative in the spin channel, got -2.0; take channel = "charge"'),
        ({"trotter_step": 0.6}, r"trotter_step: times \|U\| must be at most 2 .*, got 2.67"),
        ({"channel": "charge", "level": 0.5}, "level: must be 0 in the charge channel .* away from particle-hole"),
        (
            {"channel": "charge", "chemical_potential": 0.5},
            'chemical_potential: must be 0 in the charge channel .*, got 0.5; take channel = "spin"',
        ),
        ({"twist_x": 0.25, "level": 0.5}, "twist_x: must be 0 or 0.5 .* away from particle-hole symmetry"),
        ({"temperature": 0.01}, r"temperature: is so low that numbers of exp\(1154\) occur; exp\(600\) can be held"),
        ({"hybridization": 400.0}, r"temperature: is so low that numbers of exp\("),
    ],
)
def test_bad_points_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**{**POINT, **values})


def test_the_field_is_on_f_alone() -> None:
    spec = Spec(**POINT)
    assert spec.shape == (20, 4, 4)
    assert spec.orbitals == 32
    T_MM = spec.amplitudes()
    assert (T_MM == T_MM.T).all()
    assert (T_MM[:16, :16] == 0).all()
    assert (T_MM[:16, 16:] == np.eye(16)).all()
    assert (T_MM[16:, 16:].sum(axis=0) == 4).all()
    assert Spec(**dataclasses.asdict(spec)) == spec


def test_one_determinant_does_where_particles_are_holes() -> None:
    assert Spec(**POINT).one_species and Spec(**POINT).holes
    for values in ({"chemical_potential": 0.1}, {"level": 0.1}, {"chemical_potential": 0.1, "level": 0.1}):
        assert not Spec(**POINT, **values).one_species
    attractive = Spec(**{**POINT, "interaction": -4.0}, level=0.1, channel="charge")
    assert attractive.one_species and not attractive.holes


def test_measured_columns() -> None:
    spec = Spec(**POINT, chemical_potential=-0.6, level=0.3)
    simulation = Simulation(spec, np.arange(4) % 2 == 0, "metropolis", np.random.default_rng(1))
    assert set(simulation.measure()["staggered_field"][1::2]) <= {-1.0, 1.0}
    simulation.advance(2)
    found = simulation.measure()
    assert tuple(found) == ("energy", *anderson.ORDER_PARAMETERS, *anderson.MEASURED)
    total = found["kinetic_energy"] + found["hybridization_energy"] + found["potential_energy"]
    np.testing.assert_allclose(found["energy"], total + 0.3 * found["f_density"] + 0.6 * found["density"], atol=1e-12)
    np.testing.assert_allclose(found["density"], found["f_density"] + found["c_density"], atol=1e-12)
    np.testing.assert_allclose(found["local_moment"], found["f_density"] - 2 * found["double_occupancy"], atol=1e-12)


def test_half_filling_is_exact_in_every_field() -> None:
    simulation = Simulation(Spec(**POINT, twist_x=0.3), np.ones(3, dtype=bool), "lines", np.random.default_rng(1))
    simulation.advance(2)
    found = simulation.measure()
    for name, value in {"f_density": 1.0, "c_density": 1.0, "density": 2.0, "sign": 1.0}.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12)


@pytest.mark.parametrize("V", [0.6, 1.6])
def test_cold_and_strong(V: float) -> None:
    """beta = 10, U = 8: the largest error of Green's functions, without having to take a sweep back."""
    spec = Spec(size=4, temperature=0.1, interaction=8.0, hybridization=V)
    simulation = Simulation(spec, np.arange(2) == 0, "metropolis", np.random.default_rng(1))
    simulation.advance(2)
    assert 0 < simulation.numerics["largest_drift"] < 1e-6
    assert simulation.numerics["interval"] == spec.interval


def test_coarse_slices_are_told_of() -> None:
    system = contract.load("anderson")
    assert system.caution(Spec(**POINT)) is None
    assert "dtau |U| = 1.2 (U = 12): energies may be off by about" in str(
        system.caution(Spec(**{**POINT, "interaction": 12.0}))
    )


@pytest.mark.slow
def test_tempering_over_the_interaction() -> None:
    """Double occupancies of a ladder of couplings, against Fock space."""
    specs = [Spec(size=2, temperature=1.0, interaction=U, hybridization=1.0, trotter_step=1 / 3) for U in (3.0, 5.0)]
    order = Order(chains=64, samples=64 * 16, algorithm="tempering", thermalization=20, spacing=2)
    sampler = Sampler(contract.load("anderson"), specs, order, np.random.default_rng(1))
    while not sampler.done:
        sampler.step()
    for spec, samples in zip(specs, sampler.result(), strict=True):
        truth = occupations.anderson(T=1.0, U=spec.interaction, V=1.0, slices=3)
        for name in ("double_occupancy", "energy"):
            summary = samples.certificate.observables[name]
            assert abs(summary.mean - truth[name]) < FALSE_ALARM_Z * summary.error
