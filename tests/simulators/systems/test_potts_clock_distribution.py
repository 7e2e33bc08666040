"""Every algorithm of the Potts and clock models samples the Boltzmann distribution of the smallest lattices.

Chains are independent, so autocorrelation cannot spoil the statistics.  What is compared: single states where there
are few, and classes of equal energy and number of sites of the value 0.
"""

import functools
import itertools
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from simulators.systems import clock, potts

CHAINS = {"metropolis": 64 * 600, "heat-bath": 64 * 600, "swendsen-wang": 64 * 250, "wolff": 64 * 400}
FALSE_ALARM = 1e-7  # per comparison, of which there are about 150: a correct sampler fails here with chance 2e-5
WRONG = 1.03
NOTICEABLE = 9.0
"""Standard deviations between the mean energies at the right and at the wrong temperature from which on a chain that
is right is told from one that is wrong, but for a chance of 1e-4; the seeds are fixed."""
SWEEPS = {"metropolis": 150, "heat-bath": 60, "swendsen-wang": 50, "wolff": 20}
"""At least ten autocorrelation times of everything, from random starts."""


class Case(NamedTuple):
    system: ModuleType
    states: int
    size: int
    coupling: float
    temperature: float


POINTS = (
    # Kernels by comparisons and by tables; odd lattices, double bonds, both signs.
    Case(potts, 3, 3, 1.0, 1.1),
    Case(potts, 3, 3, 1.0, 1.4),
    Case(potts, 2, 3, 1.0, 1.2),
    Case(potts, 3, 2, -1.0, 0.7),
    Case(potts, 4, 2, -1.0, 1.0),
    Case(potts, 2, 4, -1.0, 1.5),
    # More values than a table holds.
    Case(potts, 20, 2, 1.0, 1.2),
    Case(clock, 2, 3, 1.0, 3.0),
    Case(clock, 3, 3, 1.0, 1.5),
    Case(clock, 3, 3, 1.0, 2.0),
    Case(clock, 5, 3, 1.0, 1.0),
    Case(clock, 6, 2, 1.0, 1.5),
    Case(clock, 6, 2, 1.0, 2.0),
    Case(clock, 6, 2, -1.0, 1.5),
    Case(clock, 5, 2, -1.0, 1.5),
    Case(clock, 18, 2, 1.0, 1.5),
)
CASES = [
    (case, algorithm)
    for case in POINTS
    for algorithm in case.system.ALGORITHMS
    if not (case.system is potts and case.coupling < 0 and algorithm in ("swendsen-wang", "wolff"))
]
FEW_STATES = 20_000


@functools.cache
def all_states(states: int, size: int) -> NDArray[np.int8]:
    """(q^(L L), L, L); state k has the digits of k, the last site the least significant."""
    values = np.arange(states, dtype=np.int8)
    grids = np.meshgrid(*[values] * size**2, indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=1).reshape(-1, size, size)


def energies(states_SIJ: NDArray[np.int8], case: Case) -> NDArray[np.float64]:
    """Total energies by the Hamiltonians as they are written, sharing no code with the kernels."""
    right_SIJ, below_SIJ = np.roll(states_SIJ, -1, 2), np.roll(states_SIJ, -1, 1)
    if case.system is potts:
        bonds = (states_SIJ == right_SIJ).sum((1, 2)) + (states_SIJ == below_SIJ).sum((1, 2))
        return -case.coupling * bonds.astype(float)
    cosine = np.cos(2 * np.pi * np.arange(-case.states, case.states) / case.states)
    total = np.zeros(len(states_SIJ))
    for i, j in itertools.product(range(case.size), range(case.size)):
        for other_SIJ in (right_SIJ, below_SIJ):
            total += cosine[states_SIJ[:, i, j].astype(np.int64) - other_SIJ[:, i, j]]
    return -case.coupling * total


def classes(states_SIJ: NDArray[np.int8], case: Case) -> NDArray[np.int64]:
    """Energy, to 10^-6 of the coupling, and how many sites have the value 0."""
    rounded = np.rint(energies(states_SIJ, case) * 1e6).astype(np.int64)
    return rounded * 100 + (states_SIJ == 0).sum((1, 2))


@functools.cache
def enumerated(case: Case) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(S,) energies of all states, (C,) the classes, (S,) the number of each state's class."""
    states_SIJ = all_states(case.states, case.size)
    return energies(states_SIJ, case), *np.unique(classes(states_SIJ, case), return_inverse=True)


def boltzmann(case: Case, temperature: float) -> NDArray[np.float64]:
    energy_S = enumerated(case)[0]
    weight_S = np.exp((energy_S.min() - energy_S) / temperature)
    return weight_S / weight_S.sum()


def energy_z(mean: float, case: Case, temperature: float, chains: int) -> float:
    """Distance of a mean energy over independent chains from the exact one, in standard errors."""
    energy_S, weight_S = enumerated(case)[0], boltzmann(case, temperature)
    exact = weight_S @ energy_S
    return float((mean - exact) / np.sqrt(weight_S @ (energy_S - exact) ** 2 / chains))


def chi_square(found_C: NDArray[np.int64], expected_C: NDArray[np.float64]) -> float:
    """P-value; classes that expect fewer than ten are one class."""
    rare = expected_C < 10
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found_C, expected_C))
    keep = expected > 0
    return float(chi2.sf((((found - expected) ** 2) / np.where(keep, expected, 1))[keep].sum(), keep.sum() - 1))


def class_p_value(states_RIJ: NDArray[np.int8], case: Case) -> float:
    _, key_C, class_S = enumerated(case)
    expected_C = len(states_RIJ) * np.bincount(class_S, boltzmann(case, case.temperature))
    key_R = classes(states_RIJ, case)
    assert np.isin(key_R, key_C).all()
    return chi_square(np.bincount(np.searchsorted(key_C, key_R), minlength=len(key_C)), expected_C)


def state_p_value(states_RIJ: NDArray[np.int8], case: Case) -> float:
    weights = case.states ** np.arange(case.size**2)[::-1]
    index_R = (states_RIJ.reshape(len(states_RIJ), -1).astype(np.int64) * weights).sum(1)
    expected_S = len(states_RIJ) * boltzmann(case, case.temperature)
    return chi_square(np.bincount(index_R, minlength=len(expected_S)), expected_S)


def run(case: Case, algorithm: str, seed: int) -> NDArray[np.int8]:
    spec = case.system.Spec(size=case.size, states=case.states, coupling=case.coupling, temperature=case.temperature)
    rng = np.random.default_rng(seed)
    random_RIJ = rng.integers(0, case.states, (CHAINS[algorithm], case.size, case.size), dtype=np.int8)
    updates = case.system.Simulation.kinds[algorithm](spec, random_RIJ, rng)
    updates.advance(SWEEPS[algorithm])
    states_RIJ: NDArray[np.int8] = updates.states()
    return states_RIJ


def noticeable(case: Case, algorithm: str) -> bool:
    """Whether a wrong temperature shows in the mean energy of so many chains."""
    mean = boltzmann(case, case.temperature) @ enumerated(case)[0]
    return abs(energy_z(mean, case, case.temperature * WRONG, CHAINS[algorithm])) > NOTICEABLE


def name(value: Case | str) -> str:
    if isinstance(value, str):
        return value
    return (
        f"{value.system.__name__.split('.')[-1]}-q{value.states}-L{value.size}-J{value.coupling}-T{value.temperature}"
    )


@pytest.mark.parametrize(("case", "algorithm"), CASES, ids=name)
def test_states_follow_the_boltzmann_distribution(case: Case, algorithm: str) -> None:
    states_RIJ = run(case, algorithm, CASES.index((case, algorithm)))
    chains, bound = len(states_RIJ), norm.isf(FALSE_ALARM / 2)
    assert class_p_value(states_RIJ, case) > FALSE_ALARM
    if case.states ** (case.size**2) <= FEW_STATES:
        assert state_p_value(states_RIJ, case) > FALSE_ALARM
    mean = float(energies(states_RIJ, case).mean())
    assert abs(energy_z(mean, case, case.temperature, chains)) < bound
    # Negative control.
    if noticeable(case, algorithm):
        assert abs(energy_z(mean, case, case.temperature * WRONG, chains)) > bound


def test_a_three_percent_wrong_temperature_is_noticeable_with_every_algorithm() -> None:
    """The negative control above is there at two temperatures at least, of both systems."""
    for system in (potts, clock):
        for algorithm in system.ALGORITHMS:
            cases = [case for case in POINTS if case.system is system and case.coupling > 0]
            assert len({case.temperature for case in cases if noticeable(case, algorithm)}) >= 2


def test_a_site_that_is_updated_wrongly_is_noticed() -> None:
    """Negative control of the comparison of single states: one chain in ten has one site changed."""
    case = Case(clock, 6, 2, 1.0, 1.0)
    states_RIJ = run(case, "heat-bath", 1)
    assert state_p_value(states_RIJ, case) > FALSE_ALARM
    states_RIJ[::10, 1, 0] = (states_RIJ[::10, 1, 0] + 1) % 6
    assert state_p_value(states_RIJ, case) < FALSE_ALARM
