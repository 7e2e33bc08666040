"""What auxiliary fields are measured for on request: against Fock space, free fermions, and what must be equal.

About 140 comparisons with the false alarms of ``measured.LARGEST_Z``; the rest is exact."""

import dataclasses
from typing import Any

import fock_space
import numpy as np
import occupations
import pytest
from measured import LARGEST_Z, Series, largest_z

from simulators import contract
from simulators.fermions import on_request
from simulators.systems import anderson, hubbard

CHAINS = 128


def everything(spec: Any) -> tuple[str, ...]:
    return tuple(name for name in on_request.measurements(spec) if name != "green")


def simulated(spec: Any, chains: int, sweeps: int, seed: int = 1) -> Any:
    simulation = contract.load("anderson" if hasattr(spec, "level") else "hubbard").simulation
    made: Any = simulation(spec, np.arange(chains) % 2 == 0, "metropolis", np.random.default_rng(seed))
    made.advance(sweeps)
    return made


def run(spec: Any, rounds: int) -> Series:
    simulation, found = simulated(spec, CHAINS, 20), []
    for _ in range(rounds):
        simulation.advance(2)
        found.append({"sign": simulation.measure()["sign"]} | simulation.measure_on_request(everything(spec)))
    return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}


def exact(spec: Any, **changes: float) -> dict[str, float]:
    return fock_space.on_request(
        T=spec.temperature, U=spec.interaction, mu=spec.chemical_potential, slices=spec.slices,
        distances=on_request.distances(spec.slices), **changes,
    )  # fmt: skip


def cell(**values: Any) -> hubbard.Spec:
    return hubbard.Spec(size=2, **values)


POINTS = {
    "half filling": cell(temperature=0.5, interaction=4.0, trotter_step=0.1),
    "doped": cell(temperature=0.5, interaction=4.0, chemical_potential=-1.0, trotter_step=0.2),
    "attractive": cell(temperature=0.5, interaction=-4.0, chemical_potential=0.5, trotter_step=0.2, channel="charge"),
    "charge": cell(temperature=0.5, interaction=4.0, trotter_step=0.2, channel="charge"),
    "negative weights": cell(temperature=0.2, interaction=6.0, chemical_potential=-2.0, trotter_step=0.25),
}


@pytest.mark.parametrize("name", POINTS)
def test_against_fock_space(name: str) -> None:
    """And, as negative controls, with pairs of another form factor and imaginary time turned around."""
    spec = POINTS[name]
    measured, truth = run(spec, rounds=10), exact(spec)
    assert set(truth) == set(measured) - {"sign"}
    worst = largest_z(measured, truth)
    assert worst < (LARGEST_Z, ""), worst
    if name == "negative weights":
        # Large errors tell nothing apart.
        return
    other = {"pair_structure": exact(spec, along_y=1.0)["pair_structure"]}
    assert largest_z(measured, other)[0] > 2 * LARGEST_Z
    green = {time: value for time, value in truth.items() if time.startswith("green")}
    turned = dict(zip(green, reversed(green.values()), strict=True))
    if name in ("doped", "attractive"):
        # At half filling G(beta - tau) = G(tau).
        assert largest_z(measured, turned)[0] > 2 * LARGEST_Z


def test_the_anderson_model_against_fock_space() -> None:
    spec = anderson.Spec(
        size=2, temperature=0.5, interaction=3.0, hybridization=1.0, chemical_potential=-0.8, trotter_step=0.5
    )
    truth = occupations.anderson_on_request(
        T=spec.temperature, U=spec.interaction, V=spec.hybridization, mu=spec.chemical_potential, slices=spec.slices
    )
    measured = run(spec, rounds=10)
    worst = largest_z(measured, truth)
    assert worst < (LARGEST_Z, ""), worst
    # Negative control: without an interaction.
    other = free(dataclasses.replace(spec, interaction=0.0))
    assert largest_z(measured, {name: other[name] for name in truth})[0] > 5 * LARGEST_Z


FREE = {
    "hubbard": hubbard.Spec(
        size=4, temperature=0.3, interaction=0.0, chemical_potential=-0.7, trotter_step=0.1, twist_x=0.5
    ),
    "hubbard, one species": hubbard.Spec(size=4, temperature=0.3, interaction=0.0, trotter_step=0.1),
    "hubbard, complex": hubbard.Spec(
        size=4, temperature=0.3, interaction=0.0, trotter_step=0.1, twist_x=0.15, twist_y=0.3
    ),
    "anderson": anderson.Spec(
        size=4,
        temperature=0.3,
        interaction=0.0,
        hybridization=0.8,
        level=-0.4,
        chemical_potential=0.3,
        trotter_step=0.1,
    ),
    "anderson, one species": anderson.Spec(
        size=4, temperature=0.3, interaction=0.0, hybridization=0.8, trotter_step=0.1, channel="charge"
    ),
}


def free(spec: Any) -> dict[str, float]:
    """By momenta 2 pi (n + twist) / L, of f where there is one."""
    L, tau_T = spec.size, spec.trotter_step * np.arange(spec.slices + 1)
    n_y, n_x = np.indices((L, L))
    k_x, k_y = (2 * np.pi * (n + twist) / L for n, twist in ((n_x, spec.twist_x), (n_y, spec.twist_y)))
    h = (-2 * (np.cos(k_x) + np.cos(k_y)))[..., None, None]
    if hasattr(spec, "level"):
        V, level = np.full_like(h, -spec.hybridization), np.full_like(h, spec.level)
        h = np.block([[level, V], [V, h]])
    energy, mode = np.linalg.eigh(h - spec.chemical_potential * np.eye(h.shape[-1]))
    part = np.abs(mode[..., 0, :]) ** 2
    occupied = 1 / (1 + np.exp(energy / spec.temperature))
    grown = np.exp(tau_T[:, None, None, None] * energy)
    particle, hole = (part / grown * (1 - occupied)).sum(axis=-1), (part * grown * occupied).sum(axis=-1)

    def spins(x: int, y: int) -> Any:
        moved = np.roll(particle, (-y, -x), axis=(1, 2))
        return (moved * hole).mean(axis=(1, 2)) / 2

    found = {}
    for x, y in on_request.stars_of(L):
        star = {(a % L, b % L) for s in (x, -x) for u in (y, -y) for a, b in ((s, u), (u, s))}
        found[f"spin_structure_q_{x}_{y}"] = float(np.mean([spins(*q)[0] for q in star]))
    if on_request.real_twists(spec):
        opposite = particle[0][(-n_y - round(2 * spec.twist_y)) % L, (-n_x - round(2 * spec.twist_x)) % L]
        found["pair_structure"] = float(((np.cos(k_x) - np.cos(k_y)) ** 2 * particle[0] * opposite).mean())
    staggered = spins(L // 2, L // 2)
    found["spin_susceptibility"] = float(spec.trotter_step * staggered[:-1].sum())
    for tau in on_request.distances(spec.slices):
        found[f"green_tau_{tau:03d}"] = float(particle[tau].mean())
        found[f"spin_structure_tau_{tau:03d}"] = float(staggered[tau])
    return found


@pytest.mark.parametrize("name", FREE)
def test_no_interaction_is_free_fermions(name: str) -> None:
    spec = FREE[name]
    measured, truth = simulated(spec, 2, 0).measure_on_request(everything(spec)), free(spec)
    assert set(truth) == set(measured)
    for column, value in truth.items():
        np.testing.assert_allclose(measured[column], value, atol=1e-10, err_msg=column)


FIELDS = {
    "doped": hubbard.Spec(size=4, temperature=0.25, interaction=4.0, chemical_potential=-0.7, trotter_step=0.1),
    "one species": hubbard.Spec(size=4, temperature=0.25, interaction=4.0, trotter_step=0.1),
    "twisted": hubbard.Spec(size=4, temperature=0.5, interaction=4.0, trotter_step=0.1, twist_x=0.2),
    "anderson": anderson.Spec(size=2, temperature=0.25, interaction=4.0, hybridization=0.8, trotter_step=0.1),
    "anderson, doped": anderson.Spec(
        size=2, temperature=0.25, interaction=4.0, hybridization=0.8, chemical_potential=-0.4, trotter_step=0.1
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_what_must_be_equal_in_every_field(name: str) -> None:
    spec = FIELDS[name]
    simulation = simulated(spec, 4, 3)
    usual, found = simulation.measure(), simulation.measure_on_request(tuple(on_request.measurements(spec)))
    half, last = spec.size // 2, spec.slices
    same: dict[str, tuple[Any, Any]] = {
        "S(pi, pi)": (found[f"spin_structure_q_{half}_{half}"], usual["spin_structure"]),
        "the moment": (sum_over_momenta(found, spec.size), usual["local_moment"] / 4),
        "anticommutator": (found["green_tau_000"] + found[f"green_tau_{last:03d}"], 1.0),
        "periodic": (found["spin_structure_tau_000"], found[f"spin_structure_tau_{last:03d}"]),
    }
    density = usual["f_density" if hasattr(spec, "level") else "density"]
    trace = np.einsum("rsii->r", found["green"]) / found["green"].shape[1] / spec.size**2
    if not spec.holes:
        same["G"] = trace, 1 - density / 2
    for what, (one, other) in same.items():
        np.testing.assert_allclose(one, np.broadcast_to(other, one.shape), atol=1e-8, err_msg=what)


def sum_over_momenta(found: dict[str, Any], size: int) -> Any:
    """(1/N) sum_q S(q), each star as often as it has momenta."""
    total = 0.0
    for x, y in on_request.stars_of(size):
        signs = np.prod([1 if k in (0, size // 2) else 2 for k in (x, y)])
        total = total + found[f"spin_structure_q_{x}_{y}"] * signs * (1 if x == y else 2)
    return total / size**2


@pytest.mark.parametrize("chemical_potential", [0.0, -0.5])
def test_cold_and_strong_fields(chemical_potential: float) -> None:
    """By blocks of several slices as by single ones; too large blocks lose everything."""
    spec = hubbard.Spec(
        size=4, temperature=1 / 12, interaction=8.0, chemical_potential=chemical_potential, trotter_step=0.1
    )
    simulation = simulated(spec, 2, 3)
    usual = simulation.measure_on_request(("imaginary-time",))
    simulation.updates.interval_R[:] = 1
    single = simulation.measure_on_request(("imaginary-time",))
    for name, value in usual.items():
        np.testing.assert_allclose(value, single[name], atol=1e-6, err_msg=name)
    simulation.updates.interval_R[:] = spec.slices // 2
    rare = simulation.measure_on_request(("imaginary-time",))
    assert max(np.abs(rare[name] - single[name]).max() for name in single) > 1e-3, "negative control"


def test_what_is_offered() -> None:
    complex_twist = hubbard.Spec(size=4, temperature=0.5, interaction=4.0, twist_x=0.15)
    system = contract.load("hubbard")
    assert system.cannot_measure(complex_twist, ("structure-factors", "green")) is None
    text = system.cannot_measure(complex_twist, ("pairs",))
    assert text == "must be some of structure-factors, imaginary-time, green, got 'pairs'"
    ising = contract.load("ising")
    assert ising.cannot_measure(ising.example, ("green",)) == "ising measures nothing on request, got 'green'"
    assert on_request.stars_of(4) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert on_request.distances(40) == [0, 3, 6, 9, 12, 15, 18, 20, 21, 24, 27, 30, 33, 36, 39, 40]
