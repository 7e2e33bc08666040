"""``algorithm = "auto"``: the cheapest independent sample wins, by seeded numbers alone."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.contract import System
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """Autoregressive chains; the two algorithms have their own autocorrelation time."""

    slow: float
    fast: float
    size: int = 2
    shape: tuple[int, int, int] = (1, 2, 2)


class Cheap:
    nanoseconds = 1.0


class Dear:
    nanoseconds = 20.0


class Never:
    nanoseconds = 1000.0


class Process:
    kinds: ClassVar[dict[str, Any]] = {"local": Cheap, "cluster": Dear, "exotic": Never}
    acceptance = 0.5
    built: ClassVar[list[str]] = []

    def __init__(self, spec: Point, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        tau = spec.slow if algorithm == "local" else spec.fast
        self.a = (2 * tau - 1) / (2 * tau + 1)
        self.cost = self.kinds[algorithm].nanoseconds * 4 * len(hot)
        self.rng, self.x = rng, rng.normal(size=len(hot))
        self.built.append(algorithm)

    def advance(self, sweeps: int) -> None:
        for _ in range(sweeps):
            self.x = self.a * self.x + np.sqrt(1 - self.a**2) * self.rng.normal(size=len(self.x))

    def configurations(self) -> NDArray[np.float32]:
        return np.zeros((len(self.x), 1, 2, 2), dtype=np.float32)

    def measure(self) -> dict[str, NDArray[np.float64]]:
        return {"energy": self.x, "order": np.sign(self.x)}

    def state(self) -> dict[str, NDArray[Any]]:
        return {"x": self.x.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.x = state["x"].copy()


def system(**changes: Any) -> System:
    made = System(
        "process", 1, Point, Process, tuple(Process.kinds), ("order",), "float32", "gaussian", Point(slow=1, fast=1),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def choose(point: Point, made: System, **changes: Any) -> tuple[str, str, list[str]]:
    """The algorithm, the reason, and which algorithms were tried, in their order."""
    Process.built.clear()
    arguments = {"chains": 64, "samples": 64, "algorithm": "auto", "thermalization": "auto", "spacing": "auto"}
    sampler = Sampler(made, [point], Order(**(arguments | changes)), np.random.default_rng(1))
    while not sampler.done:
        sampler.step()
    certificate = sampler.result()[0].certificate
    return certificate.algorithm, certificate.choice, list(Process.built)


def test_a_fast_local_algorithm_wins_without_a_contest() -> None:
    algorithm, reason, built = choose(Point(slow=4.0, fast=1.0), system())
    assert algorithm == "local" and built == ["local"]
    assert "cluster at least 20 ns" in reason


def test_a_slow_one_loses_to_clusters() -> None:
    algorithm, reason, built = choose(Point(slow=200.0, fast=1.0), system())
    assert algorithm == "cluster" and built == ["local", "cluster"]
    assert reason.startswith("auto: cluster; local")


def test_a_slow_one_is_given_up_early_when_it_is_tried_last() -> None:
    made = system(expected_tau=lambda spec, algorithm: 1000.0 if algorithm == "local" else 1.0)
    algorithm, reason, built = choose(Point(slow=2000.0, fast=1.0), made)
    assert algorithm == "cluster" and built == ["cluster", "local"]
    assert "local at least" in reason


def test_between_equals_either_may_win_and_neither_by_much() -> None:
    """2 tau times the cost is 40 against 60 ns."""
    assert choose(Point(slow=20.0, fast=1.5), system())[0] == "local"
    assert choose(Point(slow=20.0, fast=0.6), system())[0] == "cluster"


def test_what_is_not_valid_is_not_tried() -> None:
    made = system(refuse=lambda spec, algorithm: "not here" if algorithm == "cluster" else None)
    algorithm, _, built = choose(Point(slow=200.0, fast=1.0), made)
    assert algorithm == "local" and built == ["local"]


def test_sweeps_that_the_study_counts_are_of_the_first_algorithm() -> None:
    algorithm, reason, built = choose(Point(slow=200.0, fast=1.0), system(), thermalization=10, spacing=2)
    assert algorithm == "local" and built == ["local"] and "sweeps" in reason


@pytest.mark.parametrize("algorithm", ["local", "cluster"])
def test_a_named_algorithm_needs_no_reason(algorithm: str) -> None:
    assert choose(Point(slow=2.0, fast=1.0), system(), algorithm=algorithm)[:2] == (algorithm, "")
