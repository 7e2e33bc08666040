"""Distributions of a configuration given the decoder's fields.

Each is a mean-field Hamiltonian at temperature 1 (arXiv:2110.08082, Eqs. 10 and 11): the sites are independent, and
the decoder's output is the field on each of them.

Axes: ... any leading ones, N sites.
"""

from typing import Protocol

import torch
from torch import Tensor

from models.log_sigmoid import sum_log_sigmoid


class Likelihood(Protocol):
    """What a beta-VAE needs to know of the data's distribution; without parameters of its own."""

    def log_probability(self, x_N: Tensor, fields_N: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites; the leading axes remain."""
        ...

    def mean(self, fields_N: Tensor) -> Tensor:
        """Mean-field values m_k of the sites."""
        ...

    def sample(self, fields_N: Tensor, generator: torch.Generator) -> Tensor:
        """Configurations drawn site by site."""
        ...


class Bernoulli:
    """Two states per site, x = +1 with probability m = sigmoid(h) and -1 otherwise (arXiv:2110.08082, Eq. 7)."""

    def log_probability(self, x_N: Tensor, fields_N: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites.

        Args:
            x_N: configurations of -1 and +1, (..., N).
            fields_N: fields h, the logits of the probability of +1, (..., N).
        """
        # p(x) = sigmoid(x h) for both states; its logarithm stays finite where the sigmoid underflows.
        return sum_log_sigmoid(x_N, fields_N)

    def mean(self, fields_N: Tensor) -> Tensor:
        """Probability m of +1 on each site, in (0, 1)."""
        return torch.sigmoid(fields_N)

    def sample(self, fields_N: Tensor, generator: torch.Generator) -> Tensor:
        """Configurations of -1 and +1; ``generator`` must be on the device of the fields."""
        return torch.bernoulli(self.mean(fields_N), generator=generator).mul_(2).sub_(1)
