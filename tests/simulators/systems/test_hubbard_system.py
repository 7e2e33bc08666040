"""The Hubbard system as a whole: what it refuses and rounds, starts, exchanges, saved runs of several intervals."""

import dataclasses
from typing import Any

import fock_space
import numpy as np
import pytest

from simulators import contract
from simulators.contract import SpecError
from simulators.fermions import auxiliary_field
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler, sample
from simulators.systems import hubbard
from simulators.systems.hubbard import Simulation, Spec

FALSE_ALARM_Z = 4.5
POINT: dict[str, Any] = {"size": 4, "temperature": 0.5, "interaction": 4.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 3}, "size: must be even and at least 2, got 3"),
        ({"size": 0}, "size: must be even and at least 2, got 0"),
        ({"temperature": 0.0}, "temperature: must be positive, got 0.0"),
        ({"temperature": float("nan")}, "temperature: must be finite, got nan"),
        ({"interaction": float("inf")}, "interaction: must be finite"),
        ({"trotter_step": -0.1}, "trotter_step: must be positive, got -0.1"),
        ({"trotter_step": 0.6}, r"trotter_step: times \|U\| must be at most 2 .*, got 2.67"),
        ({"interaction": 25.0}, r"trotter_step: times \|U\| must be at most 2 .*, got 2.5"),
        ({"interaction": 1e300}, r"trotter_step: times \|U\|"),
        ({"interaction": -2.0}, 'must not be negative in the spin channel, got -2.0; take channel = "charge"'),
        ({"channel": "pair"}, "channel: must be one of spin, charge, got 'pair'"),
        (
            {"channel": "charge", "chemical_potential": 0.5},
            'chemical_potential: must be 0 in the charge channel with a positive .*, got 0.5; take channel = "spin"',
        ),
        ({"twist_x": 1.0}, "twist_x: must be at least 0 and below 1, in units of 2 pi, got 1.0"),
        ({"twist_y": -0.25}, "twist_y: must be at least 0 and below 1, in units of 2 pi, got -0.25"),
        ({"twist_y": float("nan")}, "twist_y: must be finite, got nan"),
        (
            {"twist_x": 0.25, "chemical_potential": 0.5},
            "twist_x: must be 0 or 0.5 .* away from particle-hole symmetry, where a complex hopping .*, got 0.25",
        ),
        (
            {"twist_y": 0.1, "interaction": -4.0, "channel": "charge"},
            "twist_y: must be 0 or 0.5 with an attractive interaction",
        ),
        ({"temperature": 0.01}, r"temperature: is so low that numbers of exp\(1054\) occur; exp\(600\) can be held"),
    ],
)
def test_bad_points_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**{**POINT, **values})


def test_beta_is_cut_into_the_nearest_number_of_slices() -> None:
    spec = Spec(size=4, temperature=0.7, interaction=4.0, trotter_step=0.1)
    assert spec.slices == 14
    assert spec.shape == (14, 4, 4)
    assert spec.trotter_step == pytest.approx(1 / 0.7 / 14, abs=1e-15)
    assert Spec(**dataclasses.asdict(spec)) == spec
    assert Spec(**POINT).trotter_step == 0.1, "a step that fits stays as it was written"
    assert Spec(size=4, temperature=2.0, interaction=1.0, trotter_step=3.0).slices == 1


@pytest.mark.parametrize(
    "values",
    [
        {"twist_x": 0.25},
        {"twist_x": 0.25, "channel": "charge"},
        {"twist_x": 0.25, "interaction": 0.0, "chemical_potential": 0.5},
        {"twist_x": 0.5, "twist_y": 0.5, "chemical_potential": 0.5},
        {"twist_y": 0.5, "interaction": -4.0, "chemical_potential": 0.5, "channel": "charge"},
    ],
)
def test_twists_that_leave_weights_real(values: dict[str, Any]) -> None:
    spec = Spec(**{**POINT, **values})
    assert np.iscomplexobj(spec.amplitudes()) == (spec.twist_x == 0.25)
    assert spec.is_complex == (spec.twist_x == 0.25)


def test_coarse_slices_are_told_of() -> None:
    system = contract.load("hubbard")
    assert system.caution(Spec(**POINT)) is None
    text = str(system.caution(Spec(size=4, temperature=0.5, interaction=10.0)))
    assert "dtau |U| = 1 (U = 10): energies may be off by about 0.15" in text


def test_a_sweep_costs_more_on_larger_and_colder_lattices() -> None:
    system = contract.load("hubbard")
    specs = [Spec(size=size, temperature=0.5, interaction=4.0) for size in (4, 8, 16)]
    per_site = [system.nanoseconds("metropolis", spec) for spec in specs]
    assert per_site[0] < per_site[1] / 4 < per_site[2] / 16
    assert system.nanoseconds("lines", specs[0]) > per_site[0]
    for spec in specs[:2]:
        simulation = Simulation(spec, np.ones(4, dtype=bool), "metropolis", np.random.default_rng(1))
        expected = 4 * spec.slices * spec.size**2 * system.nanoseconds("metropolis", spec)
        assert simulation.cost == pytest.approx(expected)


def test_starts_are_random_or_one_of_two_antiferromagnets() -> None:
    hot = np.arange(40) % 2 == 0
    simulation = Simulation(Spec(**POINT), hot, "metropolis", np.random.default_rng(1))
    order = simulation.measure()["staggered_field"]
    assert (np.abs(order[hot]) < 5 / np.sqrt(20 * 16)).all()
    assert set(order[~hot]) == {-1.0, 1.0}


def test_measured_columns() -> None:
    simulation = Simulation(
        Spec(**POINT, chemical_potential=-0.6), np.ones(3, bool), "metropolis", np.random.default_rng(1)
    )
    simulation.advance(2)
    found = simulation.measure()
    assert tuple(found) == ("energy", *hubbard.ORDER_PARAMETERS, *hubbard.MEASURED)
    sites, columns = np.indices((4, 4))
    staggered = (simulation.configurations() * (-1.0) ** (sites + columns)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found["staggered_field"], staggered, atol=1e-14)
    total = found["kinetic_energy"] + found["potential_energy"] + 0.6 * found["density"]
    np.testing.assert_allclose(found["energy"], total, atol=1e-12)
    np.testing.assert_allclose(found["local_moment"], found["density"] - 2 * found["double_occupancy"], atol=1e-12)


@pytest.mark.parametrize(
    "values",
    [{}, {"chemical_potential": -1.0}, {"interaction": -4.0, "chemical_potential": 0.5, "channel": "charge"},
     {"channel": "charge"}],
)  # fmt: skip
def test_reduced_energies_are_those_of_the_weights(values: dict[str, Any]) -> None:
    spec = Spec(**{"size": 2, "temperature": 1.25, "interaction": 4.0, "trotter_step": 0.4, **values})
    other = dataclasses.replace(spec, interaction=0.8 * spec.interaction)
    simulation = Simulation(spec, np.ones(5, dtype=bool), "metropolis", np.random.default_rng(1))
    for at in (spec, other):
        expected = [
            np.log(
                abs(fock_space.weight(field, T=1.25, U=at.interaction, mu=at.chemical_potential, channel=at.channel))
            )
            for field in simulation.configurations().reshape(5, spec.slices, 4)
        ]
        difference = simulation.reduced_energy(at) + expected
        np.testing.assert_allclose(difference, difference[0], atol=1e-9)


def test_tempering_over_the_interaction() -> None:
    """Double occupancies of a ladder of couplings, against Fock space."""
    system = contract.load("hubbard")
    specs = [Spec(size=2, temperature=0.5, interaction=U, trotter_step=0.25) for U in (4.0, 6.0, 8.0)]
    order = Order(chains=64, samples=64 * 16, algorithm="tempering", thermalization=20, spacing=2)
    sampler = Sampler(system, specs, order, np.random.default_rng(1))
    while not sampler.done:
        sampler.step()
    for spec, samples in zip(specs, sampler.result(), strict=True):
        truth = fock_space.averages(T=0.5, U=spec.interaction, slices=spec.slices)
        for name in ("double_occupancy", "energy"):
            summary = samples.certificate.observables[name]
            assert abs(summary.mean - truth[name]) < FALSE_ALARM_Z * summary.error
    report = samples.certificate.tempering
    assert report is not None
    assert min(report["exchange_rates"]) > 0.3


def test_saved_runs_go_on_where_intervals_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of single chains are part of a state, and runs cut anywhere are the same run."""
    spec = Spec(size=4, temperature=0.5, interaction=8.0)
    hot = np.arange(8) % 2 == 0
    probe = Simulation(spec, hot, "lines", np.random.default_rng(1))
    probe.advance(12)
    # The errors of two chains are called too large on the way, on any processor, and those of the others never are.
    monkeypatch.setattr(auxiliary_field, "LARGEST_DRIFT", float(np.sort(probe.updates.drift_R)[-3]))
    whole, parts, other = (Simulation(spec, hot, "lines", np.random.default_rng(seed)) for seed in (1, 1, 2))
    whole.advance(12)
    for sweeps in (5, 1, 6):
        parts.advance(sweeps)
    state = whole.state()
    assert len(np.unique(state["interval"])) > 1, "or this test shows nothing"
    for name, array in parts.state().items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    other.restore(state)
    for simulation in (whole, other):
        simulation.advance(3)
    np.testing.assert_array_equal(whole.configurations(), other.configurations())


def test_a_sign_that_is_lost_in_noise_is_not_certified() -> None:
    system = contract.load("hubbard")
    spec = Spec(size=4, temperature=0.125, interaction=6.0, chemical_potential=-2.0, trotter_step=0.25)
    result = sample(
        system, spec, chains=16, samples=16, algorithm="metropolis", thermalization=2, spacing=1,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert not result.certificate.certified
    assert any("the average sign is" in reason for reason in result.certificate.reasons)
