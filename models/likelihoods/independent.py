"""Distributions of a configuration given the decoder's output.

Each is a mean-field Hamiltonian at temperature 1 (arXiv:2110.08082, Eqs. 10 to 18): the sites are independent, and the
decoder gives the field on each of them. With features x, fields h and the statistic T(x),

    ln p(x|z) = <T(x), h> + free_energy(h) + base(x),      free_energy = -ln Z(h).

Axes: ... any leading ones (R members, B samples), F features, K numbers that the decoder gives, C channels, Q features
per variable, N sites of one channel.
"""

import math
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.likelihoods.log_sigmoid import sum_log_sigmoid


class Outputs(NamedTuple):
    """How many numbers a decoder gives: K = site * rows * columns + shared, in this order."""

    site: int
    """Channels of numbers per lattice site."""
    shared: int
    """Numbers per sample that belong to no site."""


class Likelihood(Protocol):
    """What a beta-VAE needs to know of the data's distribution: an nn.Module, nearly always without parameters."""

    stacked: ClassVar[bool]
    """Parameters, if any, carry the member dimension first."""
    outputs: Outputs

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites; the leading axes remain."""
        ...

    def mean(self, output_K: Tensor) -> Tensor:
        """Mean of the features, (..., F): the mean-field values m_k."""
        ...

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """Features of configurations drawn from p(x|z), (..., F)."""
        ...


class MeanField(Likelihood, Protocol):
    """A likelihood of independent sites."""

    def statistic(self, x_F: Tensor) -> Tensor:
        """T(x), what the fields couple to, (..., F)."""
        ...

    def fields(self, output_K: Tensor) -> Tensor:
        """Natural parameters h_k, (..., F), in units of temperature."""
        ...

    def free_energy(self, output_K: Tensor) -> Tensor:
        """-ln Z of the mean-field Hamiltonian, summed over sites: the leading axes remain."""
        ...

    def base(self, x_F: Tensor) -> Tensor:
        """The part of ln p(x|z) that does not depend on z."""
        ...


class Bernoulli(nn.Module):
    """Two states per site, x = +1 with probability m = sigmoid(h) and -1 otherwise (arXiv:2110.08082, Eq. 7)."""

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.outputs = Outputs(channels, 0)

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites, of -1 and +1."""
        # p(x) = sigmoid(x h) for both states; its logarithm stays finite where the sigmoid underflows.
        return sum_log_sigmoid(x_F, output_K)

    def mean(self, output_K: Tensor) -> Tensor:
        """Probability m of +1 on each site, in (0, 1)."""
        return torch.sigmoid(output_K)

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """Configurations of -1 and +1; ``generator`` must be on the device of the fields."""
        return torch.bernoulli(self.mean(output_K), generator=generator).mul_(2).sub_(1)

    def statistic(self, x_F: Tensor) -> Tensor:
        """The paper's sigma in {0, 1}."""
        return (x_F + 1) / 2

    def fields(self, output_K: Tensor) -> Tensor:
        return output_K

    def free_energy(self, output_K: Tensor) -> Tensor:
        """-sum_k ln(1 + exp(h_k)) (arXiv:2110.08082, Eq. 11)."""
        return -F.softplus(output_K).sum(-1)

    def base(self, x_F: Tensor) -> Tensor:
        return torch.zeros_like(x_F[..., 0])


class Multinomial(nn.Module):
    """q states per site with the probabilities softmax(h) over states (arXiv:2110.08082, Eqs. 13 and 14).

    Features are one-hot, laid out as (channels, states, sites), and so are the fields.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.states = states
        self.channels = channels
        self.outputs = Outputs(channels * states, 0)

    def _by_state(self, x_F: Tensor) -> Tensor:
        return x_F.unflatten(-1, (self.channels, self.states, -1))

    def _log_z(self, output_K: Tensor) -> Tensor:
        return torch.logsumexp(self._by_state(output_K), dim=-2).sum((-1, -2))

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        return (x_F * output_K).sum(-1) - self._log_z(output_K)

    def mean(self, output_K: Tensor) -> Tensor:
        """Probability m_kd of each state on each site; the states of a site sum to 1."""
        return torch.softmax(self._by_state(output_K), dim=-2).flatten(-3)

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """One-hot configurations; ``generator`` must be on the device of the fields."""
        probability = self._by_state(self.mean(output_K)).movedim(-2, -1)
        drawn = torch.multinomial(probability.reshape(-1, self.states), 1, generator=generator)
        states = drawn.view(probability.shape[:-1])
        return F.one_hot(states, self.states).movedim(-1, -2).flatten(-3).to(output_K)

    def statistic(self, x_F: Tensor) -> Tensor:
        return x_F

    def fields(self, output_K: Tensor) -> Tensor:
        """h_kd; a number added to all states of a site changes nothing, so they are centred to sum to 0."""
        by_state = self._by_state(output_K)
        return (by_state - by_state.mean(-2, keepdim=True)).flatten(-3)

    def free_energy(self, output_K: Tensor) -> Tensor:
        """-sum_k ln sum_d exp(h_kd) (arXiv:2110.08082, Eq. 16)."""
        return -self._log_z(self.fields(output_K))

    def base(self, x_F: Tensor) -> Tensor:
        return torch.zeros_like(x_F[..., 0])


class Gaussian(nn.Module):
    """Real numbers with the decoder's output as mean and one variance (arXiv:2110.08082, Eq. 17: variance 1).

    Args:
        channels: features per lattice site.
        variance: a positive number, or "learned": one number per member, trained with the network.
        members: R, of a learned variance.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, variance: float | Literal["learned"] = 1.0, members: int = 1) -> None:
        super().__init__()
        self.outputs = Outputs(channels, 0)
        self.log_variance: Tensor
        if variance == "learned":
            self.log_variance = nn.Parameter(torch.zeros(members, 1))
        else:
            # Not a parameter and not worth saving: the configuration has it.
            self.register_buffer("log_variance", torch.full((1, 1), math.log(variance)), persistent=False)

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over features; a density, which may exceed 1."""
        squares = (x_F - output_K).square().sum(-1)
        return -0.5 * (squares * torch.exp(-self.log_variance) + self._constant(x_F.shape[-1]))

    def _constant(self, features: int) -> Tensor:
        return features * (math.log(2 * math.pi) + self.log_variance)

    def mean(self, output_K: Tensor) -> Tensor:
        return output_K

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """``generator`` must be on the device of the means."""
        noise = torch.empty_like(output_K).normal_(generator=generator)
        return output_K + noise * torch.exp(0.5 * self.log_variance).unsqueeze(-1)

    def statistic(self, x_F: Tensor) -> Tensor:
        return x_F

    def fields(self, output_K: Tensor) -> Tensor:
        """mean / variance: what the Hamiltonian of Eq. 18 couples linearly to x."""
        return output_K * torch.exp(-self.log_variance).unsqueeze(-1)

    def free_energy(self, output_K: Tensor) -> Tensor:
        """-sum_k mean_k^2 / (2 variance), the constant that Eq. 18 drops."""
        return -0.5 * output_K.square().sum(-1) * torch.exp(-self.log_variance)

    def base(self, x_F: Tensor) -> Tensor:
        return -0.5 * (x_F.square().sum(-1) * torch.exp(-self.log_variance) + self._constant(x_F.shape[-1]))


class VonMises(nn.Module):
    """Angles in a field: p(theta) = exp(h . s) / (2 pi I_0(|h|)) with s = (cos theta, sin theta).

    Features and fields are vectors, laid out as (channels, 2, sites).

    Source: Mardia and Jupp, Directional Statistics (2000), section 3.5.4.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.outputs = Outputs(2 * channels, 0)

    def _vectors(self, x_F: Tensor) -> Tensor:
        return x_F.unflatten(-1, (self.channels, 2, -1))

    def _strength(self, output_K: Tensor) -> Tensor:
        """|h| of every site, (..., C, N); the floor keeps the gradient at zero field finite."""
        return self._vectors(output_K).square().sum(-2).clamp_min(1e-12).sqrt()

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln of the density per radian, in nats, summed over sites."""
        return (x_F * output_K).sum(-1) + self.free_energy(output_K)

    def mean(self, output_K: Tensor) -> Tensor:
        """I_1(|h|) / I_0(|h|) along h: length below 1."""
        strength = self._strength(output_K)
        ratio = torch.special.i1e(strength) / (torch.special.i0e(strength) * strength)
        return (self._vectors(output_K) * ratio.unsqueeze(-2)).flatten(-3)

    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """Unit vectors; drawn by numpy on the CPU from a seed that ``generator`` gives."""
        seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
        field = self._vectors(output_K.detach())
        direction = torch.atan2(field[..., 1, :], field[..., 0, :])
        rng = np.random.default_rng(int(seed))
        angle = rng.vonmises(direction.cpu().double().numpy(), self._strength(output_K.detach()).cpu().double().numpy())
        theta = torch.from_numpy(angle).to(output_K)
        return torch.stack([theta.cos(), theta.sin()], dim=-2).flatten(-3)

    def statistic(self, x_F: Tensor) -> Tensor:
        return x_F

    def fields(self, output_K: Tensor) -> Tensor:
        return output_K

    def free_energy(self, output_K: Tensor) -> Tensor:
        """-sum_k ln(2 pi I_0(|h_k|))."""
        strength = self._strength(output_K)
        # ln I_0 = ln of the scaled function + |h|, which does not overflow.
        log_z = torch.log(torch.special.i0e(strength)) + strength + math.log(2 * math.pi)
        return -log_z.sum((-1, -2))

    def base(self, x_F: Tensor) -> Tensor:
        return torch.zeros_like(x_F[..., 0])
