"""Every algorithm and channel samples |weight| of all fields of 2 x 2 sites in two slices: chi-square of independent
chains against enumeration, in 14 comparisons."""

import dataclasses

import numpy as np
import occupations
import pytest
from field_counts import FALSE_ALARM, counts, p_value

from simulators.fermions import hirsch
from simulators.fermions.field_chains import Lines, Metropolis
from simulators.fermions.greens_functions import Fermions, GreensFunctions
from simulators.systems import hubbard
from simulators.systems.hubbard import ALGORITHMS, Spec

WRONG = 1.1
POINTS = {
    "half filling": {"interaction": 4.0},
    "doped": {"interaction": 4.0, "chemical_potential": -1.5},
    "attractive": {"interaction": -4.0, "chemical_potential": 0.5, "channel": "charge"},
    "charge": {"interaction": 4.0, "channel": "charge"},
    "twisted": {"interaction": 4.0, "twist_x": 0.15, "twist_y": 0.3},
    "antiperiodic, doped": {"interaction": 4.0, "chemical_potential": -1.5, "twist_x": 0.5},
    "charge, twisted": {"interaction": 4.0, "channel": "charge", "twist_x": 0.15},
}


def spec_of(point: str) -> Spec:
    return Spec(size=2, temperature=1.25, trotter_step=0.4, **POINTS[point])


def measured(spec: Spec, algorithm: str) -> float:
    """p-value of a run."""
    amplitudes = occupations.square(1.0, spec.twist_x, spec.twist_y)
    return p_value(counts(hubbard, spec, algorithm), spec, amplitudes)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("point", POINTS)
def test_fields_have_their_weights(point: str, algorithm: str) -> None:
    spec = spec_of(point)
    assert measured(spec, algorithm) > FALSE_ALARM


def test_a_wrong_coupling_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: lambda, in what the field does to the fermions and in its weight."""
    right = hirsch.fermions

    def wrong(spec: Spec) -> Fermions:
        model = right(spec)
        return dataclasses.replace(model, vertex_S2=model.vertex_S2**WRONG, log_weight_2=WRONG * model.log_weight_2)

    monkeypatch.setattr(Metropolis, "fermions", staticmethod(wrong))
    spec = spec_of("half filling")
    assert measured(spec, "metropolis") < FALSE_ALARM


def test_lines_alone_leave_the_distribution_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After sweeps that end in it; and lines that are always taken are noticed."""
    spec = spec_of("doped")
    monkeypatch.setattr(Lines, "lines", 8)
    assert measured(spec, "lines") > FALSE_ALARM
    monkeypatch.setattr(GreensFunctions, "log_weight", lambda self: (1.0, np.zeros(len(self.field_CTN))))
    assert measured(spec, "lines") < FALSE_ALARM
