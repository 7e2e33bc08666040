"""What every system must keep, for each system found and for one that only exists in a temporary folder."""

import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import contract
from simulators.contract import Simulation, System
from simulators.sampling.certificate import Certificate
from simulators.sampling.sampler import sample
from simulators.sampling.samples import PointSamples

CHAINS = 6
MIXED = np.arange(CHAINS) % 2 == 0
DTYPES = {"bits": np.int8, "int8": np.int8, "float32": np.float32}


def start(system: System, spec: Any, algorithm: str, seed: int = 1, hot: NDArray[np.bool_] = MIXED) -> Simulation:
    return system.simulation(spec, hot, algorithm, np.random.default_rng(seed))


def short_samples(system: System, spec: Any, algorithm: str, seed: int = 1) -> PointSamples:
    return sample(
        system,
        spec,
        chains=CHAINS,
        samples=2 * CHAINS + 1,
        algorithm=algorithm,
        thermalization=2,
        spacing=1,
        rng=np.random.default_rng(seed),
    )


def has_a_frozen_spec_with_plain_fields(system: System, spec: Any, algorithm: str) -> None:
    assert isinstance(spec, system.spec)
    fields = dataclasses.asdict(spec)
    assert all(isinstance(value, int | float | str) for value in fields.values())
    assert system.spec(**fields) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.size = 8
    assert len(spec.shape) == 3
    assert all(length > 0 for length in spec.shape)


def describes_itself(system: System, spec: Any, algorithm: str) -> None:
    assert isinstance(system.version, int)
    names = system.names(spec)
    assert names.columns[0] == "energy"
    assert len(set(names.columns)) == len(names.columns) > 1
    assert set(names.judged) <= {*names.columns, *names.magnitudes}
    assert {name.removeprefix("abs_") for name in names.magnitudes} <= set(names.columns)
    assert system.refusal(spec, algorithm) is None
    assert "must be auto or one of" in str(system.refusal(spec, "no such algorithm"))
    assert system.ladder in dataclasses.asdict(spec)
    assert system.expected_tau(spec, algorithm) > 0
    assert system.nanoseconds(algorithm, spec) > 0


def gives_configurations_of_its_encoding(system: System, spec: Any, algorithm: str) -> None:
    simulation = start(system, spec, algorithm)
    simulation.advance(2)
    states = simulation.configurations()
    assert states.shape == (CHAINS, *spec.shape)
    assert states.dtype == DTYPES[system.encoding]
    if system.encoding == "bits":
        assert set(np.unique(states)) <= {-1, 1}
    states[:] = 0  # a copy: the simulation does not see this
    assert simulation.configurations().any()


def measures_energy_and_order_parameters(system: System, spec: Any, algorithm: str) -> None:
    simulation = start(system, spec, algorithm)
    simulation.advance(3)
    states = simulation.configurations()
    measured = simulation.measure()
    assert tuple(measured) == system.names(spec).columns
    for values in measured.values():
        assert values.shape == (CHAINS,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
    if system.encoding != "float32" or system.likelihood == "von-mises":
        for name in system.names(spec).order_parameters:
            assert (np.abs(measured[name]) <= 1).all()
    if "magnetization" in measured and system.encoding == "bits":
        np.testing.assert_allclose(measured["magnetization"], states.mean(axis=(1, 2, 3)), atol=1e-12)
    again = simulation.measure()
    assert all((again[name] == measured[name]).all() for name in measured)
    np.testing.assert_array_equal(simulation.configurations(), states)


def repeats_itself_from_a_seed(system: System, spec: Any, algorithm: str) -> None:
    runs = [start(system, spec, algorithm, seed) for seed in (1, 1, 2)]
    for run in runs:
        run.advance(5)
    same, again, other = (run.configurations() for run in runs)
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()


def is_the_same_run_when_cut_in_two(system: System, spec: Any, algorithm: str) -> None:
    whole, parts = start(system, spec, algorithm), start(system, spec, algorithm)
    whole.advance(20)
    for sweeps in (0, 7, 1, 12):
        parts.advance(sweeps)
        parts.measure()
    np.testing.assert_array_equal(whole.configurations(), parts.configurations())
    assert whole.acceptance == parts.acceptance


def goes_on_from_a_saved_state(system: System, spec: Any, algorithm: str) -> None:
    whole, other = start(system, spec, algorithm), start(system, spec, algorithm, seed=2, hot=~MIXED)
    whole.advance(19)
    state = whole.state()
    whole.advance(23)
    other.restore(state)
    other.advance(23)
    np.testing.assert_array_equal(whole.configurations(), other.configurations())
    assert whole.acceptance == other.acceptance
    assert whole.cost == other.cost
    state.pop(next(iter(state)))
    with pytest.raises(ValueError, match="state must have"):
        other.restore(state)


def exchanges_chains(system: System, spec: Any, algorithm: str) -> None:
    one, other = start(system, spec, algorithm), start(system, spec, algorithm, seed=2)
    for simulation in (one, other):
        simulation.advance(3)
    before = [simulation.configurations() for simulation in (one, other)]
    weight = [simulation.reduced_energy(spec) for simulation in (one, other)]
    chosen = np.array([True, False, False, True, True, False])
    one.exchange(other, chosen)
    for mine, (kept, given) in ((one, before), (other, before[::-1])):
        pick = chosen.reshape(-1, 1, 1, 1)
        np.testing.assert_array_equal(mine.configurations(), np.where(pick, given, kept))
    np.testing.assert_allclose(one.reduced_energy(spec), np.where(chosen, *weight[::-1]), rtol=1e-12)
    np.testing.assert_allclose(other.reduced_energy(spec), np.where(chosen, *weight), rtol=1e-12)


def knows_its_cost(system: System, spec: Any, algorithm: str) -> None:
    simulation = start(system, spec, algorithm)
    simulation.advance(2)
    assert 0 < simulation.cost < 1e9
    assert simulation.cost == start(system, spec, algorithm).cost or algorithm == "wolff"


def has_an_acceptance_that_is_a_share(system: System, spec: Any, algorithm: str) -> None:
    simulation = start(system, spec, algorithm)
    simulation.advance(3)
    # Wolff clusters may touch a site more than once in what counts as a sweep.
    assert 0 <= simulation.acceptance <= (np.inf if algorithm == "wolff" else 1)


def starts_from_any_mixture(system: System, spec: Any, algorithm: str) -> None:
    for hot in (np.zeros(1, dtype=bool), np.ones(65, dtype=bool), np.arange(3) == 1):
        simulation = start(system, spec, algorithm, hot=hot)
        simulation.advance(1)
        assert len(simulation.configurations()) == len(hot) == len(simulation.measure()["energy"])


def refuses_unknown_algorithms(system: System, spec: Any, algorithm: str) -> None:
    with pytest.raises(ValueError, match="no such algorithm"):
        start(system, spec, "no such algorithm")


def gives_exactly_the_samples_asked_for(system: System, spec: Any, algorithm: str) -> None:
    result = short_samples(system, spec, algorithm)
    count = 2 * CHAINS + 1
    assert result.configurations.shape == (count, *spec.shape)
    assert (result.chain.dtype, result.sweep.dtype) == (np.int32, np.int64)
    np.testing.assert_array_equal(result.chain, np.arange(count) % CHAINS)
    assert len(np.unique(result.sweep)) == 3
    assert tuple(result.observables) == system.names(spec).columns
    assert all(x.shape == (count,) and x.dtype == np.float64 for x in result.observables.values())
    again = short_samples(system, spec, algorithm)
    np.testing.assert_array_equal(result.configurations, again.configurations)
    assert result.certificate == again.certificate


def certifies_in_plain_json(system: System, spec: Any, algorithm: str) -> None:
    certificate = short_samples(system, spec, algorithm).certificate
    text = json.dumps(certificate.to_json(), allow_nan=False)
    assert Certificate.from_json(json.loads(text)) == certificate
    assert certificate.algorithm == algorithm
    names = system.names(spec)
    assert set(certificate.observables) == {*names.columns, *names.magnitudes}


def measures_on_request_what_it_offers(system: System, spec: Any, algorithm: str) -> None:
    offered = system.on_request(spec)
    if not offered:
        assert system.cannot_measure(spec, ("anything",)) is not None
        return
    names = system.names(spec, tuple(offered))
    assert len(set(names.columns)) == len(names.columns)
    assert set(names.columns) - set(system.names(spec).columns) == {x for e in offered.values() for x in e.columns}
    arguments = {"chains": CHAINS, "samples": CHAINS + 1, "algorithm": algorithm, "thermalization": 1, "spacing": 1}
    result = sample(system, spec, **arguments, rng=np.random.default_rng(3), measure=tuple(offered))
    assert tuple(result.observables) == names.columns
    shapes = {name: extra.shape for name, extra in offered.items() if extra.shape is not None}
    assert {name: x.shape for name, x in result.inputs.items()} == {
        name: (CHAINS + 1, *shape) for name, shape in shapes.items()
    }
    assert all(x.dtype == np.float32 and np.isfinite(x).all() for x in result.inputs.values())
    assert set(result.certificate.observables) == {*names.columns, *names.magnitudes}
    plain = sample(system, spec, **arguments, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(plain.configurations, result.configurations)


def says_the_states_of_a_site(system: System, spec: Any, algorithm: str) -> None:
    if system.likelihood == "multinomial":
        simulation = start(system, spec, algorithm)
        simulation.advance(3)
        assert set(np.unique(simulation.configurations())) <= set(system.states_of(spec))


def knows_its_energy_from_bonds(system: System, spec: Any, algorithm: str) -> None:
    """Where it says so, with the features that a decoder draws."""
    bonds = system.bond_sum(spec)
    if bonds is None:
        return
    simulation = start(system, spec, algorithm)
    simulation.advance(2)
    states = simulation.configurations()
    if system.likelihood == "multinomial":
        states = np.concatenate([states == value for value in system.states_of(spec)], axis=1)
    energies = -bonds.coupling * bonds.per_site(states)
    np.testing.assert_allclose(energies, simulation.measure()["energy"], rtol=1e-12, atol=1e-12)


PROPERTIES: tuple[Callable[[System, Any, str], None], ...] = (
    has_a_frozen_spec_with_plain_fields,
    describes_itself,
    gives_configurations_of_its_encoding,
    measures_energy_and_order_parameters,
    repeats_itself_from_a_seed,
    is_the_same_run_when_cut_in_two,
    goes_on_from_a_saved_state,
    exchanges_chains,
    knows_its_cost,
    has_an_acceptance_that_is_a_share,
    starts_from_any_mixture,
    refuses_unknown_algorithms,
    gives_exactly_the_samples_asked_for,
    certifies_in_plain_json,
    measures_on_request_what_it_offers,
    says_the_states_of_a_site,
    knows_its_energy_from_bonds,
)


@pytest.mark.parametrize("keeps", PROPERTIES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("name", contract.names())
def test_every_system(name: str, keeps: Callable[[System, Any, str], None]) -> None:
    system = contract.load(name)
    for algorithm in system.algorithms:
        keeps(system, system.example, algorithm)


@pytest.mark.parametrize("keeps", PROPERTIES, ids=lambda function: function.__name__)
def test_a_system_outside_the_checkout(elsewhere: Path, keeps: Callable[[System, Any, str], None]) -> None:
    system = contract.load("free-spins")
    keeps(system, system.example, "heat-bath")


def test_its_samples_have_the_exact_magnetization(elsewhere: Path) -> None:
    system = contract.load("free-spins")
    result = sample(
        system,
        system.example,
        chains=64,
        samples=64 * 128,
        algorithm="auto",
        thermalization="auto",
        spacing="auto",
        rng=np.random.default_rng(1),
    )
    magnetization = result.certificate.observables["magnetization"]
    assert result.certificate.certified
    # Student's t with 63 degrees of freedom beyond 5.5: 7e-7.
    assert abs(magnetization.mean + np.tanh(0.5)) < 5.5 * magnetization.error
    assert abs(magnetization.mean + np.tanh(0.5 * 1.05)) > 5.5 * magnetization.error, "negative control"
