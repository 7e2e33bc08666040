"""Observables of fields that come from elsewhere: those of a simulation, with Green's functions as good."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.fermions.auxiliary_field import SingularField
from simulators.systems import anderson
from simulators.systems.hubbard import Simulation, Spec


@pytest.mark.parametrize(
    "spec",
    [
        Spec(size=4, temperature=0.5, interaction=4.0),
        Spec(size=4, temperature=0.5, interaction=4.0, chemical_potential=-0.7),
        Spec(size=4, temperature=0.5, interaction=-4.0, chemical_potential=0.3, channel="charge"),
        Spec(size=2, temperature=0.5, interaction=4.0, channel="charge"),
    ],
)
def test_they_are_those_of_the_simulation(spec: Spec) -> None:
    simulation = Simulation(spec, np.arange(6) % 2 == 0, "metropolis", np.random.default_rng(1))
    simulation.advance(3)
    expected = simulation.measure()
    found = Simulation.of_fields(spec, simulation.configurations()).measure()
    assert tuple(found) == tuple(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-10, err_msg=name)


def test_other_systems_have_it_too() -> None:
    simulation = anderson.Simulation(anderson.EXAMPLE, np.ones(3, bool), "metropolis", np.random.default_rng(1))
    found = anderson.Simulation.of_fields(anderson.EXAMPLE, simulation.configurations()).measure()
    np.testing.assert_allclose(found["energy"], simulation.measure()["energy"], rtol=0, atol=1e-10)


def test_intervals_shrink_where_greens_functions_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that the energies are wrong: the negative control."""
    spec = Spec(size=4, temperature=0.125, interaction=8.0)
    field_RTIJ = np.where(np.random.default_rng(1).random((3, *spec.shape)) < 0.5, -1, 1).astype(np.int8)
    expected = Simulation.of_fields(spec, field_RTIJ).measure()["energy"]
    monkeypatch.setattr(Spec, "interval", property(lambda self: 20))
    chains = Simulation.of_fields(spec, field_RTIJ)
    assert (chains.updates.interval_R < 20).all()
    np.testing.assert_allclose(chains.measure()["energy"], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(chains.configurations(), field_RTIJ)
    chains.updates.interval_R[:] = 20
    assert not np.allclose(chains.measure()["energy"], expected, rtol=0, atol=1e-6)


def test_what_cannot_be_computed_is_said() -> None:
    spec = Spec(size=2, temperature=0.5, interaction=4.0)
    chains = Simulation.of_fields(spec, np.ones((2, *spec.shape), dtype=np.int8))
    model = chains.updates.model
    chains.updates.model = replace(model, hop_NN=np.full_like(model.hop_NN, np.nan))
    with pytest.raises(SingularField, match="wrong by inf, even when computed anew at every slice"):
        chains.updates.settle()
