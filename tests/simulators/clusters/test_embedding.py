"""Clusters of embedded Ising spins sample the signs of given projections exactly."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from simulators.clusters import embedding
from simulators.rng.sfc64 import generators

CHAINS = 64 * 400
FALSE_ALARM = 1e-7  # per comparison, of which there are ten
WRONG = 1.03
KINDS = {"swendsen-wang": 1, "wolff": 3}
"""Kind -> clusters of one update."""
UPDATES = 30
"""At least ten autocorrelation times on so few sites."""
CASES = [(3, 0.45), (2, 0.5), (2, -0.5)]
"""Size and strength; on 2 x 2 sites every bond is there twice."""


def magnitudes(size: int) -> NDArray[np.float64]:
    """(N,) of the projections, all different."""
    return 0.6 + np.arange(size**2) / size**2


def probabilities(size: int, strength: float) -> NDArray[np.float64]:
    """Of the 2^N signs, from a sum over bonds that shares no code with the kernels."""
    signs = np.array(list(itertools.product((-1, 1), repeat=size**2)))
    a = (signs * magnitudes(size)).reshape(-1, size, size)
    weight = np.exp(strength * (a * (np.roll(a, 1, 1) + np.roll(a, 1, 2))).sum((1, 2)))
    return weight / weight.sum()


def chi_square(a_RIJ: NDArray[np.float64], strength: float) -> float:
    """P-value of the signs; those that expect fewer than ten are one class."""
    size = a_RIJ.shape[1]
    number_R = (a_RIJ.reshape(len(a_RIJ), -1) > 0) @ (1 << np.arange(size**2)[::-1])
    expected = len(a_RIJ) * probabilities(size, strength)
    rare = expected < 10
    found = np.bincount(number_R, minlength=2 ** (size**2))
    found, expected = (np.append(x[~rare], x[rare].sum()) for x in (found, expected))
    keep = expected > 0
    return float(chi2.sf(((found - expected)[keep] ** 2 / expected[keep]).sum(), keep.sum() - 1))


def start(size: int, rng: np.random.Generator, chains: int = CHAINS) -> NDArray[np.float64]:
    signs_RN = rng.choice((-1.0, 1.0), size=(chains, size**2))
    return (signs_RN * magnitudes(size)).reshape(chains, size, size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "strength"), CASES)
def test_signs_follow_their_distribution(size: int, strength: float, kind: Any) -> None:
    rng = np.random.default_rng([size, KINDS[kind]])
    a_RIJ, state_RV = start(size, rng), generators(rng, CHAINS)
    for _ in range(UPDATES):
        before_RIJ = a_RIJ.copy()
        turned_RIJ = embedding.update(a_RIJ, strength, state_RV, kind, KINDS[kind])
        np.testing.assert_array_equal(a_RIJ, np.where(turned_RIJ, -before_RIJ, before_RIJ))
    assert chi_square(a_RIJ, strength) > FALSE_ALARM


def test_another_strength_is_noticed() -> None:
    """Negative control, by four times the chains; a miss has a chance below 1e-5."""
    rng = np.random.default_rng(5)
    a_RIJ, state_RV = start(3, rng, 4 * CHAINS), generators(rng, 4 * CHAINS)
    for _ in range(UPDATES):
        embedding.update(a_RIJ, 0.45, state_RV, "swendsen-wang")
    assert chi_square(a_RIJ, 0.45) > FALSE_ALARM
    assert chi_square(a_RIJ, 0.45 * WRONG) < FALSE_ALARM


def test_stopping_when_enough_sites_are_turned_is_noticed() -> None:
    """Negative control: chains in equilibrium don't stay there if their last cluster is the one that makes it three."""
    rng = np.random.default_rng(6)
    a_RIJ, state_RV = start(3, rng), generators(rng, CHAINS)
    for _ in range(UPDATES):
        embedding.update(a_RIJ, 0.45, state_RV, "wolff", 1)
    assert chi_square(a_RIJ, 0.45) > FALSE_ALARM
    queue_N2 = np.empty((9, 2), dtype=np.int32)
    for a_IJ, state_V in zip(a_RIJ, state_RV, strict=True):
        turned = 0
        while turned < 3:
            turned += embedding.wolff_cluster(a_IJ.reshape(9), 0.45, 3, state_V, queue_N2)
    assert chi_square(a_RIJ, 0.45) < FALSE_ALARM


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_depends_on_its_own_generator_only(kind: Any) -> None:
    rng = np.random.default_rng(7)
    a_RIJ, state_RV = start(8, rng, 10), generators(rng, 10)
    some = np.array([7, 2, 3])
    some_RIJ, some_RV = a_RIJ[some], state_RV[some]
    for _ in range(5):
        turned_RIJ = embedding.update(a_RIJ, 0.4, state_RV, kind, KINDS[kind])
        np.testing.assert_array_equal(embedding.update(some_RIJ, 0.4, some_RV, kind, KINDS[kind]), turned_RIJ[some])


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_join_nothing(kind: Any) -> None:
    """Frozen but for a cross of zeros around one site, which then turns alone."""
    rng = np.random.default_rng(8)
    a_RIJ = np.ones((400, 6, 6))
    for i, j in ((2, 2), (1, 3), (3, 3), (2, 4)):
        a_RIJ[:, i, j] = 0.0
    for _ in range(8):
        embedding.update(a_RIJ, 50.0, generators(rng, 400), kind, 36 if kind == "wolff" else 1)
    others_RN = np.delete(a_RIJ.reshape(400, 36), [13, 14, 15, 16, 9, 21], axis=1)
    assert (others_RN == others_RN[:, :1]).all()
    # Turned or not by chance: a binomial share within 5 standard deviations, false alarm 6e-7.
    assert abs((a_RIJ[:, 2, 3] == others_RN[:, 0]).mean() - 0.5) < 5 * 0.5 / np.sqrt(400)


def test_planar_spins_are_reflected_as_their_projections_are() -> None:
    """The same random words give the same clusters; lengths and the other component stay."""
    rng = np.random.default_rng(9)
    size, strength = 12, 0.9
    angle_N = rng.uniform(0, 2 * np.pi, size**2)
    state_V, queue_N2 = generators(rng, 1)[0], np.empty((size**2, 2), dtype=np.int32)
    other_V = state_V.copy()
    x_N, y_N = np.cos(angle_N), np.sin(angle_N)
    for _ in range(50):
        direction = rng.uniform(0, 2 * np.pi)
        r = float(np.cos(direction)), float(np.sin(direction))
        a_N, across_N = x_N * r[0] + y_N * r[1], x_N * r[1] - y_N * r[0]
        count = embedding.wolff_cluster(a_N, strength, size, other_V, queue_N2.copy())
        assert count == embedding.reflect_cluster(x_N, y_N, r, strength, size, state_V, queue_N2)
        np.testing.assert_allclose(x_N * r[0] + y_N * r[1], a_N, atol=1e-14)
        np.testing.assert_allclose(x_N * r[1] - y_N * r[0], across_N, atol=1e-14)
        assert len(set(queue_N2[:count, 0])) == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a_RIJ": np.zeros((2, 4, 4), dtype=np.float32)}, "float64, got float32"),
        ({"a_RIJ": np.zeros((2, 4, 3))}, "square and of size 2 at least, got 4 x 3"),
        ({"a_RIJ": np.zeros((2, 3, 3)), "strength": -1.0}, "positive where the size is odd, got -1.0"),
        ({"strength": float("nan")}, "strength must be finite"),
        ({"kind": "woolf"}, "got 'woolf'"),
        ({"clusters": 0}, "clusters must be at least 1"),
        ({"kind": "swendsen-wang", "clusters": 2}, 'and 1 for "swendsen-wang", got 2'),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    usable = {"a_RIJ": np.zeros((2, 4, 4)), "strength": 1.0, "kind": "wolff", "clusters": 1}
    state_RV = generators(np.random.default_rng(1), 2)
    with pytest.raises(ValueError, match=message):
        embedding.update(**(usable | arguments), state_RV=state_RV)  # type: ignore[arg-type]
