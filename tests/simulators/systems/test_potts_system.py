"""Potts model: specs, what is refused, observables and starts."""

from typing import Any

import numpy as np
import pytest

from simulators.contract import SpecError
from simulators.systems.potts import ALGORITHMS, JUDGED, ORDER_PARAMETERS, Simulation, Spec, refuse

GOOD: dict[str, Any] = {"size": 8, "states": 3, "coupling": 1.0, "temperature": 1.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"states": 1}, "states: must be 2 to 64, got 1"),
        ({"states": 65}, "states: must be 2 to 64, got 65"),
        ({"size": 1}, "size: must be at least 2, got 1"),
        (
            {"size": 7, "coupling": -1.0},
            "size: must be even with a negative coupling, since two sublattices do not fit",
        ),
        ({"coupling": 0.0}, "coupling: must not be zero"),
        ({"coupling": float("nan")}, "coupling: must be finite"),
        ({"temperature": 0.0}, "temperature: must be positive"),
        ({"temperature": float("inf")}, "temperature: must be finite"),
        ({"temperature": float("nan")}, "temperature: must be finite"),
    ],
)
def test_what_is_not_physical_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec(**(GOOD | wrong))


def test_clusters_need_a_ferromagnet() -> None:
    spec = Spec(**(GOOD | {"coupling": -1.0}))
    for algorithm in ("swendsen-wang", "wolff"):
        assert "Fortuin-Kasteleyn clusters need J > 0" in str(refuse(spec, algorithm))
        with pytest.raises(ValueError, match="take metropolis or heat-bath"):
            Simulation(spec, np.ones(2, dtype=bool), algorithm, np.random.default_rng(1))
    assert all(refuse(Spec(**GOOD), algorithm) is None for algorithm in ALGORITHMS)
    assert all(refuse(spec, algorithm) is None for algorithm in ("metropolis", "heat-bath"))


def measured(spec: Spec, states_IJ: Any) -> dict[str, float]:
    simulation = Simulation(spec, np.zeros(1, dtype=bool), "metropolis", np.random.default_rng(1))
    simulation.updates.arrays()["states"][0] = np.asarray(states_IJ, dtype=np.int8)[..., None]
    return {name: float(x_R[0]) for name, x_R in simulation.measure().items()}


def test_observables_of_known_states() -> None:
    spec = Spec(**(GOOD | {"size": 4}))
    uniform = measured(spec, np.full((4, 4), 2))
    assert (uniform["energy"], uniform["magnetization"], uniform["magnetization_2"]) == (-2, 1, 1)
    assert (uniform["magnetization_0"], uniform["staggered_magnetization"]) == (-0.5, 0)
    odd_IJ = np.indices((4, 4)).sum(axis=0) % 2
    two = measured(spec, odd_IJ)
    assert (two["energy"], two["staggered_magnetization"]) == (0, 1)
    assert (two["staggered_magnetization_0"], two["staggered_magnetization_1"]) == (1, -1)
    assert two["magnetization"] == pytest.approx((3 * 0.5 - 1) / 2)
    # One sublattice has one value, the other both of the others: again no value in common.
    mixed_IJ = np.where(odd_IJ == 1, 1 + np.arange(4)[:, None] // 2, 0)
    mixed = measured(spec, mixed_IJ)
    assert mixed["staggered_magnetization"] == 1
    assert mixed["staggered_magnetization_1"] == -0.5


def test_observables_are_those_of_the_configurations() -> None:
    spec = Spec(size=6, states=5, coupling=-1.5, temperature=0.8)
    simulation = Simulation(spec, np.arange(70) % 2 == 0, "heat-bath", np.random.default_rng(2))
    simulation.advance(7)
    states_RIJ, values = simulation.configurations()[:, 0], simulation.measure()
    bonds_R = sum((states_RIJ == np.roll(states_RIJ, 1, axis)).sum((1, 2)) for axis in (1, 2))
    np.testing.assert_allclose(values["energy"], 1.5 * bonds_R / 36)
    even_IJ = np.indices((6, 6)).sum(axis=0) % 2 == 0
    share_RS = np.stack([(states_RIJ == s).mean((1, 2)) for s in range(5)], axis=1)
    np.testing.assert_allclose(values["magnetization"], (5 * share_RS.max(1) - 1) / 4)
    for s in range(5):
        np.testing.assert_allclose(values[f"magnetization_{s}"], (5 * share_RS[:, s] - 1) / 4)
        difference_R = (states_RIJ == s)[:, even_IJ].mean(1) - (states_RIJ == s)[:, ~even_IJ].mean(1)
        np.testing.assert_allclose(values[f"staggered_magnetization_{s}"], difference_R)


def test_odd_lattices_have_no_sublattices() -> None:
    spec = Spec(**(GOOD | {"size": 7}))
    assert ORDER_PARAMETERS(spec) == ("magnetization", "magnetization_0", "magnetization_1", "magnetization_2")
    assert JUDGED(spec) == ("energy", "magnetization")
    assert JUDGED(Spec(**GOOD)) == ("energy", "magnetization", "staggered_magnetization")


@pytest.mark.parametrize(("states", "coupling"), [(2, 1.0), (3, 1.0), (10, 1.0), (2, -1.0)])
def test_cold_starts_are_free_of_stripes(states: int, coupling: float) -> None:
    """Every hot chain reaches the ground state, which a wall would not; all degenerate states occur."""
    spec = Spec(size=32, states=states, coupling=coupling, temperature=0.15)
    simulation = Simulation(spec, np.ones(256, dtype=bool), "heat-bath", np.random.default_rng(3))
    simulation.advance(20)
    values = simulation.measure()
    # One site in 10^5 is excited at this temperature, a wall costs 2 L / L^2 = 1 / 16.
    ground = -2.0 if coupling > 0 else 0.0
    assert np.abs(values["energy"] - ground).max() < 0.02
    kind = "magnetization" if coupling > 0 else "staggered_magnetization"
    occurring = np.stack([values[f"{kind}_{s}"] > 0.9 for s in range(states)]).sum(axis=1)
    # Binomial counts of 256: within 5.5 standard deviations, false alarm 4e-8 each.
    expected, spread = 256 / states, np.sqrt(256 / states * (1 - 1 / states))
    assert np.abs(occurring - expected).max() < 5.5 * spread
    assert occurring.sum() == 256


@pytest.mark.parametrize(("states", "coupling"), [(3, 1.0), (3, -1.0), (2, -1.0)])
def test_ordered_starts_are_ground_states(states: int, coupling: float) -> None:
    spec = Spec(size=8, states=states, coupling=coupling, temperature=0.5)
    states_RIJ = Simulation.start(spec, np.zeros(300, dtype=bool), np.random.default_rng(4))
    bonds_R = sum((states_RIJ == np.roll(states_RIJ, 1, axis)).sum((1, 2)) for axis in (1, 2))
    assert set(bonds_R) == ({128} if coupling > 0 else {0})
    assert len(np.unique(states_RIJ, axis=0)) == (states if coupling > 0 else states * (states - 1))
