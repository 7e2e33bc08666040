"""When a sampler measures: sweeps before the first measurement, and between measurements."""

import math
from typing import NamedTuple

from simulators.sampling import pilot
from simulators.sampling.order import Order
from simulators.sampling.pilot import Pilot, Times

TAUS_BETWEEN_SAMPLES = 2


class Schedule(NamedTuple):
    """When to measure."""

    thermalization: int
    """Sweeps before the interval of the first measurement."""
    spacing: int
    """Sweeps between measurements."""
    times: Times | None
    """Autocorrelation times of the pilot; None where the study gave both lengths."""

    @property
    def converged(self) -> bool:
        """False where the pilot hit its cap, so that its times are lower bounds."""
        return self.times is None or self.times.converged

    def next_attempt(self, rounds: int) -> "Schedule":
        """The next attempt: the ``rounds`` measured so far become thermalization, the spacing doubles."""
        return Schedule(self.thermalization + self.spacing * rounds, 2 * self.spacing, self.times)


def from_lengths(order: Order) -> Schedule | None:
    """The schedule of an order that gives both lengths; None where a pilot must measure one."""
    if isinstance(order.thermalization, int) and isinstance(order.spacing, int):
        return Schedule(order.thermalization, order.spacing, None)
    return None


def from_pilot(order: Order, run: Pilot) -> Schedule:
    """The schedule of an order after a pilot, whose sweeps are thermalization already."""
    times = run.times
    assert times is not None, "the pilot is not done"
    if isinstance(order.spacing, int):
        spacing = order.spacing
    else:
        spacing = math.ceil(TAUS_BETWEEN_SAMPLES * times.slowest)
        if not times.converged:
            # The time is only a lower bound, and may be absurd; don't let it ask for more than the pilot's cap.
            spacing = min(spacing, max(1, pilot.CAP // order.rounds))
    least = order.thermalization if isinstance(order.thermalization, int) else 0
    return Schedule(max(run.sweeps, least), spacing, times)
