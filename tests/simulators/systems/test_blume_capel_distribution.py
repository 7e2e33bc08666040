"""All algorithms sample the Boltzmann distribution of the smallest lattices, of 2 x 2 sites state by state.

Chains are independent, so autocorrelation cannot spoil the statistics.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from simulators.discrete import spin_one
from simulators.systems.blume_capel import HeatBath, Metropolis, Spec, SwendsenWang, Wolff

CHAINS = 64 * 640
SWEEPS = {Metropolis: 400, HeatBath: 300, SwendsenWang: 20, Wolff: 30}
"""At least ten autocorrelation times of everything on so few sites, from random starts."""
FALSE_ALARM = 1e-7  # per comparison, of which there are about 260: a correct sampler fails here with chance 3e-5
WRONG = 1.03
SIZES_COUPLINGS_AND_FIELDS = ((2, -1.0, 0.5), (3, 1.0, 1.2), (2, 1.0, 3.5), (3, 1.0, -0.7))
"""On 2 x 2 sites every bond is there twice."""
CASES = [
    *itertools.product(SWEEPS, SIZES_COUPLINGS_AND_FIELDS[:2], (1.3, 1.6)),
    *itertools.product((Metropolis, HeatBath), SIZES_COUPLINGS_AND_FIELDS[2:], (1.3, 1.6)),
]


def states(size: int) -> NDArray[np.int8]:
    """(3^N, L, L): every state, in the order of ``number``."""
    values = np.array(list(itertools.product((-1, 0, 1), repeat=size**2)), dtype=np.int8)
    return values.reshape(-1, size, size)


def number(states_RIJ: NDArray[np.int8]) -> NDArray[np.int64]:
    """Index of each state in ``states``."""
    flat_RN = states_RIJ.reshape(len(states_RIJ), -1).astype(np.int64) + 1
    return flat_RN @ 3 ** np.arange(flat_RN.shape[1])[::-1]


def boltzmann(spec: Spec, temperature: float) -> NDArray[np.float64]:
    """Probabilities of ``states``, from an energy that shares no code with the kernels."""
    s = states(spec.size).astype(float)
    bonds = (s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).sum((1, 2))
    energy = -spec.coupling * bonds + spec.crystal_field * (s**2).sum((1, 2))
    weight = np.exp(-(energy - energy.min()) / temperature)
    return weight / weight.sum()


def chi_square(found_C: NDArray[np.int64], expected_C: NDArray[np.float64]) -> float:
    """P-value; classes that expect fewer than ten are one class."""
    rare = expected_C < 10
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found_C, expected_C))
    keep = expected > 0
    return float(chi2.sf((((found - expected) ** 2) / np.where(keep, expected, 1))[keep].sum(), keep.sum() - 1))


def p_value(states_RIJ: NDArray[np.int8], spec: Spec, temperature: float) -> float:
    return chi_square(np.bincount(number(states_RIJ), minlength=3**spec.size**2), CHAINS * boltzmann(spec, temperature))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].__name__}{case[1:]}")
def chains(request: pytest.FixtureRequest) -> tuple[Spec, NDArray[np.int8]]:
    kind, (size, coupling, crystal_field), temperature = request.param
    spec = Spec(size=size, coupling=coupling, crystal_field=crystal_field, temperature=temperature)
    rng = np.random.default_rng(CASES.index(request.param))
    updates: Any = kind(spec, rng.integers(-1, 2, (CHAINS, size, size), dtype=np.int8), rng)
    updates.advance(SWEEPS[kind])
    return spec, updates.states()


def test_states_follow_the_boltzmann_distribution(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    """On 3 x 3 sites, of 19683 states, those that are not rare."""
    spec, states_RIJ = chains
    assert p_value(states_RIJ, spec, spec.temperature) > FALSE_ALARM


def test_observables_against_enumeration(chains: tuple[Spec, NDArray[np.int8]]) -> None:
    """Energy, squares and fourth powers of the magnetizations, quadrupole; a wrong temperature is noticed."""
    spec, states_RIJ = chains
    z = deviations(states_RIJ, spec, spec.temperature)
    assert max(abs(z)) < norm.isf(FALSE_ALARM / 2)
    # Negative control for every case; a miss has a chance of 3e-5 or less.
    wrong = deviations(states_RIJ, spec, spec.temperature * WRONG)
    assert max(abs(wrong)) > norm.isf(FALSE_ALARM / 2)


def deviations(states_RIJ: NDArray[np.int8], spec: Spec, temperature: float) -> NDArray[np.float64]:
    """z of each observable's mean."""
    exact_Q = observables(states(spec.size), spec) @ boltzmann(spec, temperature)
    found_QR = observables(states_RIJ, spec)
    return (found_QR.mean(axis=1) - exact_Q) / (found_QR.std(axis=1) / np.sqrt(CHAINS))


def observables(states_RIJ: NDArray[np.int8], spec: Spec) -> NDArray[np.float64]:
    """(Q, R)"""
    s = states_RIJ.astype(float)
    sign_IJ = 1 - 2 * (np.indices((spec.size, spec.size)).sum(axis=0) % 2)
    bonds = (s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).mean((1, 2))
    spin, staggered, square = s.mean((1, 2)), (sign_IJ * s).mean((1, 2)), (s**2).mean((1, 2))
    energy = -spec.coupling * bonds + spec.crystal_field * square
    return np.stack([energy, bonds, spin, spin**2, spin**4, staggered, staggered**2, square, square**2, s[:, 1, 0]])


def test_a_broken_detailed_balance_is_noticed() -> None:
    """Negative control: the table of another crystal field, only for the sites whose neighbours sum to zero."""
    spec = Spec(size=2, coupling=1.0, crystal_field=1.5, temperature=1.9)
    rng = np.random.default_rng(1)
    updates = HeatBath(spec, rng.integers(-1, 2, (CHAINS, 2, 2), dtype=np.int8), rng)
    other = Spec(size=2, coupling=1.0, crystal_field=2.0, temperature=1.9)
    table_T2 = HeatBath.table(spec)
    table_T2[4::9] = HeatBath.table(other)[4::9]
    updates.rule = (table_T2, spin_one.packed(table_T2), 2)
    updates.advance(SWEEPS[HeatBath])
    assert p_value(updates.states(), spec, spec.temperature) < FALSE_ALARM
