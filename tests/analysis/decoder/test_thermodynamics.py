"""A specific heat of known fluctuations."""

import numpy as np
import pytest

from analysis.decoder.thermodynamics import thermodynamics
from analysis.errors import index_chains


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
