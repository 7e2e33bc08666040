"""What a sampler records: measurements of every round, configurations of some.

Axes: P points that run together, Q observables, R chains, T measurements, S samples, K rounds whose configurations are
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.contract import System
from simulators.sampling import pilot
from simulators.sampling.ladder import Arrays, Group
from simulators.sampling.order import Order

Encode = Callable[[NDArray[Any]], NDArray[Any]]
"""From the configurations of one round, (R, channels, rows, columns), to what is stored of them, (R, ...)."""


class Recording:
    """Measurements and configurations of all points of a sampler.

    Args:
        system, specs, order, encode: as those of ``Sampler``.
    """

    def __init__(self, system: System, specs: Sequence[Any], order: Order, encode: Encode) -> None:
        self._order, self._points, self._encode = order, len(specs), encode
        self.names = system.names(specs[0], order.measure)
        self.pilot_names = system.names(specs[0])
        """Columns that are measured without a request; pilots measure only these."""
        on_request = system.on_request(specs[0])
        self._inputs = [name for name in order.measure if on_request[name].shape is not None]
        self._measured: list[NDArray[np.float64]] = []
        """(P, Q, R) of every round."""
        self._configurations: list[NDArray[Any]] = []
        """(K, R, ...) of every point."""
        self._second_inputs: dict[str, NDArray[np.float32]] = {}
        """(K, R, channels, rows, columns) by "point.name"."""
        self.round_K = np.arange(1, order.stored_rounds + 1) * order.rounds // order.stored_rounds - 1
        """Which of the rounds are stored: evenly spread, the last one among them."""

    @property
    def rounds(self) -> int:
        """Rounds that are measured so far."""
        return len(self._measured)

    @property
    def complete(self) -> bool:
        """Whether all rounds of the order are measured."""
        return self.rounds == self._order.rounds

    def take(self, group: Group) -> None:
        """Measure every chain once, and store its configuration if this round's are stored."""
        number = self.rounds
        measured_PQR = pilot.measure(group, self.pilot_names)
        inputs: list[dict[str, NDArray[np.float64]]] = []
        if self._order.measure:
            measured_PQR, inputs = self._on_request(group, measured_PQR)
        self._measured.append(measured_PQR)
        if number in self.round_K:
            slot = int(np.searchsorted(self.round_K, number))
            self._store_inputs(slot, inputs)
            for point, simulation in enumerate(group.simulations):
                encoded_R = self._encode(simulation.configurations())
                if len(self._configurations) == point:
                    # All memory at once: a list of rounds would have to be copied.
                    shape = (self._order.stored_rounds, *encoded_R.shape)
                    self._configurations.append(np.zeros(shape, encoded_R.dtype))
                self._configurations[point][slot] = encoded_R

    def _on_request(
        self, group: Group, measured_PQR: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[dict[str, NDArray[np.float64]]]]:
        """``measured_PQR`` with the columns of the requested measurements, and the second inputs of every point."""
        simulations: Any = group.simulations
        values = [simulation.measure_on_request(self._order.measure) for simulation in simulations]
        columns = self.names.columns[len(self.pilot_names.columns) :]
        requested_PQR = np.array([[of_point[name] for name in columns] for of_point in values])
        inputs = [{name: of_point[name] for name in self._inputs} for of_point in values]
        return np.concatenate([measured_PQR, requested_PQR], axis=1) if columns else measured_PQR, inputs

    def _store_inputs(self, slot: int, inputs: list[dict[str, NDArray[np.float64]]]) -> None:
        for point, of_point in enumerate(inputs):
            for name, input_R in of_point.items():
                shape = (self._order.stored_rounds, *input_R.shape)
                self._second_inputs.setdefault(f"{point}.{name}", np.zeros(shape, np.float32))[slot] = input_R

    def clear(self) -> None:
        """Drop all measurements; the next ones overwrite the stored configurations."""
        self._measured = []

    def series(self, point: int) -> dict[str, NDArray[np.float64]]:
        """x_RT of every column and magnitude of one point."""
        return pilot.series(self._measured, point, self.names)

    def configurations(self, point: int) -> NDArray[Any]:
        """(S, ...) of one point."""
        return self._samples(self._configurations[point])

    def second_inputs(self, point: int) -> dict[str, NDArray[np.float32]]:
        """(S, channels, rows, columns) of one point, by name."""
        return {name: self._samples(self._second_inputs[f"{point}.{name}"]) for name in self._inputs}

    def observables(self, point: int) -> dict[str, NDArray[np.float64]]:
        """(S,) columns of one point's samples."""
        series = self.series(point)
        return {name: self._samples(series[name][:, self.round_K].T) for name in self.names.columns}

    def _samples(self, stored_KR: NDArray[Any]) -> NDArray[Any]:
        """(S, ...) round by round; of the last one the first chains only, if the samples are no multiple of these."""
        return stored_KR.reshape(-1, *stored_KR.shape[2:])[: self._order.samples]

    def state(self) -> Arrays:
        """All that a resumed recording needs."""
        # The names of these arrays are those of earlier versions, whose saved samplers must still be read.
        arrays: Arrays = {f"kept.{point}": array for point, array in enumerate(self._configurations)}
        arrays |= {f"inputs.{name}": array for name, array in self._second_inputs.items()}
        return arrays | {"measured": np.array(self._measured)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state``."""
        self._measured = list(state["measured"])
        names = [f"kept.{point}" for point in range(self._points)]
        self._configurations = [state[name].copy() for name in names if name in state]
        self._second_inputs = {name: array.copy() for name, array in pilot.unpack("inputs", state).items()}
