"""Parallel tempering: one chain per temperature, neighbours exchange their configurations.

After each sweep the neighbours (0, 1), (2, 3), ... and after the next one (1, 2), (3, 4), ... exchange with
probability min(1, exp(-delta)), delta = u_a(x_b) + u_b(x_a) - u_a(x_a) - u_b(x_b), u_a(x) the reduced energy of
configuration x at point a: E / T, or the action.  Chain r of every point belongs to ladder r; ladders are independent.

Source: Hukushima and Nemoto, J. Phys. Soc. Jpn. 65 (1996) 1604; alternating neighbours as in Okabe et al., Chem. Phys.
Lett. 335 (2001) 435.

Axes: P points, R ladders.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.contract import Simulation

Arrays = dict[str, NDArray[Any]]


class Group(Protocol):
    """Simulations that run together."""

    @property
    def simulations(self) -> Sequence[Simulation]:
        """One per point."""

    def advance(self, sweeps: int) -> None: ...

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all of them."""

    def state(self) -> Arrays: ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None: ...

    def report(self) -> list[dict[str, Any] | None]:
        """What each point's certificate says of the exchanges."""


class Single:
    """One simulation, which exchanges with none."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulations = [simulation]

    def advance(self, sweeps: int) -> None:
        self.simulations[0].advance(sweeps)

    def state(self) -> Arrays:
        return self.simulations[0].state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.simulations[0].restore(state)

    @property
    def cost(self) -> float:
        return self.simulations[0].cost

    def report(self) -> list[dict[str, Any] | None]:
        return [None]


class Ladder:
    """Simulations of neighbouring points, in the order of the points.

    Raises:
        ValueError: fewer than two points.
    """

    def __init__(self, specs: Sequence[Any], simulations: Sequence[Simulation], rng: np.random.Generator) -> None:
        if len(specs) < 2:
            raise ValueError(f"tempering needs at least two points, got {len(specs)}")
        self.specs = list(specs)
        self.simulations = list(simulations)
        self._rng = rng
        points, ladders = len(specs), len(simulations[0].measure()["energy"])
        self._rounds = 0
        self._tried_P = np.zeros(points - 1, dtype=np.int64)
        self._accepted_P = np.zeros(points - 1, dtype=np.int64)
        # Which end a configuration has touched last, -1 the first point, 1 the last, 0 neither yet.
        self._end_PR = np.zeros((points, ladders), dtype=np.int8)
        self._half_trips = np.zeros((), dtype=np.int64)
        self._touch()

    def advance(self, sweeps: int) -> None:
        """Sweep and exchange; a run cut in two is the same run, bit for bit."""
        for _ in range(sweeps):
            for simulation in self.simulations:
                simulation.advance(1)
            for low in range(self._rounds % 2, len(self.simulations) - 1, 2):
                self._exchange(low)
            self._touch()
            self._rounds += 1

    def _exchange(self, low: int) -> None:
        lower, upper = self.simulations[low : low + 2]
        lower_spec, upper_spec = self.specs[low : low + 2]
        delta_R = (lower.reduced_energy(upper_spec) - lower.reduced_energy(lower_spec)) + (
            upper.reduced_energy(lower_spec) - upper.reduced_energy(upper_spec)
        )
        chosen_R = self._rng.random(len(delta_R)) < np.exp(-np.maximum(delta_R, 0.0))
        lower.exchange(upper, chosen_R)
        swapped_2R = self._end_PR[[low + 1, low]]
        self._end_PR[low : low + 2] = np.where(chosen_R, swapped_2R, self._end_PR[low : low + 2])
        self._tried_P[low] += len(delta_R)
        self._accepted_P[low] += int(chosen_R.sum())

    def _touch(self) -> None:
        """Note which configurations are at an end, and count those that come from the other end."""
        self._half_trips += (self._end_PR[0] == 1).sum() + (self._end_PR[-1] == -1).sum()
        self._end_PR[0], self._end_PR[-1] = -1, 1

    @property
    def cost(self) -> float:
        return sum(simulation.cost for simulation in self.simulations)

    def report(self) -> list[dict[str, Any] | None]:
        """Points, share of exchanges taken between each and the next, round trips of all configurations."""
        rates = (self._accepted_P / np.maximum(1, self._tried_P)).tolist()
        report = {"exchange_rates": rates, "round_trips": int(self._half_trips) // 2}
        return [dict(report) for _ in self.simulations]

    def state(self) -> Arrays:
        """Copies of all that a sweep changes."""
        own: Arrays = {
            "ladder.tried": self._tried_P.copy(),
            "ladder.taken": self._accepted_P.copy(),
            "ladder.end": self._end_PR.copy(),
            "ladder.half_trips": self._half_trips.copy(),
            "ladder.rounds": np.array(self._rounds),
            "ladder.random": np.array(json.dumps(self._rng.bit_generator.state)),
        }
        for index, simulation in enumerate(self.simulations):
            own |= {f"{index}.{name}": array for name, array in simulation.state().items()}
        return own

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what ``state`` gave."""
        self._tried_P, self._accepted_P = state["ladder.tried"].copy(), state["ladder.taken"].copy()
        self._end_PR, self._half_trips = state["ladder.end"].copy(), state["ladder.half_trips"].copy()
        self._rounds = int(state["ladder.rounds"])
        self._rng.bit_generator.state = json.loads(str(state["ladder.random"]))
        for index, simulation in enumerate(self.simulations):
            first = f"{index}."
            simulation.restore({name.removeprefix(first): x for name, x in state.items() if name.startswith(first)})
