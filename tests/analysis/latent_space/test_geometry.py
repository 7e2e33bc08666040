"""Regular arrangements have known ratios and dimensions; noise and dead latents do not make one of the other."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.errors import index_chains
from analysis.latent_space.geometry import Geometry, among, flat_ratio, geometry
from analysis.orders import OrderParameter, signs
from analysis.phases import NO_ORDER, Phases, phase_names

FALSE_ALARM = 1e-5  # chance that correct code fails one of the statistical tests below; seeds are fixed
STATES = OrderParameter("m", ("a", "b", "c"), "states", 3)
TETRAHEDRON = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) / 2
TRIANGLE = np.array([[1, 0], [-0.5, sqrt(3) / 2], [-0.5, -sqrt(3) / 2], [0, 0]])


def latents(
    centre_PZ: ArrayLike, width: float, rng: np.random.Generator, rows: int = 40
) -> tuple[NDArray[np.float64], Phases, NDArray[np.intp]]:
    """Samples around each centre, and their phases: the last is the disordered one; ten chains per phase."""
    centre = np.asarray(centre_PZ, dtype=float)
    label_S = np.repeat(np.arange(len(centre)), rows)
    mean_SZ = centre[label_S] + width * rng.normal(size=(len(label_S), centre.shape[1]))
    return mean_SZ, Phases(phase_names([STATES]), label_S, (0, 0, 0, NO_ORDER)), np.arange(len(label_S)) % 10


def geometry_of(centre_PZ: ArrayLike, width: float = 0.0, seed: int = 0) -> Geometry:
    rng = np.random.default_rng(seed)
    mean_SZ, phases, chain_S = latents(centre_PZ, width, rng)
    return geometry(mean_SZ, phases, index_chains(chain_S, phases.label_S), rng, 60)


def test_a_tetrahedron() -> None:
    found = geometry_of(TETRAHEDRON)
    assert found.ordered is not None
    assert found.ordered.value == pytest.approx(sqrt(2))
    assert found.ratio is not None
    assert (found.ratio.value, found.ratio.error) == pytest.approx((1, 0), abs=1e-12)
    assert found.dimension.value == pytest.approx(3)
    assert found.thickness.value == pytest.approx(1)
    # Four points at distance a from their mean: each direction has a^2 / 3.
    assert [e.value for e in found.singular] == pytest.approx([0.5] * 3)
    assert found.shape == "simplex"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_centred_triangle_in_a_plane(extra: int) -> None:
    """Also with a third latent that is not used."""
    found = geometry_of(np.hstack([TRIANGLE, np.zeros((4, extra))]))
    assert found.ratio is not None
    assert found.unevenness is not None
    assert found.ratio.value == pytest.approx(sqrt(3)) == flat_ratio(3)
    assert found.unevenness.value == pytest.approx(1)
    assert found.dimension.value == pytest.approx(2)
    assert found.thickness.value == pytest.approx(0, abs=1e-12)
    assert found.shape == "flat"


def test_a_line_has_dimension_one_and_is_uneven() -> None:
    found = geometry_of([[0.0, 0], [1, 0], [3, 0], [2, 0]])
    assert found.dimension.value == pytest.approx(1)
    assert found.unevenness is not None
    assert found.unevenness.value == pytest.approx(3)


def test_noise_leaves_the_shape_and_gives_an_error() -> None:
    flat = geometry_of(np.hstack([TRIANGLE, np.zeros((4, 1))]), width=0.3)
    full = geometry_of(TETRAHEDRON, width=0.3)
    assert (flat.shape, full.shape) == ("flat", "simplex")
    for found, ratio in ((flat, sqrt(3)), (full, 1.0)):
        assert found.ratio is not None
        assert 0 < found.ratio.error < 0.1
        assert abs(found.ratio.value - ratio) < norm.isf(FALSE_ALARM / 2) * found.ratio.error


def test_what_is_half_way_is_called_neither() -> None:
    """The disordered phase raised to half of the height of the tetrahedron."""
    height = 0.5 * sqrt(2)
    raised = np.hstack([TRIANGLE, [[0], [0], [0], [height]]])
    assert geometry_of(raised).shape == "between"
    assert geometry_of(TETRAHEDRON, width=3.0).shape == "between"


def test_the_isometry_of_two_signs_is_the_flat_ratio() -> None:
    rng = np.random.default_rng(1)
    mean_SZ = np.repeat([[1.0], [-1.0], [0.0]], 20, axis=0)
    phases = Phases(phase_names(signs(["m"])), np.repeat([0, 1, 2], 20), (0, 0, NO_ORDER))
    found = geometry(mean_SZ, phases, index_chains(np.arange(60) % 5, phases.label_S), rng, 20)
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(2) == flat_ratio(2)


def test_given_classes_have_no_disordered_one() -> None:
    rng = np.random.default_rng(2)
    mean_SZ, phases, chain_S = latents(TETRAHEDRON, 0.1, rng)
    classes = Phases(("0", "1", "2", "3"), phases.label_S, (NO_ORDER,) * 4)
    found = geometry(mean_SZ, classes, index_chains(chain_S, phases.label_S), rng, 20)
    assert (found.disordered, found.ratio) == (None, None)
    assert found.shape == "simplex"


def test_phases_of_one_order_are_picked() -> None:
    names = phase_names(signs(["m", "s"]))
    phases = Phases(names, np.array([0, 1, 2, 3, 4]), (0, 0, 1, 1, NO_ORDER))
    assert among(phases, 1).tolist() == [False, False, True, True, True]


def test_collapsed_latents_have_no_ratio() -> None:
    found = geometry_of(np.zeros((4, 3)))
    assert found.ratio is None
    assert (found.dimension.value, found.thickness.value) == (0, 0)


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(0)
    mean_SZ, phases, chain_S = latents(TETRAHEDRON, 0.1, rng)
    chains = index_chains(chain_S, phases.label_S)
    with pytest.raises(ValueError, match="one phase per row"):
        geometry(mean_SZ[1:], phases, chains, rng)
    with pytest.raises(ValueError, match="three phases"):
        geometry(mean_SZ, phases._replace(label_S=phases.label_S // 2), chains, rng)
    with pytest.raises(ValueError, match="two ordered"):
        flat_ratio(1)
