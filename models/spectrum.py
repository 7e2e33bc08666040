"""Top eigenvalue of the data's covariance: the scale of beta.

Linearized at zero field, the Bernoulli likelihood of +-1 data is a Gaussian of unit variance. A linear Gaussian
beta-VAE keeps a latent only if an eigenvalue of the covariance exceeds beta (Lucas et al., arXiv:1911.02469), so
that the latents collapse at beta = lam, the largest eigenvalue, whatever the architecture.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from models.data import PackedSamples

CHUNK = 512
"""Samples unpacked at a time; at 1,024 sites they are 2 MiB, which a core's own cache holds."""
KRYLOV = 8
"""Lanczos vectors between restarts; the top of the spectrum stands apart, so that few are needed."""
TOLERANCE = 1e-5
"""Relative error at which Lanczos stops; far below the sampling error of lam, a few per cent."""


def top_eigenvalue(bits: NDArray[np.uint8], shape: tuple[int, int, int]) -> float:
    """Largest eigenvalue of the N x N covariance of +-1 samples; it contains a factor N where phases are ordered.

    Lanczos from a fixed start, one pass over the data per step, so that N x N numbers are never held.

    Args:
        bits: packed samples (n, ceil(N / 8)) as in ``PackedSamples``, n >= 2.
        shape: channels, rows and columns; N, their product, at least 2.

    Raises:
        ValueError: fewer than two samples or sites, or samples that are all equal.
    """
    samples = PackedSamples(bits, shape)
    sites = samples.sites
    if len(samples) < 2 or sites < 2:
        raise ValueError(f"a covariance needs at least 2 samples and 2 sites, got {len(samples)} and {sites}")
    if (bits == bits[0]).all():
        raise ValueError("the samples are all equal: their covariance is zero and sets no scale for beta")
    mean_N = _mean(samples)

    def apply(vector_N: NDArray[np.float64]) -> NDArray[np.float64]:
        v_N = torch.from_numpy(np.ascontiguousarray(vector_N, dtype=np.float32)).reshape(sites)
        product_N = torch.zeros(sites, dtype=torch.float64)
        for rows in torch.arange(len(samples)).split(CHUNK):
            x_BN = samples.unpack(rows)
            product_N += x_BN.T @ (x_BN @ v_N)
        return (product_N / len(samples) - mean_N * torch.dot(mean_N, v_N.double())).numpy()

    covariance = LinearOperator((sites, sites), matvec=apply, dtype=np.float64)
    start_N = np.random.default_rng(0).standard_normal(sites)
    values = eigsh(
        covariance,
        k=1,
        which="LA",
        v0=start_N,
        ncv=min(KRYLOV, sites),
        tol=TOLERANCE,
        return_eigenvectors=False,
    )
    return float(values[0])


def _mean(samples: PackedSamples) -> torch.Tensor:
    chunks = torch.arange(len(samples)).split(CHUNK)
    total_N = torch.stack([samples.unpack(rows).sum(0) for rows in chunks]).double().sum(0)
    return total_N / len(samples)
