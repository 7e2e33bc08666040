"""Top eigenvalues against a dense diagonalization."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.config import ModelConfig
from models.data.samples import PackedSamples, samples_of
from models.latent_space.spectrum import TOLERANCE, eigenvalues


def top_eigenvalue(bits: NDArray[np.uint8], shape: tuple[int, int, int]) -> float:
    return eigenvalues(PackedSamples(bits, shape), ModelConfig(shape=shape))[0]


def dense(bits: NDArray[np.uint8], sites: int, centred: bool = True) -> float:
    x = np.unpackbits(bits, axis=1)[:, :sites] * 2.0 - 1.0
    x -= x.mean(0) * centred
    return float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])


@pytest.mark.parametrize("size", [4, 8, 12])
def test_lanczos_agrees_with_dense(phases: Callable, size: int) -> None:
    bits, _ = phases(size, 1500)
    assert top_eigenvalue(bits, (1, size, size)) == pytest.approx(dense(bits, size * size), rel=TOLERANCE)


def test_the_mean_is_subtracted(phases: Callable) -> None:
    bits, phase = phases(8, 2000)
    magnetized = bits[(phase == 1) | (phase == 0)]
    expected = dense(magnetized, 64)
    assert top_eigenvalue(magnetized, (1, 8, 8)) == pytest.approx(expected, rel=TOLERANCE)
    # Negative control: a third of the samples is magnetized, so the second moment's is larger by 1 / (1 - 1/3).
    assert dense(magnetized, 64, centred=False) > 1.2 * expected


def test_sites_that_do_not_fill_their_bytes() -> None:
    bits = np.random.default_rng(0).integers(0, 256, size=(40, 2), dtype=np.uint8)
    assert top_eigenvalue(bits, (1, 3, 4)) == pytest.approx(dense(bits, 12), rel=TOLERANCE)


def test_it_is_deterministic(phases: Callable) -> None:
    bits, _ = phases(8, 700)
    assert top_eigenvalue(bits, (1, 8, 8)) == top_eigenvalue(bits, (1, 8, 8))


def test_data_without_a_covariance_are_refused() -> None:
    with pytest.raises(ValueError, match="all equal"):
        top_eigenvalue(np.full((5, 2), 7, dtype=np.uint8), (1, 4, 4))
    with pytest.raises(ValueError, match="at least 2 samples and 2 features, got 1, 16"):
        top_eigenvalue(np.zeros((1, 2), dtype=np.uint8), (1, 4, 4))


def whitened(x_SF: NDArray[np.float64], noise_QQ: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Generalized eigenvalues of the covariance of (S, Q * N) features, noise of one variable given; dense."""
    sites = x_SF.shape[1] // len(noise_QQ)
    covariance = np.cov(x_SF.T, bias=True)
    root = np.linalg.pinv(np.kron(noise_QQ, np.eye(sites)), hermitian=True)
    return np.sort(np.linalg.eigvals(root @ covariance).real)[::-1][:count]


def test_states_are_measured_in_units_of_the_noise_of_their_shares() -> None:
    rng = np.random.default_rng(3)
    order = rng.choice(4, p=[0.6, 0.2, 0.1, 0.1], size=(400, 1))
    states = np.where(rng.random((400, 9)) < 0.5, order, rng.choice(4, p=[0.1, 0.2, 0.3, 0.4], size=(400, 9)))
    samples = samples_of(states, (1, 3, 3), "states", 4)
    config = ModelConfig(shape=(1, 3, 3), variable="states", states=4, likelihood="multinomial")
    x = samples.unpack(torch.arange(400)).double().numpy()
    share = x.mean(0).reshape(4, 9).mean(1)
    expected = whitened(x, np.diag(share) - np.outer(share, share), 2)
    assert eigenvalues(samples, config, 2) == pytest.approx(expected, rel=10 * TOLERANCE)
    # Negative control: the noise of equal shares is another scale.
    equal = np.full(4, 0.25)
    assert whitened(x, np.diag(equal) - np.outer(equal, equal), 1)[0] != pytest.approx(expected[0], rel=0.05)


def test_angles_and_values_are_measured_in_units_of_their_likelihood() -> None:
    rng = np.random.default_rng(4)
    angles = rng.normal(rng.uniform(0, 6, size=(300, 1)), 0.5, size=(300, 9))
    samples = samples_of(angles, (1, 3, 3), "angles")
    x = samples.unpack(torch.arange(300)).double().numpy()
    plain = whitened(x, np.eye(2), 1)[0]
    shape = (1, 3, 3)

    def lam(likelihood: Any, variance: Any = 1.0) -> float:
        config = ModelConfig(shape=shape, variable="angles", likelihood=likelihood, variance=variance)
        return eigenvalues(samples, config)[0]

    assert lam("von-mises") == pytest.approx(2 * plain, rel=10 * TOLERANCE)
    assert lam("gaussian") == pytest.approx(plain, rel=10 * TOLERANCE)
    assert lam("gaussian", 0.25) == pytest.approx(4 * plain, rel=10 * TOLERANCE)
    assert lam("gaussian", "learned") == pytest.approx(plain / x.var(0).mean(), rel=10 * TOLERANCE)
