"""The thermal likelihood of q states: ``models.likelihoods.thermal`` with matrices between states in place of numbers.

The phase c is one of q, for instance the state that most sites are in. At step l the logits of a site are

    u_a = h_a + g_l[c, a] + sum_b (J_l[a, b] d_b + C_l[a, b] d_b^3 / 8),      d_b = (parents in state b) - 4 / q,

functions of z all. A full matrix, not a single number on its diagonal, because states need not be alike: in a clock
model neighbours of a state are nearer than others, in Blume-Capel 0 is no rotation of 1, and an antiferromagnet of
Potts spins favours all states but the parents'. As there, the phase leaves the last step alone. Two states give the
likelihood of ``models.likelihoods.thermal`` again.

Axes: ... any leading ones (R members, B samples), C channels, Q states, D = 2 Q deviations and their cubes, N sites of
one channel, n sites of one step, S steps, K numbers that the decoder gives, M phases (as many as states).
"""

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.likelihoods.independent import Outputs
from models.likelihoods.thermal import DRAWS, ORDER
from models.likelihoods.thermal_order import PARENTS, add_up, coarse_to_fine


class Terms(NamedTuple):
    """What the decoder's output says."""

    field_CQN: Tensor
    """Fields; sites in the order of their steps."""
    coupling_SQD: Tensor
    """(J, C) of every step but the first."""
    order_SMQ: Tensor
    """Of every step but the last."""
    weight_M: Tensor
    """Log-probability of every phase."""


class ThermalStates(nn.Module):
    """States 0 ... q - 1 from coarse to fine; the channels share their couplings and the phase.

    Features are one-hot, laid out as (channels, states, sites), and so are the fields.

    Args:
        shape: channels, rows and columns of a stored configuration.
        states: q, at least 2.

    Raises:
        ValueError: an odd number of rows or columns, or fewer than two states.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, shape: tuple[int, int, int], states: int) -> None:
        super().__init__()
        if states < 2:
            raise ValueError(f"states must be at least 2, got {states}")
        self.channels, self.states = shape[0], states
        order = coarse_to_fine((1, *shape[1:]))
        self.cuts = order.cuts
        # Shared numbers: J and C of all steps but the first, g of all but the last, the log-weights of the phases.
        steps = len(order.steps)
        self.outputs = Outputs(self.channels * states, 3 * (steps - 1) * states**2 + states)
        sites_N = torch.cat(order.steps)
        place_N = sites_N.argsort()
        self.sites_N: Tensor
        self.place_N: Tensor
        self.parents_PN: Tensor
        self.register_buffer("sites_N", sites_N, persistent=False)
        self.register_buffer("place_N", place_N, persistent=False)
        # Sites and parents by their place in the order of the steps.
        self.register_buffer("parents_PN", place_N[order.parents_PN[:, sites_N]], persistent=False)

    def _ordered(self, features_F: Tensor) -> Tensor:
        """(..., C, Q, N) with the sites in the order of the steps."""
        features_CQN = features_F.unflatten(-1, (self.channels, self.states, -1))
        return features_CQN.gather(-1, self.sites_N.expand(features_CQN.shape))

    def _terms(self, output_K: Tensor) -> Terms:
        q, steps = self.states, len(self.cuts) - 1
        fields = self.channels * q * len(self.sites_N)
        sizes = (fields, 2 * (steps - 1) * q**2, (steps - 1) * q**2, q)
        field_F, coupling, order, weight = output_K.split(sizes, dim=-1)
        ordered = ORDER * torch.eye(q).to(order)
        return Terms(
            self._ordered(field_F),
            coupling.unflatten(-1, (steps - 1, q, 2 * q)),
            order.unflatten(-1, (steps - 1, q, q)) + ordered,
            F.log_softmax(weight, dim=-1),
        )

    def _coupled(self, x_CQN: Tensor, step: int, terms: Terms) -> Tensor:
        """What the parents add to the logits (..., C, Q, n) of a step."""
        parents_Pn = self.parents_PN[:, self.cuts[step] : self.cuts[step + 1]]
        if step == 0:
            return torch.zeros_like(x_CQN[..., : self.cuts[1]])
        deviation_CQn = add_up(x_CQN, parents_Pn) - PARENTS / self.states
        cube_CQn = deviation_CQn * deviation_CQn * deviation_CQn
        deviations_CDn = torch.cat([deviation_CQn, cube_CQn / 8], dim=-2)
        return terms.coupling_SQD[..., step - 1, :, :].unsqueeze(-3) @ deviations_CDn

    def log_probability(self, x_F: Tensor, output_K: Tensor) -> Tensor:
        """ln p(x|z) in nats, summed over sites; all steps at once, since the parents are data."""
        terms = self._terms(output_K)
        x_CQN = self._ordered(x_F)
        steps = len(self.cuts) - 1
        coupled_CQN = torch.cat([self._coupled(x_CQN, step, terms) for step in range(steps)], dim=-1)
        log_CQN = torch.log_softmax(terms.field_CQN + coupled_CQN, dim=-2)
        total_M = terms.weight_M + (x_CQN * log_CQN).sum((-1, -2, -3)).unsqueeze(-1)
        return torch.logsumexp(total_M + self._ordering(x_CQN, log_CQN.exp(), terms.order_SMQ), dim=-1)

    def _ordering(self, x_CQN: Tensor, probability_CQN: Tensor, order_SMQ: Tensor) -> Tensor:
        """What each phase adds to ln p(x|z), (..., M): g of the states, and the normalization that it changes."""
        # The largest g is taken out of the exponential, and put back with the sum over sites.
        largest_SM1 = order_SMQ.amax(-1, keepdim=True).detach()
        factor_SMQ = torch.exp(order_SMQ - largest_SM1)
        added_M = torch.zeros_like(largest_SM1[..., 0, :, 0])
        for step, (start, stop) in enumerate(pairwise(self.cuts[:-1])):
            states_Q = x_CQN[..., start:stop].sum((-1, -3)).unsqueeze(-1)
            own_M = (order_SMQ[..., step, :, :] - largest_SM1[..., step, :, :]) @ states_Q
            changed_CMn = factor_SMQ[..., step, :, :].unsqueeze(-3) @ probability_CQN[..., start:stop]
            # The floor is the smallest normal number: 0 would have no logarithm.
            floor = torch.finfo(changed_CMn.dtype).tiny
            added_M = added_M + own_M.squeeze(-1) - changed_CMn.clamp_min(floor).log().sum((-1, -3))
        return added_M

    @torch.no_grad()
    def mean(self, output_K: Tensor) -> Tensor:
        """Probability of each state on each site over all of p(x|z), an estimate as in ``thermal``."""
        terms = self._terms(output_K)
        generator = torch.Generator(output_K.device).manual_seed(0)
        mean_CQN = torch.zeros_like(terms.field_CQN)
        for phase in range(self.states):
            weight = terms.weight_M[..., phase].exp()
            phases = torch.full_like(weight, phase, dtype=torch.int64)
            for _ in range(DRAWS):
                probability_CQN = self._draw(terms, phases, generator)[1]
                mean_CQN += probability_CQN * (weight / DRAWS)[..., None, None, None]
        # Rounding of the sum may lead out of what a probability can be.
        return mean_CQN.clamp_(0, 1)[..., self.place_N].flatten(-3)

    @torch.no_grad()
    def sample(self, output_K: Tensor, generator: torch.Generator) -> Tensor:
        """One-hot configurations; ``generator`` must be on the device of the output."""
        terms = self._terms(output_K)
        return self._draw(terms, categorical(terms.weight_M.exp(), generator), generator)[0].flatten(-3)

    def _draw(self, terms: Terms, phase: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One-hot configurations of phases (...), sites in natural order, and the probabilities that their sites were
        drawn with, in the order of the steps; (..., C, Q, N) both."""
        x_CQN, probability_CQN = torch.zeros_like(terms.field_CQN), torch.zeros_like(terms.field_CQN)
        chosen = phase[..., None, None, None].expand(*phase.shape, terms.order_SMQ.shape[-3], 1, self.states)
        # None in the last step.
        order_SQ = F.pad(terms.order_SMQ.gather(-2, chosen).squeeze(-2), (0, 0, 0, 1))
        for step, (start, stop) in enumerate(pairwise(self.cuts)):
            order_CQn = order_SQ[..., step, :].unsqueeze(-2).unsqueeze(-1)
            logits_CQn = terms.field_CQN[..., start:stop] + self._coupled(x_CQN, step, terms) + order_CQn
            probability_CQn = torch.softmax(logits_CQn, dim=-2)
            states_Cn = categorical(probability_CQn.movedim(-2, -1), generator)
            probability_CQN[..., start:stop] = probability_CQn
            x_CQN[..., start:stop] = F.one_hot(states_Cn, self.states).movedim(-1, -2)
        return x_CQN[..., self.place_N], probability_CQN


def categorical(probability_Q: Tensor, generator: torch.Generator) -> Tensor:
    """(...) int64 states drawn with these probabilities (..., Q)."""
    drawn = torch.multinomial(probability_Q.reshape(-1, probability_Q.shape[-1]), 1, generator=generator)
    return drawn.view(probability_Q.shape[:-1])
