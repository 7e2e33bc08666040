"""All algorithms sample the Boltzmann distribution of the 4 x 4 lattice, state classes and single sites alike.

Chains are independent, so autocorrelation cannot spoil the statistics.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from simulators.reference.exact import enumerate_ising, ising_states
from simulators.systems.ising import Metropolis, Spec, SwendsenWang, Wolff

CHAINS = 64 * 500
SWEEPS = {Metropolis: 300, SwendsenWang: 20, Wolff: 20}
"""At least ten autocorrelation times of everything on 4 x 4 sites, from random starts."""
SLOWER_IN_A_FIELD = {Metropolis: 1, SwendsenWang: 1.5, Wolff: 6}
"""Factor; most Wolff clusters are then not turned."""
FALSE_ALARM = 1e-7  # per comparison, of which there are about 150: a correct sampler fails here with chance 2e-5
WRONG = 1.03
COUPLINGS_AND_FIELDS = ((1.0, 0.0), (1.0, 0.4), (-1.0, 0.0), (-1.0, 0.9))
CASES = list(itertools.product(SWEEPS, COUPLINGS_AND_FIELDS, (2.5, 3.0)))


def parameter(case: tuple[Any, tuple[float, float], float]) -> Any:
    """A test's parameter; clusters in a field take longest, and do so at one temperature in the short run."""
    kind, (_, field), temperature = case
    marks = [pytest.mark.slow] if kind is not Metropolis and field and temperature == 3.0 else []
    return pytest.param(case, marks=marks, id=f"{kind.__name__}{case[1:]}")


@pytest.fixture(scope="module", params=[parameter(case) for case in CASES])
def chains(request: pytest.FixtureRequest) -> tuple[Spec, NDArray[np.int8]]:
    kind, (coupling, field), temperature = request.param
    spec = Spec(size=4, coupling=coupling, field=field, temperature=temperature)
    rng = np.random.default_rng(CASES.index(request.param))
    updates = kind(spec, rng.choice(np.array([-1, 1], dtype=np.int8), size=(CHAINS, 4, 4)), rng)
    updates.advance(round(SWEEPS[kind] * (SLOWER_IN_A_FIELD[kind] if field else 1)))
    return spec, updates.states()


def class_p_value(spins_RIJ: NDArray[np.int8], spec: Spec, temperature: float) -> float:
    """Chi-square over (bond sum, magnetization, staggered magnetization), rare classes taken together."""
    exact = enumerate_ising()
    expected_C = len(spins_RIJ) * exact.probabilities(temperature, spec.coupling, spec.field)
    spins = spins_RIJ.astype(np.int64)
    sign_IJ = 1 - 2 * (np.indices((4, 4)).sum(axis=0) % 2)
    bonds_R = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).sum((1, 2))
    key_R = class_key(bonds_R, spins.sum((1, 2)), (sign_IJ * spins).sum((1, 2)))
    key_C = class_key(exact.bonds_C, exact.magnetization_C, exact.staggered_C)
    order = np.argsort(key_C)
    found_C = np.bincount(order[np.searchsorted(key_C[order], key_R)], minlength=len(key_C))
    return chi_square(found_C, expected_C)


def class_key(
    bonds: NDArray[np.int64], magnetization: NDArray[np.int64], staggered: NDArray[np.int64]
) -> NDArray[np.int64]:
    """One number for three sums, each within +-32."""
    return (bonds + 32) * 10000 + (magnetization + 32) * 100 + staggered + 32


def chi_square(found_C: NDArray[np.int64], expected_C: NDArray[np.float64]) -> float:
    """P-value; classes that expect fewer than ten are one class."""
    rare = expected_C < 10
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found_C, expected_C))
    keep = expected > 0
    return float(chi2.sf((((found - expected) ** 2) / np.where(keep, expected, 1))[keep].sum(), keep.sum() - 1))


def pattern_p_values(spins_RIJ: NDArray[np.int8], spec: Spec, temperature: float) -> list[float]:
    """Chi-square of the 16 patterns of each row, column and 2 x 2 block: resolves sites, the classes above don't."""
    states = ising_states()
    bits = states[:, [0, 0, 1, 1], [0, 1, 0, 1]] > 0, states[:, 0] > 0
    weight = boltzmann(states, spec, temperature)
    weights_4 = 1 << np.arange(4)
    block, row = (len(spins_RIJ) * np.bincount(b @ weights_4, weight, 16) for b in bits)
    found = []
    for i, j in itertools.product(range(4), range(4)):
        shifted = np.roll(spins_RIJ, (-i, -j), (1, 2)) > 0
        found.append((shifted[:, [0, 0, 1, 1], [0, 1, 0, 1]], block))
        if j == 0:
            found.append((shifted[:, 0], row))
        if i == 0:
            found.append((shifted[:, :, 0], row))
    return [chi_square(np.bincount(b @ weights_4, minlength=16), expected) for b, expected in found]


def boltzmann(states: NDArray[np.int8], spec: Spec, temperature: float) -> NDArray[np.float64]:
    """Probabilities of all states from an energy that shares no code with the kernels."""
    s = states.astype(float)
    bonds = (s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).sum((1, 2))
    energy = -spec.coupling * bonds + spec.field * s.sum((1, 2))
    weight = np.exp(-(energy - energy.min()) / temperature)
    return weight / weight.sum()


def test_state_classes_follow_the_boltzmann_distribution(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    spec, spins_RIJ = chains
    assert class_p_value(spins_RIJ, spec, spec.temperature) > FALSE_ALARM


def test_a_three_percent_wrong_temperature_is_noticed(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    """Negative control for every case; a miss has a chance of 1e-5 or less."""
    spec, spins_RIJ = chains
    assert class_p_value(spins_RIJ, spec, spec.temperature * WRONG) < FALSE_ALARM


def test_every_site_row_and_block_follows_it_too(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    spec, spins_RIJ = chains
    p_values = pattern_p_values(spins_RIJ, spec, spec.temperature)
    assert min(p_values) * len(p_values) > FALSE_ALARM
    # Negative control: one site that is up too often, in one chain of four.
    spoilt = spins_RIJ.copy()
    spoilt[::4, 2, 1] = 1
    assert min(pattern_p_values(spoilt, spec, spec.temperature)) * len(p_values) < FALSE_ALARM


def test_energy_and_order_parameters_against_enumeration(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    spec, spins_RIJ = chains
    states = enumerate_ising().observables(spec.temperature, spec.coupling, spec.field)
    s = spins_RIJ.astype(float)
    sign_IJ = 1 - 2 * (np.indices((4, 4)).sum(axis=0) % 2)
    bonds = (s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).mean((1, 2))
    magnetization, staggered = s.mean((1, 2)), (sign_IJ * s).mean((1, 2))
    measured = {
        "energy": -spec.coupling * bonds + spec.field * magnetization,
        "magnetization": magnetization,
        "abs_magnetization": np.abs(magnetization),
        "squared_magnetization": magnetization**2,
        "staggered_magnetization": staggered,
        "abs_staggered_magnetization": np.abs(staggered),
        "squared_staggered_magnetization": staggered**2,
    }
    for name, x_R in measured.items():
        z = (x_R.mean() - getattr(states, name)) / (x_R.std() / np.sqrt(CHAINS))
        assert abs(z) < norm.isf(FALSE_ALARM / 2), name
