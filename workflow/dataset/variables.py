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


class Stored(NamedTuple):
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

    def decoded(self, likelihood: Likelihood) -> Stored:
        """What a decoder's means are of: of a spin a Gaussian gives the mean itself, not the probability of +1."""
        if likelihood == "gaussian" and self.variable == "spins":
            return self._replace(variable="values")
        return self


def stored(system: contract.System, spec: Any) -> Stored:
    """What configurations of ``system`` at ``spec`` hold."""
    variable = VARIABLE_OF[system.likelihood]
    if variable != "states":
        return Stored(variable, 2, 0)
    states = system.states_of(spec)
    return Stored(variable, len(states), states.start)


def stored_of(task: Mapping[str, Any]) -> Stored:
    """The same of a shard, from the task in its metadata: data that are not simulated say it themselves."""
    if "info" in task:
        return Stored(*(task["info"][name] for name in Stored._fields))
    system = contract.load(task["system"])
    return stored(system, system.spec(**dict(task["spec"])))
