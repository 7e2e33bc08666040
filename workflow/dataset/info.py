"""What the configurations of a shard are, wherever they come from: shape, variable, order parameters, labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

from models.config import Variable
from simulators import contract
from workflow.dataset.variables import SiteValues, site_values


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetInfo:
    """What training and analysis need to know of a shard before they open it."""

    shape: tuple[int, int, int]
    """Channels, rows and columns of one configuration."""
    encoding: str
    """How a configuration is stored: ``bits``, ``int8`` or ``float32``."""
    variable: Variable
    states: int = 2
    """q of states, 2 of all others."""
    lowest: int = 0
    """The smallest of the q consecutive numbers that stand for states: -1 for Blume-Capel."""
    order_parameters: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Names of the values 0, 1, ... of the column ``label``; empty where there is no such column."""
    second_inputs: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    """Name and shape of every second input: an array, in float32, that is stored beside the configuration."""

    @property
    def features(self) -> int:
        """Numbers that a network sees of a configuration."""
        return prod(self.shape) * {"states": self.states, "angles": 2}.get(self.variable, 1)

    @property
    def stored(self) -> SiteValues:
        """What the numbers of a configuration are."""
        return SiteValues(self.variable, self.states, self.lowest)


def simulated(system: contract.System, spec: Any, measure: Iterable[str] = ()) -> DatasetInfo:
    """The ``DatasetInfo`` of simulations of ``system`` at ``spec`` that also measure what ``measure`` names."""
    requests, possible = set(measure), system.on_request(spec)
    return DatasetInfo(
        shape=tuple(spec.shape),
        encoding=system.encoding,
        **site_values(system, spec)._asdict(),
        order_parameters=system.names(spec).order_parameters,
        second_inputs=tuple((name, each.shape) for name, each in possible.items() if name in requests and each.shape),
    )
