"""The thermal likelihood of spins: given the latents, neighbours still depend on each other.

A configuration is drawn from coarse to fine (``models.likelihoods.thermal_order``). First comes the phase c = +-1,
which of two coexisting phases this one belongs to; then, step by step,

    P(x_k = +1 | x earlier, c, z) = sigmoid(h_k + c g_l + J_l n_k + C_l n_k^3 / 16),      n_k = sum of 4 parents,

with a field h_k for every site and a few numbers for every step l, all functions of z. J_l and C_l are the most
general coupling to n_k that is odd under a flip of all spins. Without the phase, the few spins of the first steps must
find the broken symmetry by themselves: where they are thermally excited, the finer steps build a domain wall, and
energy and specific heat below T_c come out too large. The last step, given all nearest neighbours, needs no phase,
g = 0: it can be the exact conditional distribution of an Ising model, J = 2 / T and C = 0, of either sign, and an
antiferromagnet differs from a ferromagnet in this J alone.

The probability is the product over steps, summed over c: normalized, with no other approximation than its form.

Axes: ... any leading ones (R members, B samples), M all of them together, N sites of all channels (the features F), n
of them in one step, S steps, K numbers that the decoder gives, P = 4 parents.
"""

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.likelihoods.independent import Outputs
from models.likelihoods.thermal_order import add_up, coarse_to_fine

ORDER = 1.5
"""Field g of a phase where the decoder says 0. At 0 the two phases are the same and nothing tells them apart: a network
that starts near there still draws domain walls at low temperature. Measured at T = 1.5, L = 16: specific heat 30 % too
large from .5, 10 % from 1.5 to 2."""
DRAWS = 32
"""Configurations of each phase behind a mean."""


class Terms(NamedTuple):
    """What the decoder's output says, on the sites."""

    field_N: Tensor
    pair_N: Tensor
    """J of the site's step; 0 at corners."""
    cubic_N: Tensor
    """C of the site's step, divided by 16; 0 at corners."""
    order_N: Tensor
    """g of the site's step; 0 in the last."""
    odds: Tensor
    """(...) log-odds of the phase c = +1."""


class Rows(NamedTuple):
    """What drawing needs: sites as rows, in the order of their steps, so that a parent is a row and copied whole; the
    samples as columns."""

    field_NM: Tensor
    pair_SM: Tensor
    """J of each step; this and what follows as in ``Terms``."""
    cubic_SM: Tensor
    order_SM: Tensor


class Thermal(nn.Module):
    """Spins -1 and +1 from coarse to fine; the channels share their couplings and the phase.

    Args:
        shape: channels, rows and columns of a configuration.

    Raises:
        ValueError: an odd number of rows or columns.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        order = coarse_to_fine(shape)
        self.cuts = order.cuts
        # Shared numbers: J and C of all steps but the first, g of all but the last, the odds of the phase.
        self.outputs = Outputs(shape[0], 3 * len(order.steps) - 2)
        sites_N = torch.cat(order.steps)
        place_N = sites_N.argsort()
        self.sites_N: Tensor
        self.place_N: Tensor
        self.spread_SN: Tensor
        self.parents_PN: Tensor
        self.rows_PN: Tensor
        self.register_buffer("spread_SN", order.spread_SN, persistent=False)
        self.register_buffer("parents_PN", order.parents_PN, persistent=False)
        self.register_buffer("sites_N", sites_N, persistent=False)
        self.register_buffer("place_N", place_N, persistent=False)
        # Sites and parents by their place in the order of the steps.
        self.register_buffer("rows_PN", place_N[order.parents_PN[:, sites_N]], persistent=False)

    def terms(self, output_K: Tensor) -> Terms:
        """Fields and couplings of every site."""
        steps, sites = self.spread_SN.shape
        sizes = (sites, steps - 1, steps - 1, steps - 1, 1)
        field_N, pair, cubic, order, odds = output_K.split(sizes, dim=-1)
        refined, ordered = self.spread_SN[1:], self.spread_SN[:-1]
        return Terms(field_N, pair @ refined, (cubic / 16) @ refined, (ORDER + order) @ ordered, odds.squeeze(-1))

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites; all steps at once, since the parents are data."""
        terms = self.terms(output_K)
        total_N = add_up(x_F, self.parents_PN)
        field_N = torch.addcmul(terms.field_N, terms.pair_N, total_N)
        field_N = torch.addcmul(field_N, terms.cubic_N, total_N * total_N * total_N)
        # p(x) = sigmoid(x times its field) for both values of x.
        common_N, split_N = x_F * field_N, x_F * terms.order_N
        up = F.logsigmoid(common_N + split_N).sum(-1) + F.logsigmoid(terms.odds)
        down = F.logsigmoid(common_N - split_N).sum(-1) + F.logsigmoid(-terms.odds)
        return torch.logaddexp(up, down)

    @torch.no_grad()
    def mean(self, output_K: Tensor) -> Tensor:
        """Probability of +1 on each site over all of p(x|z), an estimate.

        The conditional probabilities of ``DRAWS`` configurations of each phase are averaged: a standard error of at
        most .5 / sqrt(DRAWS), the same one in every call.
        """
        terms = self.terms(output_K)
        rows = self._rows(terms)
        generator = torch.Generator(output_K.device).manual_seed(0)
        mean_NM = torch.zeros_like(rows.field_NM)
        for phase in (1.0, -1.0):
            weight_M = torch.sigmoid(phase * terms.odds).flatten()
            phase_M = torch.full_like(weight_M, phase)
            for _ in range(DRAWS):
                mean_NM.addcmul_(self._draw(rows, phase_M, generator)[1], weight_M / DRAWS)
        # Rounding of the sum may lead out of what a probability can be.
        return self._sites(mean_NM.clamp_(0, 1), terms)

    @torch.no_grad()
    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """Configurations of -1 and +1; ``generator`` must be on the device of the output."""
        terms = self.terms(output_K)
        up_M = torch.bernoulli(torch.sigmoid(terms.odds), generator=generator).flatten()
        return self._sites(self._draw(self._rows(terms), 2 * up_M - 1, generator)[0], terms)

    def _rows(self, terms: Terms) -> Rows:
        first = self.sites_N[self.cuts[:-1]]
        field_NM = terms.field_N.reshape(-1, len(self.sites_N)).T[self.sites_N]
        steps = (part.reshape(-1, len(self.sites_N)).T[first] for part in (terms.pair_N, terms.cubic_N, terms.order_N))
        return Rows(field_NM, *steps)

    def _sites(self, rows_NM: Tensor, terms: Terms) -> Tensor:
        """(..., N) again, sites in natural order."""
        return rows_NM[self.place_N].T.reshape(terms.field_N.shape)

    def _draw(self, rows: Rows, phase_M: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A configuration of these phases, and the probabilities of +1 that its sites were drawn with, as rows."""
        x_NM, probability_NM = torch.zeros_like(rows.field_NM), torch.empty_like(rows.field_NM)
        for step, (start, stop) in enumerate(pairwise(self.cuts)):
            field_nM = torch.addcmul(rows.field_NM[start:stop], phase_M, rows.order_SM[step])
            if step > 0:
                total_nM = x_NM[self.rows_PN[0, start:stop]]
                for parent_n in self.rows_PN[1:, start:stop]:
                    total_nM += x_NM[parent_n]
                field_nM += total_nM * (rows.pair_SM[step] + rows.cubic_SM[step] * total_nM.square())
            torch.sigmoid(field_nM, out=probability_NM[start:stop])
            torch.bernoulli(probability_NM[start:stop], generator=generator, out=x_NM[start:stop])
            x_NM[start:stop].mul_(2).sub_(1)
        return x_NM, probability_NM
