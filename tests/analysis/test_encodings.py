"""Features of every variable, symmetries that fold samples into one phase, and order parameters of mean fields."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.decoder.mean_fields import components, readable
from analysis.encodings import Variable, can_fold, features, folded
from analysis.orders import OrderParameter, signs, split

SPINS, POTTS, SPIN_ONE = Variable("spins"), Variable("states", 3), Variable("states", 3, -1)
ANGLES, VALUES = Variable("angles"), Variable("values")
SIGN = OrderParameter("magnetization", ("m",))
STATES = OrderParameter("magnetization", ("m_0", "m_1", "m_2"), "states", 3)
CLOCK = OrderParameter("magnetization", ("m_x", "m_y"), "angles", 3)
VECTOR = OrderParameter("magnetization", ("m_x", "m_y"), "continuous", 1)
STAGGERED_VECTOR = VECTOR._replace(name="staggered_magnetization")


def test_features_are_laid_out_by_channel_then_feature() -> None:
    x = np.array([0, 1, 2, 0, 2, 1]).reshape(1, 2, 1, 3).astype(np.int8)
    found = features(x, POTTS).reshape(2, 3, 3)
    np.testing.assert_array_equal(found[0], np.eye(3))
    np.testing.assert_array_equal(found[1], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(features(x - 1, SPIN_ONE), features(x, POTTS))
    angle = np.array([[[[0.0, np.pi / 2]]]])
    np.testing.assert_allclose(features(angle, ANGLES), [[1, 0, 0, 1]], atol=1e-7)
    np.testing.assert_array_equal(features(angle, VALUES), angle.reshape(1, 2))
    assert (SPINS.width, POTTS.width, ANGLES.width, VALUES.width) == (1, 3, 2, 1)


def clock_order(states_SCHW: NDArray[np.int8]) -> NDArray[np.float64]:
    angle = 2 * np.pi / 3 * states_SCHW
    return np.stack([np.cos(angle).mean((1, 2, 3)), np.sin(angle).mean((1, 2, 3))], axis=1)


def potts_order(states_SCHW: NDArray[np.int8]) -> NDArray[np.float64]:
    rho = np.stack([(states_SCHW == s).mean((1, 2, 3)) for s in range(3)], axis=1)
    return (3 * rho - 1) / 2


def bonds(x_SCHW: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy of a model that sees differences of neighbours, as Potts, clock and XY do."""
    return sum((np.cos(x_SCHW - np.roll(x_SCHW, 1, axis)).sum((1, 2, 3)) for axis in (2, 3)), np.zeros(len(x_SCHW)))


@pytest.mark.parametrize("order", [STATES, CLOCK])
def test_folded_states_are_all_in_the_first_phase_with_their_energy(order: OrderParameter) -> None:
    rng = np.random.default_rng(1)
    favoured = rng.integers(0, 3, (30, 1, 1, 1))
    x = np.where(rng.random((30, 1, 4, 4)) < 0.8, favoured, rng.integers(0, 3, (30, 1, 4, 4))).astype(np.int8)
    measure = potts_order if order is STATES else clock_order
    found = folded(x, POTTS, order, measure(x))
    assert (order.direction(measure(found)) == 0).all()
    assert set(order.direction(measure(x)).tolist()) == {0, 1, 2}
    np.testing.assert_allclose(order.length(measure(found)), order.length(measure(x)))
    step = 2 * np.pi / 3
    np.testing.assert_allclose(bonds(step * found), bonds(step * x))


def test_folded_vectors_point_along_x() -> None:
    x = np.random.default_rng(2).uniform(-1, 1, (20, 1, 4, 4)) + np.arange(20.0)[:, None, None, None]
    order_SC = np.stack([np.cos(x).mean((1, 2, 3)), np.sin(x).mean((1, 2, 3))], axis=1)
    found = folded(x, ANGLES, VECTOR, order_SC)
    np.testing.assert_allclose(np.sin(found).mean((1, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(np.cos(found).mean((1, 2, 3)), VECTOR.length(order_SC))
    np.testing.assert_allclose(bonds(found), bonds(x))


@pytest.mark.parametrize("variable", [SPINS, SPIN_ONE, VALUES, Variable("states", 2)])
def test_folding_by_sign_makes_every_order_parameter_positive(variable: Variable) -> None:
    rng = np.random.default_rng(3)
    if variable.kind == "values":
        x = rng.normal(size=(20, 1, 3, 3))
    else:
        x = rng.choice([-1, 0, 1] if variable.lowest else [-1, 1], (20, 1, 3, 3)).astype(np.int8)

    def measure(stored: NDArray[np.float64]) -> NDArray[np.float64]:
        value = 1.0 - 2 * stored if variable.states == 2 else stored
        return value.mean((1, 2, 3))[:, None]

    if variable.states == 2:
        x = (1 - x) // 2
    found = folded(x, variable, SIGN, measure(x))
    np.testing.assert_allclose(measure(found), np.abs(measure(x)))
    assert (measure(x) < 0).any()


def test_what_no_symmetry_folds_is_refused() -> None:
    broken = OrderParameter("staggered_magnetization", ("a", "b", "c"), "sublattices", 1)
    assert not can_fold(POTTS, broken)
    assert not can_fold(POTTS, VECTOR)
    assert not can_fold(Variable("states", 4), STATES)
    with pytest.raises(ValueError, match="cannot fold"):
        folded(np.zeros((1, 1, 2, 2)), POTTS, broken, np.zeros((1, 3)))


def test_order_parameters_of_one_hot_fields_are_those_of_the_configuration() -> None:
    x = np.random.default_rng(4).integers(0, 3, (10, 1, 4, 4)).astype(np.int8)
    field = features(x, POTTS).reshape(10, 3, 4, 4).astype(float)
    np.testing.assert_allclose(components(field, POTTS, STATES), potts_order(x), atol=1e-12)
    np.testing.assert_allclose(components(field, POTTS, CLOCK), clock_order(x), atol=1e-12)
    spin_one = components(field, SPIN_ONE, SIGN)
    np.testing.assert_allclose(spin_one[:, 0], (x - 1).mean((1, 2, 3)), atol=1e-12)
    parity = np.indices((4, 4)).sum(0) % 2
    broken = OrderParameter("staggered_magnetization", ("d_0", "d_1", "d_2"), "sublattices", 1)
    shares = [[(x[..., parity == p] == s).mean((1, 2)) for s in range(3)] for p in (0, 1)]
    np.testing.assert_allclose(components(field, POTTS, broken), np.subtract(*shares).T, atol=1e-12)


def test_order_parameters_of_fields_of_spins_vectors_and_values() -> None:
    probability = np.full((2, 1, 4, 4), [[[[0.9]]], [[[0.2]]]])
    np.testing.assert_allclose(components(probability, SPINS, SIGN), [[0.8], [-0.6]])
    angle = np.random.default_rng(5).uniform(-np.pi, np.pi, (6, 2, 4, 4))
    field = features(angle, ANGLES).reshape(6, 4, 4, 4).astype(float)
    parity = 1 - 2 * (np.indices((4, 4)).sum(0) % 2)
    expected = np.stack([(np.cos(angle) * parity).mean((1, 2, 3)), (np.sin(angle) * parity).mean((1, 2, 3))], axis=1)
    # Features are float32.
    np.testing.assert_allclose(components(field, ANGLES, STAGGERED_VECTOR), expected, atol=1e-7)
    np.testing.assert_allclose(components(angle[:, :1], VALUES, SIGN)[:, 0], angle[:, 0].mean((1, 2)))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="states must be 0 to 2, got -1 to 1"):
        features(np.array([[[[-1, 1]]]], dtype=np.int8), POTTS)
    with pytest.raises(ValueError, match="variable must be"):
        features(np.zeros((1, 1, 1, 1)), Variable("bits"))
    assert readable([SIGN, OrderParameter("nematic", ("n",))]) == [0]
    with pytest.raises(ValueError, match="nematic"):
        components(np.zeros((1, 1, 2, 2)), SPINS, OrderParameter("nematic", ("n",)))
    with pytest.raises(ValueError, match="does not fit"):
        components(np.zeros((1, 4, 2, 2)), Variable("states", 4), STATES)
    with pytest.raises(ValueError, match="does not fit"):
        components(np.zeros((1, 1, 2, 2)), VALUES, VECTOR)
    with pytest.raises(ValueError, match=r"\(samples, 3\)"):
        split(np.zeros((4, 2)), [STATES])
    assert [part.shape for part in split(np.zeros((4, 5)), [STATES, *signs(["a", "b"])])] == [(4, 3), (4, 1), (4, 1)]
