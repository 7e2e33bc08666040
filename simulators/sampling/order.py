"""The order that a sampler fills: how many samples, by which algorithm, with which lengths."""

from dataclasses import dataclass
from typing import Literal

from simulators.contract import require

Length = int | Literal["auto"]
FEWEST_CHAINS = 4
"""Two hot, two ordered: the fewest that show whether the start is forgotten."""
FEWEST_ROUNDS = 16
FEWEST_MEASUREMENTS = 400
"""Over all chains: with measurements two tau apart, about three times the effective samples that a certificate asks
for, since these are known to no better than a factor when chains are few."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order for samples of a point.

    Raises:
        SpecError: arguments out of range, all of them at once.
    """

    chains: int
    """Independent chains, at least 4; even ones start hot, odd ones ordered."""
    samples: int
    """At least 1; if no multiple of ``chains``, the last round gives its first chains only."""
    algorithm: str
    """One of the system's, "tempering", or "auto"."""
    thermalization: Length
    """Sweeps, at least 0, before measuring; a pilot for the spacing may make it longer."""
    spacing: Length
    """Sweeps between measurements, at least 1."""
    measure: tuple[str, ...] = ()
    """Measurements that the system makes on request, by name."""

    def __post_init__(self) -> None:
        require(
            (self.chains >= FEWEST_CHAINS, "chains", f"must be at least {FEWEST_CHAINS}, got {self.chains}"),
            (self.samples >= 1, "samples", f"must be at least 1, got {self.samples}"),
            _auto_or_at_least(0, "thermalization", self.thermalization),
            _auto_or_at_least(1, "spacing", self.spacing),
        )

    @property
    def stored_rounds(self) -> int:
        """Rounds over the chains whose configurations are stored."""
        return -(-self.samples // self.chains)

    @property
    def rounds(self) -> int:
        """Rounds that are measured."""
        return max(self.stored_rounds, FEWEST_ROUNDS, -(-FEWEST_MEASUREMENTS // self.chains))


def _auto_or_at_least(least: int, field: str, value: Length) -> tuple[bool, str, str]:
    usable = value == "auto" or (isinstance(value, int) and value >= least)
    return usable, field, f'must be "auto" or a number of sweeps of at least {least}, got {value!r}'
