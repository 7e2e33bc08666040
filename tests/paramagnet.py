"""Independent spins in a field, H = h sum_i s_i: m = -tanh(h / T), exactly.

A whole system in one file, for the tests: they copy it to where a user would put it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simulators.chains import ChainSimulation, RowMajor
from simulators.contract import ExactEnergy, require
from simulators.rng.sfc64 import uniform

VERSION = 1
ALGORITHMS = ("heat-bath",)
ORDER_PARAMETERS = ("magnetization",)
ENCODING = "bits"
LIKELIHOOD = "bernoulli"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    size: int
    field: float
    temperature: float

    def __post_init__(self) -> None:
        require((self.temperature > 0, "temperature", f"must be positive, got {self.temperature}"))

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.size, self.size


EXAMPLE = Spec(size=4, field=1.0, temperature=2.0)


def EXACT_ENERGY(spec: Spec) -> ExactEnergy:
    x = spec.field / spec.temperature
    return ExactEnergy(energy=-spec.field * np.tanh(x), specific_heat=(x / np.cosh(x)) ** 2)


@njit
def sweep(spins_RIJ: NDArray[np.int8], state_RV: NDArray[np.uint64], up: float, sweeps: int) -> None:
    for r in range(len(spins_RIJ)):
        for _ in range(sweeps):
            for i in range(spins_RIJ.shape[1]):
                for j in range(spins_RIJ.shape[2]):
                    spins_RIJ[r, i, j] = 1 if uniform(state_RV[r]) < up else -1


class HeatBath(RowMajor):
    nanoseconds = 5.0

    def advance(self, sweeps: int) -> None:
        up = 1 / (1 + np.exp(2 * self.spec.field / self.spec.temperature))
        sweep(self.states_RIJ, self.state_RV, up, sweeps)
        self.counts_2 += sweeps * self.states_RIJ.size


class Simulation(ChainSimulation):
    kinds: ClassVar[dict[str, type[HeatBath]]] = {"heat-bath": HeatBath}

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        return np.ones((len(hot), spec.size, spec.size), dtype=np.int8)

    def observables(self) -> dict[str, NDArray[np.float64]]:
        magnetization = self.updates.states().mean(axis=(1, 2))
        return {"energy": self.spec.field * magnetization, "magnetization": magnetization}
