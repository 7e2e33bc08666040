"""Independent spins in a field, H = h sum_i s_i: m = -tanh(h / T), exactly.

A whole system in one file, for the tests: they copy it to where a user would put it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.contract import require

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


class Simulation:
    acceptance = 1.0

    def __init__(self, spec: Spec, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        require((algorithm in ALGORITHMS, "algorithm", f"must be heat-bath, got {algorithm}"))
        self.spec, self.rng = spec, rng
        self.spins = np.ones((len(hot), *spec.shape), dtype=np.int8)

    def advance(self, sweeps: int) -> None:
        for _ in range(sweeps):
            up = 1 / (1 + np.exp(2 * self.spec.field / self.spec.temperature))
            self.spins[:] = np.where(self.rng.random(self.spins.shape) < up, 1, -1)

    def configurations(self) -> NDArray[np.int8]:
        return self.spins.copy()

    def measure(self) -> dict[str, NDArray[np.float64]]:
        magnetization = self.spins.mean(axis=(1, 2, 3))
        return {"energy": self.spec.field * magnetization, "magnetization": magnetization}
