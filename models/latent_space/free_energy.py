"""The free energy of latent space, arXiv:2110.08082, Eq. 12, and how far an encoder is from its optimum.

For a fixed decoder the best encoder is q*(z|x) ~ p(z) p(x|z)^(1 / beta). With its normalization Z_x the objective is

    L = -beta <ln Z_x> + beta <KL[q(z|x) || q*(z|x)]>,

a free energy, which is the decoder's alone, and a gap, which the encoder could close. Both are integrals over z: on a
grid in one or two dimensions, where the trapezoid rule is exact to rounding once its step is below the widths.

Axes: R members, M samples, G points of the grid, F features, K outputs of the decoder, Z latents.
"""

from math import ceil, log, pi
from typing import NamedTuple, cast

import torch
from torch import Tensor

from models.likelihoods.independent import MeanField
from models.vae import BetaVAE

REACH = 6.0
"""The grid ends this many standard deviations from the centre of the prior and of every posterior."""
STEPS_PER_WIDTH = 1.5
"""Points of the grid within the smallest standard deviation of a posterior. The rule's relative error is
2 exp(-2 pi^2 s^2) for s points in a Gaussian's width: 1e-19; q* may be narrower than q by 1.6 before it is 1e-7."""
MOST_POINTS = 401
"""Per dimension: enough for posteriors of .05."""
CHUNK = 2048
"""Points that are decoded at a time."""


class FreeEnergy(NamedTuple):
    """Parts of the objective in nats, averaged over samples; (R,) each."""

    free_energy: Tensor
    """-beta <ln Z_x>: the objective with the best encoder."""
    gap: Tensor
    """beta <KL[q || q*]>, at least 0: what the encoder adds to it."""


@torch.no_grad()
def free_energy(vae: BetaVAE, x_RMF: Tensor, beta_R: Tensor) -> FreeEnergy:
    """Free energy and gap of every member on samples of its own; the networks must be in evaluation mode.

    Both are nan if a posterior is too narrow for a grid of ``MOST_POINTS`` a dimension.

    Args:
        vae: one or two latents and a likelihood of independent sites.
        x_RMF: features of the samples.
        beta_R: beta of each member.

    Raises:
        ValueError: more than two latents, or another likelihood.
    """
    mean_RMZ, std_RMZ = vae.encoder(x_RMF)
    latent = mean_RMZ.shape[-1]
    if latent > 2:
        raise ValueError(f"a grid covers one or two latents, got {latent}")
    if not hasattr(vae.likelihood, "free_energy"):
        raise ValueError(f"{type(vae.likelihood).__name__} is no likelihood of independent sites")
    likelihood = cast(MeanField, vae.likelihood)
    reach = max(REACH, float((mean_RMZ.abs() + REACH * std_RMZ).max()))
    points = 2 * ceil(reach * STEPS_PER_WIDTH / float(std_RMZ.min())) + 1
    if points > MOST_POINTS:
        unknown_R = torch.full_like(beta_R, torch.nan)
        return FreeEnergy(unknown_R, unknown_R)
    z_GZ, log_cell = grid(latent, points, reach)
    sums = _Sums(mean_RMZ, std_RMZ)
    statistic_RMF, base_RM = likelihood.statistic(x_RMF), likelihood.base(x_RMF)
    for z_CZ in z_GZ.split(CHUNK):
        output_RCK = vae.decoder(z_CZ.to(x_RMF).expand(len(beta_R), -1, -1))
        # ln p = <T(x), h> - ln Z(h) + base(x): a matrix product instead of an array of all M, G and F.
        product_RMC = statistic_RMF @ likelihood.fields(output_RCK).mT
        log_p_RMC = product_RMC + likelihood.free_energy(output_RCK).unsqueeze(1) + base_RM.unsqueeze(2)
        sums.add(z_CZ.to(x_RMF.device), log_p_RMC.double() / beta_R[:, None, None])
    log_z_RM, divergence_RM = sums.close(log_cell)
    return FreeEnergy(-beta_R * log_z_RM.mean(1), beta_R * divergence_RM.mean(1))


class _Sums:
    """Sums over the grid, a part of it at a time: of p(z) p(x|z)^(1 / beta), and of q times its logarithm over that."""

    def __init__(self, mean_RMZ: Tensor, std_RMZ: Tensor) -> None:
        self._mean_RMZ, self._std_RMZ = mean_RMZ.double(), std_RMZ.double()
        zero_RM = torch.zeros(mean_RMZ.shape[:2], dtype=torch.float64, device=mean_RMZ.device)
        self._log_joint_RM = zero_RM - torch.inf
        self._weight_RM, self._weighted_RM = zero_RM, zero_RM.clone()

    def add(self, z_CZ: Tensor, scaled_log_p_RMC: Tensor) -> None:
        prior_C = -0.5 * z_CZ.square().sum(-1) - 0.5 * z_CZ.shape[1] * log(2 * pi)
        joint_RMC = prior_C + scaled_log_p_RMC
        # The posterior without its normalization: it is divided out in the end, and never overflows.
        widths_RMCZ = (z_CZ - self._mean_RMZ.unsqueeze(2)) / self._std_RMZ.unsqueeze(2)
        log_q_RMC = -0.5 * widths_RMCZ.square().sum(-1)
        q_RMC = log_q_RMC.exp()
        self._log_joint_RM = torch.logaddexp(self._log_joint_RM, torch.logsumexp(joint_RMC, dim=-1))
        self._weight_RM = self._weight_RM + q_RMC.sum(-1)
        self._weighted_RM = self._weighted_RM + (q_RMC * (log_q_RMC - joint_RMC)).sum(-1)

    def close(self, log_cell: float) -> tuple[Tensor, Tensor]:
        """ln Z_x and KL[q || q*] of every sample, (R, M) each."""
        log_z_RM = self._log_joint_RM + log_cell
        return log_z_RM, self._weighted_RM / self._weight_RM - self._weight_RM.log() - log_cell + log_z_RM


def grid(latent: int, points: int, reach: float) -> tuple[Tensor, float]:
    """Points (G, Z) from -reach to reach in every dimension, and the logarithm of their cell's volume."""
    line = torch.linspace(-reach, reach, points, dtype=torch.float64)
    step = 2 * reach / (points - 1)
    return torch.cartesian_prod(*[line] * latent).reshape(-1, latent), latent * log(step)
