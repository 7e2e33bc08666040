"""Green's functions, flips and stabilization against matrices multiplied and inverted as they are."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.fermions import auxiliary_field, greens_functions
from simulators.fermions.auxiliary_field import SingularField
from simulators.fermions.determinants import Factors, greens
from simulators.fermions.field_chains import Lines, Metropolis
from simulators.fermions.greens_functions import Fermions, GreensFunctions
from simulators.fermions.hirsch import FieldSpec, fermions
from simulators.fermions.tight_binding import sublattices
from simulators.rng.sfc64 import generators, uniform
from simulators.systems import anderson, hubbard
from simulators.systems.hubbard import Spec

SPECS: dict[str, FieldSpec] = {
    "half filling": Spec(size=4, temperature=0.5, interaction=4.0),
    "doped": Spec(size=4, temperature=0.5, interaction=4.0, chemical_potential=-0.5),
    "attractive": Spec(size=4, temperature=0.5, interaction=-4.0, chemical_potential=0.5, channel="charge"),
    "charge": Spec(size=4, temperature=0.5, interaction=4.0, channel="charge"),
    "long rows": Spec(size=6, temperature=2.0, interaction=5.0, chemical_potential=0.3, trotter_step=0.125),
    "twisted": Spec(size=4, temperature=0.5, interaction=4.0, twist_x=0.15, twist_y=0.3),
    "charge, twisted": Spec(size=4, temperature=0.5, interaction=4.0, channel="charge", twist_x=0.15, twist_y=0.3),
    "antiperiodic": Spec(size=4, temperature=0.5, interaction=4.0, chemical_potential=-0.5, twist_y=0.5),
    "anderson": anderson.Spec(size=4, temperature=0.5, interaction=4.0, hybridization=0.8),
    "anderson, doped": anderson.Spec(
        size=2, temperature=0.5, interaction=4.0, hybridization=-1.2, chemical_potential=-0.5, level=0.3
    ),
    "anderson, charge": anderson.Spec(size=2, temperature=0.5, interaction=4.0, hybridization=1.0, channel="charge"),
    "anderson, twisted": anderson.Spec(
        size=4, temperature=0.5, interaction=4.0, hybridization=0.8, twist_x=0.15, twist_y=0.3
    ),
}
HOLES = ("half filling", "twisted", "anderson", "anderson, twisted")
ONE_SPECIES = (*HOLES, "attractive", "charge", "charge, twisted", "anderson, charge")


def both_spins(spec: FieldSpec) -> Fermions:
    """The same model with a determinant for each spin, also where one is known from the other."""
    field_2 = np.array([-1.0, 1.0])
    sigma_2 = np.array([1.0, -1.0] if spec.channel == "spin" else [1.0, 1.0])
    model = fermions(spec)
    return dataclasses.replace(
        model,
        vertex_S2=np.exp(spec.coupling * np.outer(sigma_2, field_2)).astype(model.vertex_S2.dtype),
        log_weight_2=-spec.coupling * field_2 * (spec.channel == "charge"),
    )


def random_fields(spec: FieldSpec, chains: int = 3, seed: int = 1) -> NDArray[np.int8]:
    shape = (chains, spec.slices, spec.size**2)
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, -1, 1).astype(np.int8)


def products(model: Fermions, field_CTN: NDArray[np.int8], last: int) -> NDArray[np.complex128]:
    """(S, C, N, N) B_last ... B_0 B_(T - 1) ... B_(last + 1), multiplied as they are."""
    slices = field_CTN.shape[1]
    orbitals = len(model.hop_NN)
    product: NDArray[np.complex128] = np.eye(orbitals, dtype=complex)
    for t in (np.arange(last + 1, last + 1 + slices)) % slices:
        vertex_SCN = np.ones((len(model.vertex_S2), len(field_CTN), orbitals), dtype=complex)
        vertex_SCN[..., : field_CTN.shape[2]] = model.vertex_S2[:, (field_CTN[:, t] + 1) // 2]
        product = vertex_SCN[..., None] * (model.hop_NN @ product)
    return product


def weights(model: Fermions, field_CTN: NDArray[np.int8]) -> NDArray[np.complex128]:
    """(C,) of fields, for a model of both spins."""
    one = np.eye(len(model.hop_NN))
    determinants_SC = np.linalg.det(one + products(model, field_CTN, field_CTN.shape[1] - 1))
    explicit_C = model.log_weight_2[(field_CTN + 1) // 2].sum(axis=(1, 2))
    return np.asarray(determinants_SC.prod(axis=0) * np.exp(explicit_C))


def greens_of(spec: FieldSpec, model: Fermions, interval: int = 5, chains: int = 3) -> GreensFunctions:
    return GreensFunctions(model, random_fields(spec, chains), generators(np.random.default_rng(2), chains), interval)


@pytest.mark.parametrize("interval", [1, 3, 5])
@pytest.mark.parametrize("name", SPECS)
def test_greens_functions_are_inverses(name: str, interval: int) -> None:
    spec = SPECS[name]
    model = fermions(spec)
    greens = greens_of(spec, model, interval)
    one = np.eye(spec.orbitals)
    last = spec.slices - 1
    np.testing.assert_allclose(greens.bottom(), np.linalg.inv(one + products(model, greens.field_CTN, last)), atol=1e-9)
    count = 0
    for t, G_SCNN in enumerate(greens.each_slice()):
        np.testing.assert_allclose(G_SCNN, np.linalg.inv(one + products(model, greens.field_CTN, t)), atol=1e-9)
        count += 1
    assert count == spec.slices


@pytest.mark.parametrize("name", SPECS)
def test_weights_and_signs_are_determinants(name: str) -> None:
    spec = SPECS[name]
    sign_C, log_C = greens_of(spec, fermions(spec)).log_weight()
    expected_C = weights(both_spins(spec), random_fields(spec))
    np.testing.assert_allclose(sign_C, (expected_C / np.abs(expected_C)).real, atol=1e-9)
    # Up to factors that all fields share.
    shift_C = log_C - np.log(np.abs(expected_C))
    np.testing.assert_allclose(shift_C, shift_C[0], atol=1e-8)


def test_negative_weights_are_found() -> None:
    spec = Spec(size=2, temperature=0.2, interaction=6.0, chemical_potential=-2.0, trotter_step=0.25)
    field_CTN = random_fields(spec, chains=400)
    greens = GreensFunctions(fermions(spec), field_CTN, generators(np.random.default_rng(2), 400), 4)
    expected_C = np.sign(weights(both_spins(spec), field_CTN).real)
    np.testing.assert_array_equal(greens.log_weight()[0], expected_C)
    assert 10 < (expected_C < 0).sum() < 390


@pytest.mark.parametrize("name", HOLES)
def test_particles_are_holes_of_the_other_spin(name: str) -> None:
    """G_down = P (1 - G_up^+) P at half filling, with the opposite P on c and f of a cell; not so with the same."""
    spec = SPECS[name]
    up_CNN, down_CNN = greens_of(spec, both_spins(spec)).bottom()
    alternating = np.concatenate((sublattices(4), -sublattices(4)))[: spec.orbitals]
    for sign_N, right in ((alternating, True), (np.resize(sublattices(4), spec.orbitals), spec.orbitals == 16)):
        holes_CNN = np.outer(sign_N, sign_N) * (np.eye(spec.orbitals) - up_CNN.conj().swapaxes(-1, -2))
        assert (np.abs(down_CNN - holes_CNN).max() < 1e-9) == right


@pytest.mark.parametrize("name", ONE_SPECIES)
def test_one_species_or_two_are_measured_the_same(name: str) -> None:
    """Every observable of a field, whatever its Green's functions are complex in."""
    spec = SPECS[name]
    module = anderson if isinstance(spec, anderson.Spec) else hubbard
    measured = []
    for make in (fermions, both_spins):
        simulation = module.Simulation(spec, np.ones(3, dtype=bool), "metropolis", np.random.default_rng(1))
        simulation.updates.model = make(spec)
        measured.append(simulation.measure())
    for column in module.Simulation.columns:
        np.testing.assert_allclose(measured[0][column], measured[1][column], atol=1e-9, err_msg=column)


def plain_sweep(model: Fermions, field_CTN: NDArray[np.int8], state_CV: NDArray[np.uint64]) -> None:
    """Every flip by the determinants of all it changes, with the same random numbers."""
    _, slices, sites = field_CTN.shape
    before_C = np.abs(weights(model, field_CTN))
    for t in [*range(slices), *reversed(range(slices))]:
        for i in range(sites):
            field_CTN[:, t, i] *= -1
            after_C = np.abs(weights(model, field_CTN))
            taken_C = np.array([uniform(state_V) for state_V in state_CV]) < after_C / before_C
            field_CTN[~taken_C, t, i] *= -1
            before_C = np.where(taken_C, after_C, before_C)


@pytest.mark.parametrize("name", SPECS)
def test_flips_are_those_of_plain_determinants(name: str) -> None:
    """The same fields, flip for flip: ratios, delayed updates, wrapping, both directions, one species for both."""
    spec = dataclasses.replace(SPECS[name], temperature=2.0, trotter_step=0.125)
    greens = greens_of(spec, fermions(spec), interval=3, chains=2)
    field_CTN, state_CV = random_fields(spec, 2), generators(np.random.default_rng(2), 2)
    for _ in range(2):
        greens.sweep()
        plain_sweep(both_spins(spec), field_CTN, state_CV)
    np.testing.assert_array_equal(greens.field_CTN, field_CTN)
    np.testing.assert_array_equal(greens.state_CV, state_CV)
    assert (field_CTN != random_fields(spec, 2)).mean() > 0.1


@pytest.mark.parametrize("name", ONE_SPECIES)
def test_one_species_or_two_give_the_same_fields(name: str) -> None:
    spec = SPECS[name]
    runs = [greens_of(spec, make(spec)) for make in (fermions, both_spins)]
    for run in runs:
        for _ in range(5):
            assert (run.sweep() < 1e-6).all()
            run.flip_line()
    np.testing.assert_array_equal(runs[0].field_CTN, runs[1].field_CTN)


def updates(spec: FieldSpec, chains: int = 3, kind: Callable[..., Metropolis] = Metropolis) -> Metropolis:
    states = random_fields(spec, chains).reshape(chains, *spec.shape)
    return kind(spec, states, np.random.default_rng(3))


@pytest.mark.parametrize("size", [4, 10])
def test_a_chain_does_not_depend_on_what_it_is_swept_with(size: int) -> None:
    """Bit for bit: together up to 64 sites, one by one above."""
    spec = Spec(size=size, temperature=1.0, interaction=4.0, chemical_potential=-0.3, trotter_step=0.25)
    together, alone = updates(spec, 3), updates(spec, 3)
    together.advance(3)
    for r in range(3):
        chosen = np.array([r])
        alone._advance(chosen, 3)
    np.testing.assert_array_equal(together.states_RTIJ, alone.states_RTIJ)
    np.testing.assert_array_equal(together.drift_R, alone.drift_R)


@pytest.mark.parametrize("name", ["half filling", "doped"])
@pytest.mark.parametrize("algorithm", [Metropolis, Lines])
def test_cached_greens_functions_are_those_of_the_fields(
    algorithm: type[Metropolis], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit what computing them anew gives, in several batches, looked at between sweeps, with fields that come
    from elsewhere and batches that change; within a bound of memory, and only what may be used again."""
    spec, made = SPECS[name], []
    make = GreensFunctions.__init__

    def counted(*args: Any) -> None:
        made.append(1)
        make(*args)

    def run(cache_bytes: int) -> list[NDArray[Any]]:
        monkeypatch.setattr(auxiliary_field, "CACHE_BYTES", cache_bytes)
        one, other = updates(spec, 5, algorithm), updates(spec, 5, algorithm)
        seen: list[NDArray[Any]] = []

        def go(sweeps: int) -> None:
            one.advance(sweeps)
            assert sum(greens.nbytes for greens in one._cache.values()) <= cache_bytes
            seen.extend([one.states(), one.state_RV.copy(), one.drift_R.copy()])
            for chosen_C in one.batches():
                greens = one.greens_functions(chosen_C)
                seen.extend([*greens.log_weight(), greens.drift(), *(G.copy() for G in greens.each_slice())])

        other.advance(1)
        go(1)
        go(2)
        one.exchange(other, np.array([True, False, True, False, False]))
        go(1)
        one.states_RTIJ[1, 3] *= -1
        go(2)
        one._halve(np.array([1]), np.array([1.0]))
        go(1)
        go(1)
        assert set(one._cache) <= {int(chosen_C[0]) for chosen_C in one.batches()}
        return seen

    size = len(fermions(spec).vertex_S2) * 16**2 * 8
    monkeypatch.setattr(auxiliary_field, "BATCH_BYTES", 2 * size)
    monkeypatch.setattr(GreensFunctions, "__init__", counted)
    results, counts = [], []
    for cache_bytes in (0, 2**18, 2**24):
        made.clear()
        results.append(run(cache_bytes))
        counts.append(len(made))
    for found in results[1:]:
        for anew, kept in zip(results[0], found, strict=True):
            np.testing.assert_array_equal(anew, kept)
    assert counts[0] > counts[1] >= counts[2]


ROUNDED = """
import hashlib, numpy as np
from simulators.systems.hubbard import Simulation, Spec
for values in ({"channel": "charge"}, {"chemical_potential": -0.5}):
    spec = Spec(size=4, temperature=0.5, interaction=4.0, trotter_step=0.125, **values)
    simulation = Simulation(spec, np.ones(4, dtype=bool), "metropolis", np.random.default_rng(1))
    simulation.advance(3)
    print(hashlib.sha256(simulation.updates.drift_R.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_who_compiles_rounds_as_who_finds_it_compiled(tmp_path: Path) -> None:
    """A process without numba's cache, then one with it: drift shows the last digit of everything."""
    found = [
        subprocess.run(
            [sys.executable, "-c", ROUNDED],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert len(found[0]) == 2 and found[0] == found[1]


def test_coarse_stabilization_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Green's functions that are never computed anew within a pass are wrong, which is noticed: the sweep is made
    again until they are right, and gives what it would have given from the start."""
    spec = Spec(size=4, temperature=0.25, interaction=8.0)
    right = updates(spec)
    right.advance(4)
    assert (right.interval_R == 5).all()
    monkeypatch.setattr(Spec, "interval", spec.slices)
    coarse = updates(spec)
    coarse.advance(4)
    assert (coarse.interval_R <= 10).all()
    assert (coarse.drift_R < 1e-6).all()
    np.testing.assert_array_equal(coarse.states_RTIJ, right.states_RTIJ)
    assert coarse.acceptance == right.acceptance
    # Negative control: nobody looks, and other fields come out.
    monkeypatch.setattr(auxiliary_field, "LARGEST_DRIFT", np.inf)
    blind = updates(spec)
    blind.advance(4)
    assert (blind.drift_R > 1e-3).all()
    assert (blind.states_RTIJ != right.states_RTIJ).any()


def test_cold_strong_and_large() -> None:
    """beta = 12, U = 8, L = 8: 64 sites in 120 slices."""
    spec = Spec(size=8, temperature=1 / 12, interaction=8.0)
    assert spec.slices == 120
    run = updates(spec, 2)
    run.advance(2)
    assert 0 < run.drift_R.max() < 1e-6
    assert (run.interval_R == spec.interval).all(), "without having to take a sweep back"


def test_what_cannot_be_computed_stops_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS["half filling"]
    run = updates(spec)
    working = greens_functions.greens

    def singular(*args: Factors | None) -> NDArray[np.float64]:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(greens_functions, "greens", singular)
    before = run.states()
    with pytest.raises(SingularField, match=r"at Spec\(size=4.*singular to double precision"):
        run.advance(1)
    np.testing.assert_array_equal(run.states(), before)
    monkeypatch.setattr(greens_functions, "greens", lambda *args: working(*args) * np.nan)
    with pytest.raises(SingularField, match="wrong by inf"):
        run.advance(1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_numbers_too_large_are_an_error(count: int) -> None:
    """What was overflown, in any of the matrices, is not taken for a result."""
    X = np.full((count, 4, 4), np.inf)
    if count:
        with pytest.raises(np.linalg.LinAlgError):
            Factors.identity(X.shape, X.dtype).extended(X)
    else:
        assert Factors.identity(X.shape, X.dtype).extended(X).D.shape == (0, 4)


def test_hopping_and_its_inverse() -> None:
    spec = Spec(size=6, temperature=1.0, interaction=0.0, chemical_potential=0.4)
    model = fermions(spec)
    np.testing.assert_allclose(model.hop_NN @ model.unhop_NN, np.eye(36), atol=1e-12)
    T_NN = spec.amplitudes()
    assert (T_NN.sum(axis=0) == 4).all()
    assert (T_NN == T_NN.T).all()
    assert (T_NN * np.outer(sublattices(6), sublattices(6)) == -T_NN).all(), "bipartite"


def test_a_green_function_needs_a_factor() -> None:
    with pytest.raises(ValueError, match="left or right must be given"):
        greens(None, None)
