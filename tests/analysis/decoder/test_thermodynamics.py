"""Energies of known configurations, and a specific heat of known fluctuations."""

import numpy as np
import pytest

from analysis.decoder.thermodynamics import equal_bonds, product_bonds, thermodynamics
from analysis.errors import index_chains


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


def test_energy_and_specific_heat_of_independent_bonds() -> None:
    """Energies of N independent two-level sites: 5 standard errors, 1e-6 false alarms; control: other fluctuations."""
    rng, sites, temperature, p = np.random.default_rng(2), 100, 1.7, 0.3
    energy = rng.binomial(sites, p, size=20_000) / sites
    chains = index_chains(np.arange(20_000) % 500, np.zeros(20_000, int))
    found = thermodynamics(energy, sites, temperature, chains, rng)
    exact = p * (1 - p) / temperature**2
    assert abs(found.energy.value - p) < 5 * found.energy.error
    assert abs(found.specific_heat.value - exact) < 5 * found.specific_heat.error
    assert abs(found.specific_heat.value - 1.1 * exact) > 5 * found.specific_heat.error
    assert found.energy.error == pytest.approx(np.sqrt(p * (1 - p) / sites / 20_000), rel=0.2)
