"""What is stored of a site of each system, as the networks need to know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from models.config import LIKELIHOODS, Likelihood, Variable
from simulators import contract

VARIABLE_OF: dict[str, Variable] = {
    "bernoulli": "spins",
    "multinomial": "states",
    "von-mises": "angles",
    "gaussian": "values",
}
"""Variable by the likelihood that a system calls its own."""


class SiteValues(NamedTuple):
    """What the numbers of a configuration are."""

    variable: Variable
    states: int
    """q of states, 2 of all others."""
    lowest: int
    """Number of the first state."""

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood that a model of such numbers has unless told otherwise."""
        return LIKELIHOODS[self.variable][0]

    def decoded(self, likelihood: Likelihood) -> SiteValues:
        """What a decoder's means are of: of a spin a Gaussian gives the mean itself, not the probability of +1."""
        if likelihood == "gaussian" and self.variable == "spins":
            return self._replace(variable="values")
        return self


def site_values(system: contract.System, spec: Any) -> SiteValues:
    """What configurations of ``system`` at ``spec`` hold."""
    variable = VARIABLE_OF[system.likelihood]
    if variable != "states":
        return SiteValues(variable, 2, 0)
    states = system.states_of(spec)
    return SiteValues(variable, len(states), states.start)


def site_values_of(task: Mapping[str, Any]) -> SiteValues:
    """The same of a shard, from the task in its metadata: data that are not simulated say it themselves."""
    if "info" in task:
        return SiteValues(*(task["info"][name] for name in SiteValues._fields))
    system = contract.load(task["system"])
    return site_values(system, system.spec(**dict(task["spec"])))
