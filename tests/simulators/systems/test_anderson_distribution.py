"""Every algorithm and channel samples |weight| of all fields on f of 2 x 2 cells in two slices: chi-square of
independent chains against enumeration, in eight comparisons."""

import pytest
from field_counts import FALSE_ALARM, counts, p_value
from occupations import cells

from simulators.systems import anderson
from simulators.systems.anderson import ALGORITHMS, Spec

WRONG = 1.3
"""Hybridizations that are to be noticed."""
POINTS = {
    "half filling": {"interaction": 4.0},
    "doped": {"interaction": 4.0, "chemical_potential": -1.5, "level": 0.4},
    "charge": {"interaction": 4.0, "channel": "charge"},
    "twisted": {"interaction": 4.0, "twist_x": 0.15, "twist_y": 0.3},
}
QUICK = (("half filling", "metropolis"), ("doped", "lines"))


def measured(point: str, algorithm: str, wrong: float = 1.0) -> float:
    """p-value of a run; ``wrong``: a factor of the hybridization that it is compared with."""
    spec = Spec(size=2, temperature=1.25, trotter_step=0.4, hybridization=2.0, **POINTS[point])
    amplitudes = cells(1.0, wrong * spec.hybridization, spec.level, spec.twist_x, spec.twist_y)
    return p_value(counts(anderson, spec, algorithm), spec, amplitudes)


CASES = [
    pytest.param(point, algorithm, marks=[] if (point, algorithm) in QUICK else pytest.mark.slow)
    for point in POINTS
    for algorithm in ALGORITHMS
]


@pytest.mark.parametrize(("point", "algorithm"), CASES)
def test_fields_have_their_weights(point: str, algorithm: str) -> None:
    assert measured(point, algorithm) > FALSE_ALARM


def test_a_wrong_hybridization_is_noticed() -> None:
    """Negative control."""
    assert measured("half filling", "metropolis", WRONG) < FALSE_ALARM
