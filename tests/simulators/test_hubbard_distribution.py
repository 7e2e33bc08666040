"""Every algorithm and channel samples |weight| of all fields of 2 x 2 sites in two slices: chi-square of independent
chains against enumeration."""

import dataclasses

import fock_space
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from simulators.greens_functions import Fermions, GreensFunctions
from simulators.systems import hubbard
from simulators.systems.hubbard import ALGORITHMS, Simulation, Spec

FALSE_ALARM = 1e-7  # per comparison, of which there are eight
CHAINS = 6000
SWEEPS = {"metropolis": 8, "lines": 4}
FEWEST_EXPECTED = 10
WRONG = 1.1
POINTS = {
    "half filling": {"interaction": 4.0},
    "doped": {"interaction": 4.0, "chemical_potential": -1.5},
    "attractive": {"interaction": -4.0, "chemical_potential": 0.5, "channel": "charge"},
    "charge": {"interaction": 4.0, "channel": "charge"},
}


def spec_of(point: str) -> Spec:
    return Spec(size=2, temperature=1.25, trotter_step=0.4, **POINTS[point])


def counts(spec: Spec, algorithm: str) -> NDArray[np.int64]:
    """How often each field occurs among chains that started at random."""
    rng = np.random.default_rng(ALGORITHMS.index(algorithm))
    simulation = Simulation(spec, np.ones(CHAINS, dtype=bool), algorithm, rng)
    simulation.advance(SWEEPS[algorithm])
    bits = simulation.configurations().reshape(CHAINS, -1) > 0
    return np.bincount(bits @ (1 << np.arange(bits.shape[1])[::-1]), minlength=2 ** bits.shape[1])


def p_value(counted_F: NDArray[np.int64], spec: Spec) -> float:
    weight_F = np.abs(
        fock_space.weights(
            spec.slices, T=spec.temperature, U=spec.interaction, mu=spec.chemical_potential, channel=spec.channel
        )
    )
    expected_F = CHAINS * weight_F / weight_F.sum()
    rare_F = expected_F < FEWEST_EXPECTED
    pooled = [
        np.append(x_F[~rare_F], x_F[rare_F].sum()) if rare_F.any() else x_F
        for x_F in (counted_F.astype(float), expected_F)
    ]
    return float(chisquare(*pooled).pvalue)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("point", POINTS)
def test_fields_have_their_weights(point: str, algorithm: str) -> None:
    spec = spec_of(point)
    assert p_value(counts(spec, algorithm), spec) > FALSE_ALARM


def test_a_wrong_coupling_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: lambda, in what the field does to the fermions and in its weight."""
    right = hubbard.fermions

    def wrong(spec: Spec) -> Fermions:
        model = right(spec)
        return dataclasses.replace(model, vertex_S2=model.vertex_S2**WRONG, log_weight_2=WRONG * model.log_weight_2)

    monkeypatch.setattr(hubbard.Metropolis, "fermions", staticmethod(wrong))
    spec = spec_of("half filling")
    assert p_value(counts(spec, "metropolis"), spec) < FALSE_ALARM


def test_lines_alone_leave_the_distribution_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After sweeps that end in it; and lines that are always taken are noticed."""
    spec = spec_of("doped")
    monkeypatch.setattr(hubbard.Lines, "lines", 8)
    assert p_value(counts(spec, "lines"), spec) > FALSE_ALARM
    monkeypatch.setattr(GreensFunctions, "log_weight", lambda self: (1.0, np.zeros(len(self.field_CTN))))
    assert p_value(counts(spec, "lines"), spec) < FALSE_ALARM
