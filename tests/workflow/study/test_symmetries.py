"""The symmetries that systems declare are exact: they evaluate turned configurations themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.config import LIKELIHOODS, SYMMETRIES, ModelConfig
from models.data.augment import Augmentation
from simulators import contract
from simulators.contract import IncompleteSystem, System
from simulators.contract.declarations import POSSIBLE_SYMMETRIES
from simulators.systems import anderson, hubbard, ising, phi4
from workflow.dataset.inputs import signs
from workflow.dataset.variables import SiteValues, site_values
from workflow.plan.tasks import simulation_tasks
from workflow.study.loading import parse
from workflow.study.symmetries import common, symmetries_of

CHAINS, ELEMENTS = 6, 24
FIELD: dict[str, Any] = {"size": 4, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25}
CHANGED: list[dict[str, Any]] = [
    {"twist_x": 0.5},
    {"twist_x": 0.5, "twist_y": 0.5},
    {"twist_x": 0.3, "twist_y": 0.3},
    {"chemical_potential": -0.7, "twist_x": 0.5},
    {"channel": "charge"},
    {"channel": "charge", "twist_x": 0.3, "twist_y": 0.3},
    {"channel": "charge", "interaction": -4.0},
    {"channel": "charge", "interaction": -4.0, "chemical_potential": 0.7},
]
SPECS: list[tuple[str, Any]] = [
    *((name, contract.load(name).example) for name in contract.names()),
    ("ising", ising.Spec(size=6, coupling=-1.0, temperature=2.0)),
    ("phi4", phi4.Spec(size=6, hopping=-0.3, quartic=1.0)),
    *(("hubbard", hubbard.Spec(**FIELD | changed)) for changed in ({}, *CHANGED)),
    *(
        ("anderson", anderson.Spec(**FIELD | {"hybridization": 0.9} | changed))
        for changed in ({"level": -0.5}, *CHANGED)
    ),
]
DOPED = hubbard.Spec(**FIELD | {"temperature": 0.25, "interaction": 6.0, "chemical_potential": -1.0})


def states_of(system: System, spec: Any) -> tuple[Any, NDArray[Any]]:
    """A simulation, and its states after two sweeps: (R, C, I, J)."""
    simulation: Any = system.simulation(spec, np.ones(CHAINS, bool), system.algorithms[0], np.random.default_rng(4))
    simulation.advance(2)
    states = simulation.updates.states()
    return simulation, states if states.ndim == 4 else states[:, None]


def log_weights(system: System, spec: Any, states_RCIJ: NDArray[Any]) -> NDArray[np.float64]:
    """(R, 2) -ln |weight| and sign of given states, by the simulation itself."""
    algorithm = system.algorithms[0]
    simulation: Any = system.simulation(spec, np.ones(len(states_RCIJ), bool), algorithm, np.random.default_rng(0))
    layout = states_RCIJ if simulation.updates.states().ndim == 4 else states_RCIJ[:, 0]
    simulation.updates = simulation.kinds[algorithm](spec, layout, np.random.default_rng(0))
    sign = simulation.measure()["sign"] if system.names(spec).signed else np.ones(len(states_RCIJ))
    return np.stack([simulation.reduced_energy(spec), sign], axis=1)


def turned(x_RCIJ: NDArray[Any], symmetries: Sequence[str], kind: SiteValues) -> NDArray[Any]:
    """Random images of each configuration, as training would turn it, in the type that it came in."""
    likelihood = LIKELIHOODS[kind.variable][0]
    model = ModelConfig(shape=x_RCIJ.shape[1:], variable=kind.variable, states=kind.states, likelihood=likelihood)
    augmentation = Augmentation(symmetries, model)
    repeated = np.repeat(x_RCIJ, ELEMENTS, axis=0)
    if kind.variable == "states":
        features = np.moveaxis(np.eye(kind.states)[repeated.astype(int) - kind.lowest], -1, 2)
    elif kind.variable == "angles":
        features = np.stack([np.cos(repeated), np.sin(repeated)], axis=2)
    else:
        features = repeated[:, :, None].astype(float)
    flat = torch.from_numpy(np.ascontiguousarray(features.reshape(len(repeated), -1)))
    out = torch.empty_like(flat)
    drawn = torch.randint(augmentation.order, (len(flat),), generator=torch.Generator().manual_seed(8))
    augmentation.turn(flat, drawn, out)
    image = out.numpy().reshape(features.shape)
    if kind.variable == "states":
        return (image.argmax(axis=2) + kind.lowest).astype(x_RCIJ.dtype)
    return (
        np.arctan2(image[:, :, 1], image[:, :, 0]) if kind.variable == "angles" else image[:, :, 0].astype(x_RCIJ.dtype)
    )


def off(name: str, spec: Any, symmetries: Sequence[str]) -> float:
    """Largest change of -ln |weight| or sign under random elements."""
    system = contract.load(name)
    _, states = states_of(system, spec)
    kind = site_values(system, spec)
    images = turned(states, symmetries, kind)
    assert (images != np.repeat(states, ELEMENTS, axis=0)).any(), "something must be turned"
    before = np.repeat(log_weights(system, spec, states), ELEMENTS, axis=0)
    return float(np.abs(log_weights(system, spec, images) - before).max())


@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_declared_symmetries_keep_weight_and_sign(name: str, spec: Any) -> None:
    """To rounding of 1e-16, of energies of order 100, and of determinants of products of matrices whose condition stays
    below 1e6 from one factorization to the next."""
    declared = contract.load(name).symmetries_of(spec)
    assert declared, "every system here has symmetries"
    for symmetry in declared:
        assert off(name, spec, (symmetry,)) < 1e-8, symmetry
    assert off(name, spec, declared) < 1e-8


def field(**changed: Any) -> hubbard.Spec:
    return hubbard.Spec(**FIELD | changed)


@pytest.mark.parametrize(
    ("name", "spec", "symmetry"),
    [
        ("ising", ising.Spec(size=6, coupling=1.0, field=0.05, temperature=2.5), "flip"),
        ("hubbard", field(interaction=-4.0, channel="charge", chemical_potential=0.1), "flip"),
        ("hubbard", field(channel="charge", twist_x=0.3, twist_y=0.3), "flip"),
        ("hubbard", field(channel="charge", twist_x=0.3, twist_y=0.3), "time"),
        ("hubbard", field(twist_x=0.5), "point-group"),
        ("hubbard", field(twist_x=0.3, twist_y=0.3), "point-group"),
        ("anderson", anderson.Spec(**FIELD, hybridization=0.9, twist_x=0.5), "point-group"),
    ],
)
def test_a_symmetry_that_is_not_declared_changes_weights(name: str, spec: Any, symmetry: str) -> None:
    """Negative control: a weak field, a small mu in the charge channel, twists."""
    assert symmetry not in contract.load(name).symmetries_of(spec)
    assert off(name, spec, (symmetry,)) > 1e-3


def test_slices_in_any_order_change_weights() -> None:
    """Negative control of the symmetries of imaginary time."""
    system, spec = contract.load("hubbard"), hubbard.EXAMPLE
    _, states = states_of(system, spec)
    shuffled = states[:, np.random.default_rng(1).permutation(spec.slices)]
    assert np.abs(log_weights(system, spec, shuffled) - log_weights(system, spec, states)).max() > 0.01


def test_signs_are_kept_where_both_occur() -> None:
    system, spec = contract.load("hubbard"), DOPED
    states = np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=(CHAINS, *spec.shape))
    before = log_weights(system, spec, states)
    assert set(before[:, 1]) == {-1.0, 1.0}
    images = turned(states, system.symmetries_of(spec), SiteValues("spins", 2, 0))
    after = log_weights(system, spec, images)
    np.testing.assert_allclose(after, np.repeat(before, ELEMENTS, axis=0), atol=1e-8)


def test_staggered_input_has_the_symmetries_of_what_is_stored() -> None:
    """What training turns in the staggered frame is, brought back, an image of equal weight, in a field too."""
    spec = ising.Spec(size=6, coupling=1.0, field=0.3, temperature=2.5)
    system = contract.load("ising")
    _, states = states_of(system, spec)
    given = common([("ising", spec)], "staggered")
    assert given == ("staggered-translations", "point-group")
    frame = signs((6, 6))
    images = turned(states * frame, given, SiteValues("spins", 2, 0)) * frame
    before = np.repeat(log_weights(system, spec, states), ELEMENTS, axis=0)
    np.testing.assert_allclose(log_weights(system, spec, images), before, atol=1e-9)
    # Negative control: without the change of sign they are not.
    images = turned(states * frame, ("translations",), SiteValues("spins", 2, 0)) * frame
    assert np.abs(log_weights(system, spec, images) - before).max() > 0.1


def test_only_what_all_points_have_is_used() -> None:
    block = {"system": "ising", "size": 4, "coupling": 1.0, "field": [0.0, 0.1], "temperature": 2.0, "samples": 64}
    tasks = simulation_tasks(parse({"name": "fields", "simulate": [block]}))
    assert symmetries_of(tasks, "raw") == ("translations", "point-group")
    assert symmetries_of(tasks[:1], "raw") == ("translations", "point-group", "flip")
    assert common([("hubbard", hubbard.EXAMPLE)], "raw") == ("translations", "point-group", "time", "flip")
    assert common([("hubbard", hubbard.EXAMPLE)], "tau-average") == ("translations", "point-group", "flip")


def test_systems_and_networks_mean_the_same_by_their_names() -> None:
    assert {*POSSIBLE_SYMMETRIES, "staggered-translations"} == set(SYMMETRIES)


def test_unknown_symmetries_are_refused() -> None:
    system = System(**{**contract.load("ising").__dict__, "symmetries": ("rotations",)})
    with pytest.raises(
        IncompleteSystem, match=r"SYMMETRIES must be some of translations, .*, each once, got .'rotations'"
    ):
        system.symmetries_of(ising.EXAMPLE)
