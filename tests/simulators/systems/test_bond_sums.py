"""Sums over bonds of known configurations, from which the energies of what decoders draw follow."""

import numpy as np

from simulators.systems import ising
from simulators.systems.ising import product_bonds
from simulators.systems.potts import equal_bonds


def test_bonds_of_ordered_configurations() -> None:
    checkerboard = (-1.0) ** np.add.outer(np.arange(4), np.arange(6))
    stripes = np.broadcast_to((-1.0) ** np.arange(4)[:, None], (4, 6))
    spins = np.stack([np.ones((4, 6)), checkerboard, stripes])[:, None]
    np.testing.assert_allclose(product_bonds(spins), [2, -2, 0])
    states = np.stack([spins[:, 0] == 1, spins[:, 0] == -1], axis=1)
    np.testing.assert_allclose(equal_bonds(states), [2, 0, 1])
    # Two states: delta = (1 + s s') / 2.
    random = np.random.default_rng(1).choice([-1.0, 1.0], size=(5, 1, 4, 6))
    both = np.concatenate([random == 1, random == -1], axis=1)
    np.testing.assert_allclose(equal_bonds(both), 1 + product_bonds(random) / 2)


def test_energies_of_the_ising_model_without_a_field() -> None:
    """The contract tests check Potts; the example of Ising has a field, which is no bond."""
    spec = ising.Spec(size=6, coupling=-1.5, temperature=3.0)
    simulation = ising.Simulation(spec, np.arange(8) % 2 == 0, "metropolis", np.random.default_rng(1))
    simulation.advance(3)
    bonds = ising.BOND_SUM(spec)
    assert bonds is not None
    energies = -bonds.coupling * bonds.per_site(simulation.configurations())
    np.testing.assert_allclose(energies, simulation.measure()["energy"], rtol=1e-12)
    assert ising.BOND_SUM(ising.EXAMPLE) is None
