"""One pass over the data: what it comes to, and the sums over its steps.

Axes: R members, Z latents, T steps, M = 1 + Z terms of the objective.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.group import Group
from models.latent_space.free_energy import FreeEnergy

QUIET_KL = 1e-3
"""Nats below which all latents together carry nothing."""
ACTIVE_KL = 0.1
"""KL divergence in nats from which a latent counts as active."""
LOOK_SECONDS, LOOK_STEPS = 1.0, 256
"""Between two looks at the loss, at most (and at least one step): each waits for the device."""


class Epoch(NamedTuple):
    """What one pass over the data has come to; means over its samples, taken while training."""

    epoch: int
    """Finished epochs, this one included."""
    reconstruction: NDArray[np.float64]
    """(R,) -ln p(x|z) in nats, summed over sites, z drawn from the posterior."""
    kl: NDArray[np.float64]
    """(R, Z) KL divergence of each latent in nats."""
    samples_per_second: float
    """Samples of all members and workers per second of wall clock, the kick left out."""
    loader_share: float
    """Part of that time spent to shuffle, gather and unpack."""
    free_energy: FreeEnergy | None
    """Of 256 training samples, before a kick, if it was asked for; nan where posteriors are too narrow for a grid."""
    psi4: NDArray[np.float64] | None
    """(R,) confidence of the kick, NaN for a collapsed member; None in epochs that do not end with a kick."""

    @property
    def active(self) -> NDArray[np.int64]:
        """(R,) latents with a KL divergence of at least .1 nats."""
        return (self.kl >= ACTIVE_KL).sum(axis=1)


class Tally:
    """Sums of reconstruction and KL divergences over the steps of an epoch and all workers, taken in now and then.

    How many steps are taken in at a time changes no digit: the sums grow step by step, in float64.
    """

    def __init__(self, members: int, terms: int, group: Group) -> None:
        self._group = group
        self._waiting: list[Tensor] = []
        self._every = 1
        self.pace = 0.0
        """Seconds that a step took on average at the last look; 0 before the first."""
        self.sums_RM = torch.zeros(members, terms, dtype=torch.float64)
        """On the CPU; without the steps that wait."""

    def clear(self) -> None:
        """Begin another epoch."""
        self.sums_RM = torch.zeros_like(self.sums_RM)

    def add(self, terms_RM: Tensor) -> bool:
        """Let a step wait, given its sums over this worker's share; whether it is time to take in what waits."""
        self._waiting.append(terms_RM)
        return len(self._waiting) >= self._every

    def take_in(self, seconds: float) -> tuple[int, int] | None:
        """Add what waits, which took ``seconds``; all workers must do so after the same step.

        Returns:
            None, or of the first step with a loss that is not finite: its place among those that waited, and
                the member.
        """
        steps_TRM = torch.stack(self._waiting).double()
        pace = torch.tensor([seconds / len(self._waiting)], dtype=torch.float64, device=steps_TRM.device)
        self._waiting.clear()
        if self._group.size > 1:
            # All workers must stop together, or the others would wait for the one that does.
            steps_TRM = self._group.mean(steps_TRM) * self._group.size
            # And look together next time.
            pace = self._group.mean(pace)
        self.pace = float(pace)
        self._every = max(1, min(LOOK_STEPS, int(LOOK_SECONDS / max(self.pace, 1e-9))))
        bad = (~torch.isfinite(steps_TRM).all(-1)).nonzero().tolist()
        for step_RM in steps_TRM.cpu():
            self.sums_RM += step_RM
        return (bad[0][0], bad[0][1]) if bad else None
