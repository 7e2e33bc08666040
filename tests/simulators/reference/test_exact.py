"""The exact values, against each other and against a published table."""

import numpy as np
import pytest

from simulators.reference import exact

T_C = exact.ISING_CRITICAL_TEMPERATURE
TABLE = {
    4: ((-1.755380, 0.60553), (-1.565624, 0.78327), (-1.379116, 0.81252), (-1.017070, 0.60313)),
    8: ((-1.745683, 0.71412), (-1.491589, 1.14556), (-1.222321, 1.10048), (-0.841315, 0.48397)),
    16: ((-1.745531, 0.72551), (-1.453065, 1.49870), (-1.131318, 1.06498), (-0.817689, 0.40433)),
    32: ((-1.745565, 0.72487), (-1.433658, 1.84677), (-1.107292, 0.88581), (-0.817310, 0.40138)),
    64: ((-1.745565, 0.72487), (-1.423938, 2.19221), (-1.106083, 0.86186), (-0.817310, 0.40138)),
}
"""Energy and specific heat at T = 2, T_c, 2.5, 3, with six and five decimals."""


@pytest.mark.parametrize("size", TABLE)
def test_closed_form_gives_the_reference_table(size: int) -> None:
    for temperature, (energy, heat) in zip((2.0, T_C, 2.5, 3.0), TABLE[size], strict=True):
        value = exact.ising(size, size, temperature)
        assert (round(value.energy, 6), round(value.specific_heat, 5)) == (energy, heat)


@pytest.mark.parametrize("coupling", [1.0, -1.0, 0.7])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, T_C, 5.0, 20.0])
def test_closed_form_equals_enumeration(coupling: float, temperature: float) -> None:
    # Both are sums of at most 2^16 doubles: they agree to about 2^16 rounding errors of 1e-16.
    closed = exact.ising(4, 4, temperature, coupling)
    states = exact.enumerate_ising().observables(temperature, coupling)
    assert closed.energy == pytest.approx(states.energy, abs=1e-10)
    assert closed.specific_heat == pytest.approx(states.specific_heat, abs=1e-10)


def test_specific_heat_is_the_slope_of_the_energy_at_the_critical_temperature() -> None:
    # Central difference of step d: error d^2 c'' / 6, c'' of order L^2 = 256 here, plus rounding 1e-15 / d.
    step = 1e-4
    above, below = (exact.ising(16, 24, T_C + d).energy for d in (step, -step))
    assert exact.ising(16, 24, T_C).specific_heat == pytest.approx((above - below) / (2 * step), abs=256 * step**2)


def test_coldest_lattices_are_in_their_ground_state() -> None:
    for temperature in (1e-300, 0.0099, 0.0101):
        assert exact.ising(8, 8, temperature, -1.0) == pytest.approx((-2.0, 0.0), abs=1e-15)


def test_enumeration_holds_every_state_once_and_a_field_favours_down() -> None:
    classes = exact.enumerate_ising()
    assert classes.states_C.sum() == 2**16
    assert classes.probabilities(2.0, -1.0, 0.5).sum() == pytest.approx(1.0)
    assert classes.observables(2.0, 1.0, 0.5).magnetization < 0


def test_strong_field_limit_is_that_of_free_spins() -> None:
    # T >> J: m = -tanh(h / T) up to corrections 4 J / T relative.
    assert exact.enumerate_ising().observables(1e6, 1.0, 1e6).magnetization == pytest.approx(-np.tanh(1.0), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 4, 1.0, 1.0), "at least 3"),
        ((4, 4, 0.0, 1.0), "positive"),
        ((4, 4, 1.0, 0.0), "not 0"),
        ((5, 4, 1.0, -1.0), "even"),
    ],
)
def test_impossible_lattices_are_refused(arguments: tuple[int, int, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact.ising(*arguments)


def test_too_many_states_are_refused() -> None:
    with pytest.raises(ValueError, match="16 sites"):
        exact.ising_states(6)
