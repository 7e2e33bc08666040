"""Top of the spectrum of the data's covariance, in units of the likelihood's own noise: the scale of beta.

Linearized about fields that do not depend on z, every likelihood here is a Gaussian, and a linear Gaussian beta-VAE
keeps a latent only if an eigenvalue of the covariance, in units of the noise, exceeds beta (Lucas et al.,
arXiv:1911.02469).
So the latents collapse at beta = lam, the largest eigenvalue, whatever the architecture. The noise is

    spins                  1 (the variance of a spin at zero field)
    states                 diag(p) - p p^T, p the shares of the states in the data
    angles, von Mises      1/2 for cosine and sine (at zero field)
    Gaussian               the variance; a learned one is at collapse that of the data

Axes: F features, C channels, Q features per variable, P directions of noise per variable, N sites of a channel.
"""

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from models.compute.chunks import CHUNK, rows_at_once
from models.config import ModelConfig
from models.data.samples import Samples

KRYLOV = 8
"""Lanczos vectors between restarts for one eigenvalue; the top of the spectrum stands apart, so that few are needed."""
TOLERANCE = 1e-5
"""Relative error at which Lanczos stops; far below the sampling error of lam, a few per cent."""
ABSENT = 1e-9
"""Share below which a state does not occur: it makes no noise."""


def eigenvalues(samples: Samples, config: ModelConfig, count: int = 1) -> tuple[float, ...]:
    """Largest eigenvalues of the data's covariance in units of the noise, in falling order.

    Lanczos from a fixed start, one pass over the data per step, so that F x F numbers are never held.

    Args:
        samples: what a network is trained on, n >= 2.
        config: variable and likelihood decide the noise.
        count: how many, below the number of features.

    Raises:
        ValueError: fewer than two samples, as few features as eigenvalues asked for, or samples that are all equal.
    """
    channels = config.shape[0]
    mean_F, square_F = _moments(samples)
    features = len(mean_F)
    if len(samples) < 2 or features <= count:
        raise ValueError(
            f"{count} eigenvalue(s) need at least 2 samples and {count + 1} features, got {len(samples)}, {features}"
        )
    if (square_F <= mean_F**2 * (1 + 1e-12)).all():
        raise ValueError("the samples are all equal: their covariance is zero and sets no scale for beta")
    whiten_QP = whitening(config, mean_F.numpy(), square_F.numpy())
    directions = whiten_QP.shape[1] * features // config.width

    def to_features(vector: NDArray[np.float64]) -> torch.Tensor:
        by_direction = vector.reshape(channels, whiten_QP.shape[1], -1)
        return torch.from_numpy(np.einsum("qp,cpn->cqn", whiten_QP, by_direction).reshape(-1))

    def apply(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        v_F = to_features(np.asarray(vector, dtype=np.float64)).to(torch.get_default_dtype())
        product_F = torch.zeros(features, dtype=torch.float64)
        for rows in _chunks(samples):
            x_BF = samples.unpack(rows).cpu()
            product_F += x_BF.T @ (x_BF @ v_F)
        covariant_F = product_F / len(samples) - mean_F * torch.dot(mean_F, v_F.double())
        by_feature = covariant_F.numpy().reshape(channels, config.width, -1)
        return np.einsum("qp,cqn->cpn", whiten_QP, by_feature).reshape(-1)

    covariance = LinearOperator((directions, directions), matvec=apply, dtype=np.float64)
    values = eigsh(
        covariance,
        k=count,
        which="LA",
        v0=np.random.default_rng(0).standard_normal(directions),
        ncv=min(max(KRYLOV, 2 * count + 1), directions),
        tol=TOLERANCE,
        return_eigenvectors=False,
    )
    return tuple(sorted(map(float, values), reverse=True))


def whitening(config: ModelConfig, mean_F: NDArray[np.float64], square_F: NDArray[np.float64]) -> NDArray[np.float64]:
    """W (Q, P) with W^T noise W = 1: it turns the features of one variable into units of the likelihood's noise.

    Args:
        config: variable and likelihood.
        mean_F: means of the features.
        square_F: means of their squares.
    """
    if config.variable == "states":
        share_Q = mean_F.reshape(config.shape[0], config.states, -1).mean(axis=(0, 2))
        noise_P, direction_QP = np.linalg.eigh(np.diag(share_Q) - np.outer(share_Q, share_Q))
        real = noise_P > ABSENT
        return np.asarray(direction_QP[:, real] / np.sqrt(noise_P[real]))
    if config.likelihood == "von-mises":
        noise = 0.5
    elif config.likelihood == "gaussian":
        learned = config.variance == "learned"
        noise = float((square_F - mean_F**2).mean()) if learned else float(config.variance)
    else:
        noise = 1.0
    return np.eye(config.width) / np.sqrt(noise)


def _chunks(samples: Samples) -> tuple[torch.Tensor, ...]:
    """Rows of all samples, in parts."""
    chunk = rows_at_once(CHUNK, prod(samples.shape) * samples.width)
    return torch.arange(len(samples), device=samples.device).split(chunk)


def _moments(samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of the features and of their squares, in double precision."""
    total, squares = [], []
    for rows in _chunks(samples):
        x_BF = samples.unpack(rows).cpu()
        total.append(x_BF.sum(0))
        squares.append(x_BF.square().sum(0))
    sums = [torch.stack(part).double().sum(0) / len(samples) for part in (total, squares)]
    return sums[0], sums[1]
