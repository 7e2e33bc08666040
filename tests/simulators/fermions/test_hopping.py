"""Hopping by factors against the matrix as it is."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.fermions.greens_functions import GreensFunctions
from simulators.fermions.hirsch import fermions
from simulators.fermions.hopping import Dense, Separable, scale
from simulators.rng.sfc64 import generators
from simulators.systems.hubbard import Spec

SHAPES = [(2, 2), (4, 4), (6, 6), (8, 8), (3, 5), (4, 1)]


def factors(rows: int, columns: int, kind: type) -> tuple[NDArray[Any], ...]:
    """Neither symmetric nor real where complex: no transposition goes unseen."""
    rng = np.random.default_rng(rows)
    made = (np.eye(size) + 0.2 * rng.normal(size=(size, size)) for size in (rows, columns))
    turned = ((0.1j * rng.normal(size=matrix.shape) if kind is complex else 0) + matrix for matrix in made)
    return tuple(np.ascontiguousarray(matrix, dtype=kind) for matrix in turned)


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("shape", SHAPES)
def test_factors_are_the_matrix(shape: tuple[int, int], kind: type) -> None:
    row_II, column_JJ = factors(*shape, kind)
    hop_NN = np.kron(row_II, column_JJ)
    sites = len(hop_NN)
    rng = np.random.default_rng(1)
    X_KNN = rng.normal(size=(3, sites, sites)).astype(kind)
    vertex_KN = rng.random((3, sites)).astype(kind)
    inverse = np.linalg.inv(hop_NN)
    hoppings = (
        Dense(hop_NN, inverse),
        Separable(row_II, column_JJ, np.linalg.inv(row_II), np.linalg.inv(column_JJ)),
    )
    spare_NN = np.empty((sites, sites), kind)
    for hopping in hoppings:
        G = X_KNN.copy()
        hopping.conjugate(G, spare_NN)
        np.testing.assert_allclose(G, hop_NN @ X_KNN @ inverse, atol=1e-12)
        hopping.conjugate_back(G, spare_NN)
        np.testing.assert_allclose(G, X_KNN, atol=1e-12)
        hopping.multiply(vertex_KN, G, spare_NN)
        np.testing.assert_allclose(G, vertex_KN[..., None] * (hop_NN @ X_KNN), atol=1e-12)
        G = X_KNN.copy()
        hopping.multiply_transposed(G, vertex_KN, spare_NN)
        np.testing.assert_allclose(G, hop_NN.T @ (vertex_KN[..., None] * X_KNN), atol=1e-12)


def test_scale() -> None:
    rng = np.random.default_rng(1)
    X_KNM, left_KN, right_KM = rng.random((2, 3, 4)), rng.random((2, 3)), rng.random((2, 4))
    expected = left_KN[..., None] * X_KNM * right_KM[:, None, :]
    scale(X_KNM, left_KN, right_KM)
    # Two products each, in any order: four roundings of 1.1e-16.
    np.testing.assert_allclose(X_KNM, expected, rtol=4 * 2.0**-53)


@pytest.mark.parametrize(("twist", "dope"), [(0.0, {"chemical_potential": 0.4}), (0.5, {}), (0.3, {})])
@pytest.mark.parametrize("size", [2, 4, 6, 10])
def test_hops_of_the_lattice_are_a_product(size: int, twist: float, dope: dict[str, float]) -> None:
    """exp(dtau (T + mu)) of the lattice is that of a ring along rows times that of one along columns."""
    spec = Spec(size=size, temperature=1.0, interaction=2.0, hopping=0.7, twist_x=twist, twist_y=0.5 * twist, **dope)
    model = fermions(spec)
    assert model.factors is not None
    np.testing.assert_allclose(np.kron(*model.factors), model.hop_NN, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("potential", [0.0, -0.4])
def test_fields_are_the_same_with_and_without_factors(potential: float) -> None:
    """Flip for flip, at a size at which the factors are taken."""
    spec = Spec(size=8, temperature=0.5, interaction=4.0, chemical_potential=potential)
    model = fermions(spec)
    runs = []
    for parts in (model.factors, None):
        field_CTN = np.where(np.random.default_rng(1).random((2, spec.slices, 64)) < 0.5, -1, 1).astype(np.int8)
        chosen = dataclasses.replace(model, factors=parts)
        assert isinstance(chosen.hopping, Dense if parts is None else Separable)
        runs.append(GreensFunctions(chosen, field_CTN, generators(np.random.default_rng(2), 2), 5))
        for _ in range(5):
            assert (runs[-1].sweep() < 1e-6).all()
    np.testing.assert_array_equal(runs[0].field_CTN, runs[1].field_CTN)
