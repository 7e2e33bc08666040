"""The objective of an idealized beta-VAE: Gaussian clusters, and the best decoder that there can be for them.

Every class of the data is a mean field; its samples share one posterior, a Gaussian, and at z the decoder
gives the mean over classes of their mean fields, weighted by how likely each is there. What is left to minimize are
centres and widths. So the energies of different arrangements (a plane, a tetrahedron, a line) can be compared without
the accidents of training.

Axes: I restarts, A arrangement's classes, Z latents, M draws of a class, G groups of equivalent sites, Q states.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.config import Posterior
from models.latent_space.validity import rank_of_means
from models.vae import kl_divergence

STEPS = 600
LEARNING_RATE = 0.05
DRAWS, MEASURED = 32, 2048
"""Per class and restart: new ones in every step, or the centres would be fitted to them; and many in the end. Each
comes with its mirror image, so the numbers are even."""
SPREAD = 1.5
"""Standard deviation of the first centres."""
SMALLEST = 1e-6
"""Share of the uniform distribution in the mean fields: data that are fully ordered have no finite logarithm."""
ACTIVE = 0.1


class Arrangement(NamedTuple):
    """One local optimum."""

    loss: float
    """Eq. 4 of arXiv:2110.08082 in nats."""
    kl: tuple[float, ...]
    """KL divergence of each latent, averaged over classes."""
    rank: int
    """Dimensions that the centres span: 1 a line, 2 a plane, 3 a tetrahedron or the like."""
    centres: NDArray[np.float64]
    """(A, Z)."""


def arrangements(
    mean_AGQ: NDArray[np.floating],
    weight_A: Sequence[float],
    sites_G: Sequence[float],
    beta: float,
    latent: int,
    seed: int,
    restarts: int = 64,
    posterior: Posterior = "diagonal",
) -> list[Arrangement]:
    """Local optima from random starts, the best first.

    Args:
        mean_AGQ: probability of each state on each group of sites, for every class.
        weight_A: share of each class in the data.
        sites_G: sites in each group.
        beta: of the objective.
        latent: Z.
        seed: of starts and draws.
        restarts: I.
        posterior: of each class, with a width for each latent or one for all.

    Raises:
        ValueError: shapes that do not fit, shares that do not add up to 1, or probabilities that do not.
    """
    mean = torch.as_tensor(np.asarray(mean_AGQ, dtype=np.float64))
    weight_t, sites_t = torch.tensor(weight_A, dtype=torch.float64), torch.tensor(sites_G, dtype=torch.float64)
    if mean.ndim != 3 or mean.shape[:2] != (len(weight_t), len(sites_t)):
        raise ValueError(f"need means (classes, groups, states) with weights and sites, got {tuple(mean.shape)}")
    if abs(float(weight_t.sum()) - 1) > 1e-6 or not torch.allclose(mean.sum(-1), torch.ones_like(mean[..., 0])):
        raise ValueError("weights of classes and probabilities of states must add up to 1")
    mean = (1 - SMALLEST) * mean + SMALLEST / mean.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    classes = len(weight_t)

    def noise(draws: int) -> Tensor:
        half = torch.randn(restarts, classes, draws // 2, latent, generator=generator, dtype=torch.float64)
        return torch.cat([half, -half], dim=2)

    centre = SPREAD * torch.randn(restarts, classes, latent, generator=generator, dtype=torch.float64)
    width = torch.full_like(centre if posterior == "diagonal" else centre[..., :1], -1.0)
    optimizer = torch.optim.Adam([centre.requires_grad_(), width.requires_grad_()], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_I, _ = _objective(centre, width, noise(DRAWS), mean, weight_t, sites_t, beta)
        loss_I.sum().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        loss_I, kl_IZ = _objective(centre, width, noise(MEASURED), mean, weight_t, sites_t, beta)
    arrangements = [
        Arrangement(
            float(loss_I[i]),
            tuple(kl_IZ[i].tolist()),
            rank_of_means(_weighted(centre[i].detach(), weight_t).numpy()),
            centre[i].detach().numpy(),
        )
        for i in range(restarts)
    ]
    return sorted(arrangements, key=lambda arrangement: arrangement.loss)


def _weighted(centre_AZ: Tensor, weight_A: Tensor) -> Tensor:
    """Every centre as often as its class occurs."""
    return centre_AZ.repeat_interleave((1000 * weight_A).round().long(), dim=0)


def _objective(
    centre_IAZ: Tensor, width_IAW: Tensor, noise_IAMZ: Tensor, mean_AGQ: Tensor, weight_A: Tensor, sites_G: Tensor,
    beta: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Objective (I,) and KL divergences (I, Z); W is Z, or 1 where all latents share a width."""
    std_IAZ = F.softplus(width_IAW).expand_as(centre_IAZ)
    z_IAMZ = centre_IAZ.unsqueeze(2) + std_IAZ.unsqueeze(2) * noise_IAMZ
    # How likely z is under every class: (I, A of the draw, M, A of the class).
    scaled = (z_IAMZ.unsqueeze(3) - centre_IAZ[:, None, None]) / std_IAZ[:, None, None]
    log_q = -0.5 * scaled.square().sum(-1) - std_IAZ.log().sum(-1)[:, None, None] + weight_A.log()
    decoded_IAMGQ = torch.einsum("iamb,bgq->iamgq", torch.softmax(log_q, dim=-1), mean_AGQ)
    cross_IAMG = -(mean_AGQ[None, :, None] * decoded_IAMGQ.log()).sum(-1)
    likelihood_I = (cross_IAMG @ sites_G).mean(-1) @ weight_A
    kl_IZ = torch.einsum("iaz,a->iz", kl_divergence(centre_IAZ, std_IAZ), weight_A)
    return likelihood_I + beta * kl_IZ.sum(-1), kl_IZ
