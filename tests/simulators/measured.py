"""Time series of chains, that several tests use."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def series(
    module: Any, spec: Any, algorithm: str, chains: int, schedule: tuple[int, int, int], seed: int
) -> dict[str, NDArray[np.float64]]:
    """Every observable, (chains, measurements), after ``schedule``: sweeps before, measurements, sweeps between."""
    simulation = module.Simulation(spec, np.arange(chains) % 2 == 0, algorithm, np.random.default_rng(seed))
    thermalization, rounds, spacing = schedule
    simulation.advance(thermalization)
    found = []
    for _ in range(rounds):
        simulation.advance(spacing)
        found.append(simulation.measure())
    return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}
