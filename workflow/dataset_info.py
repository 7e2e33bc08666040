"""What the configurations of a shard are, wherever they come from: shape, variable, order parameters, labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from simulators import contract

Variable = Literal["spins", "states", "angles", "values"]
VARIABLE_OF_LIKELIHOOD: dict[str, Variable] = {
    "bernoulli": "spins",
    "multinomial": "states",
    "von-mises": "angles",
    "gaussian": "values",
}
FIXED_STATES = {"blume-capel": (3, -1)}
"""Number of states and lowest of them, for systems whose spec has no field ``states``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetInfo:
    """What training and analysis need to know of a shard before they open it."""

    shape: tuple[int, int, int]
    """Channels, rows and columns of one configuration."""
    encoding: str
    """How a configuration is stored: ``bits``, ``int8`` or ``float32``."""
    variable: Variable
    """Spins -1 and +1, one of q states, an angle in radians, or a real number."""
    states: int | None = None
    """q, for the variable ``states`` alone."""
    lowest: int = 0
    """The smallest of the q consecutive numbers that stand for states: -1 for Blume-Capel."""
    order_parameters: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Names of the values 0, 1, ... of the column ``label``; empty where there is no such column."""

    @property
    def width(self) -> int:
        """Features per site: one-hot states take q channels, angles (cos, sin)."""
        if self.variable == "states":
            assert self.states is not None
            return self.states
        return 2 if self.variable == "angles" else 1

    @property
    def features(self) -> int:
        """F, the numbers that the network sees of one configuration."""
        return prod(self.shape) * self.width


def simulated(system: contract.System, spec: Any) -> DatasetInfo:
    """The same for what ``system`` simulates at ``spec``.

    Raises:
        ValueError: a system of states that does not say how many.
    """
    variable = VARIABLE_OF_LIKELIHOOD[system.likelihood]
    states, lowest = None, 0
    if variable == "states":
        if system.name in FIXED_STATES:
            states, lowest = FIXED_STATES[system.name]
        elif hasattr(spec, "states"):
            states = int(spec.states)
        else:
            raise ValueError(f"system {system.name} has states, but its spec has no field that says how many")
    return DatasetInfo(
        shape=tuple(spec.shape),
        encoding=system.encoding,
        variable=variable,
        states=states,
        lowest=lowest,
        order_parameters=system.names(spec).order_parameters,
    )
