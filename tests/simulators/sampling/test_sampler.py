"""Lengths and certificates of ``sample``, on processes whose autocorrelation is chosen here."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import contract
from simulators.contract import System
from simulators.sampling import pilot
from simulators.sampling.ladder import Single
from simulators.sampling.pilot import Pilot
from simulators.sampling.sampler import sample
from simulators.sampling.samples import PointSamples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Process:
    """Autoregressive chains of unit variance around ``level``, which hot chains may miss by ``gap``."""

    size: int = 2
    tau: float
    gap: float = 0.0
    shape: tuple[int, int, int] = (1, 2, 2)


class Kind:
    nanoseconds = 1.0


class Chains:
    """x <- a x + noise with (1 + a) / (2 (1 - a)) = tau."""

    kinds: ClassVar[dict[str, Any]] = {"only": Kind}
    acceptance = 0.5
    cost = 1.0

    def __init__(self, spec: Process, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        self.a = (2 * spec.tau - 1) / (2 * spec.tau + 1)
        self.rng, self.sweeps = rng, 0
        self.x = rng.normal(size=len(hot))
        self.level = spec.gap * hot

    def advance(self, sweeps: int) -> None:
        self.sweeps += sweeps
        for _ in range(sweeps):
            self.x = self.a * self.x + np.sqrt(1 - self.a**2) * self.rng.normal(size=len(self.x))

    def configurations(self) -> NDArray[np.float32]:
        return np.full((len(self.x), 1, 2, 2), self.sweeps, dtype=np.float32)

    def measure(self) -> dict[str, NDArray[np.float64]]:
        return {"energy": self.x + self.level, "order": np.sign(self.x)}

    def reduced_energy(self, spec: Process) -> NDArray[np.float64]:
        return self.x**2 / 2

    def exchange(self, other: "Chains", chosen: NDArray[np.bool_]) -> None:
        self.x[chosen], other.x[chosen] = other.x[chosen], self.x[chosen]

    def state(self) -> dict[str, NDArray[Any]]:
        return {"x": self.x.copy(), "sweeps": np.array(self.sweeps)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.x, self.sweeps = state["x"].copy(), int(state["sweeps"])


PROCESS = System("process", 1, Process, Chains, ("only",), ("order",), "float32", "gaussian", Process(tau=1.0))


def run(spec: Process, **changes: Any) -> PointSamples:
    arguments = {
        "chains": 32,
        "samples": 100,
        "algorithm": "auto",
        "thermalization": "auto",
        "spacing": "auto",
        "rng": np.random.default_rng(1),
    }
    return sample(PROCESS, spec, **(arguments | changes))


@pytest.mark.parametrize("tau", [0.5, 4.0, 12.0])
def test_automatic_lengths_follow_the_autocorrelation_time(tau: float) -> None:
    certificate = run(Process(tau=tau)).certificate
    # The pilot holds at least 50 independent measurements; its tau is good to a factor of 1.5 with more than 4 sigma.
    assert certificate.converged
    assert certificate.observables["energy"].tau_int == pytest.approx(tau, rel=0.5)
    assert certificate.thermalization >= 20 * tau / 1.5
    assert 2 * tau / 1.5 <= certificate.spacing <= 2 * tau * 1.5 + 1
    assert certificate.certified, certificate.reasons
    assert certificate.measurements == 16


def test_a_long_pilot_measures_rarely_and_still_finds_tau() -> None:
    simulation = Chains(Process(tau=150.0), np.arange(32) % 2 == 0, "only", np.random.default_rng(2))
    long = Pilot(Single(simulation), PROCESS.names(simulation))
    while long.times is None:
        long.step()
    assert long.times.converged
    assert long.sweeps == simulation.sweeps >= 20 * 100
    assert long.times.tau[0]["energy"] == pytest.approx(150, rel=0.5)


def test_a_cap_that_binds_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "CAP", 256)
    certificate = run(Process(tau=200.0)).certificate
    assert not certificate.converged
    assert not certificate.certified
    assert certificate.thermalization == 256
    assert certificate.spacing <= 256 // 16
    assert "cap" in certificate.reasons[0]


def test_chains_that_remember_their_start_are_not_certified() -> None:
    certificate = run(Process(tau=1.0, gap=3.0), thermalization=10, spacing=5).certificate
    assert certificate.observables["energy"].start_z > 5
    assert certificate.observables["energy"].r_hat > 1.05
    assert not certificate.certified
    assert any("hot and ordered starts differ in energy by +" in reason for reason in certificate.reasons)
    assert run(Process(tau=1.0), thermalization=10, spacing=5).certificate.certified


def test_measurements_that_are_too_close_are_not_certified() -> None:
    certificate = run(Process(tau=50.0), thermalization=1000, spacing=1).certificate
    assert any("R-hat of energy" in reason for reason in certificate.reasons)
    assert any("effective samples" in reason for reason in certificate.reasons)


def test_kept_rounds_are_spread_over_the_measured_ones() -> None:
    result = run(Process(tau=1.0), samples=70, thermalization=10, spacing=3)
    assert result.certificate.measurements == 16
    # Rounds 5, 10 and 16 of 16, and of the last one the first 6 chains.
    np.testing.assert_array_equal(np.unique(result.sweep), [10 + 3 * 5, 10 + 3 * 10, 10 + 3 * 16])
    assert (result.sweep[64:] == 58).all()
    assert len(result.sweep) == 70
    np.testing.assert_array_equal(result.configurations[:, 0, 0, 0], result.sweep)


def test_more_samples_than_sixteen_rounds_are_all_kept() -> None:
    result = run(Process(tau=1.0), samples=32 * 40, thermalization=0, spacing=2)
    np.testing.assert_array_equal(np.unique(result.sweep), 2 * np.arange(1, 41))


def test_few_chains_measure_more_often() -> None:
    assert run(Process(tau=1.0), chains=4, samples=4).certificate.measurements == 100


def test_rows_belong_together() -> None:
    spec = contract.load("ising").example
    result = sample(
        contract.load("ising"),
        spec,
        chains=5,
        samples=23,
        algorithm="metropolis",
        thermalization=10,
        spacing=2,
        rng=np.random.default_rng(3),
    )
    spins = result.configurations[:, 0].astype(float)
    np.testing.assert_allclose(result.observables["magnetization"], spins.mean(axis=(1, 2)), atol=1e-12)
    bonds = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).mean(axis=(1, 2))
    energy = -spec.coupling * bonds + spec.field * spins.mean(axis=(1, 2))
    np.testing.assert_allclose(result.observables["energy"], energy, atol=1e-12)


def test_thermalization_given_with_automatic_spacing_is_a_lower_bound() -> None:
    assert run(Process(tau=1.0), thermalization=5000).certificate.thermalization == 5000
    assert run(Process(tau=1.0), thermalization=1).certificate.thermalization >= 64


def test_all_bad_arguments_are_reported_at_once() -> None:
    with pytest.raises(contract.SpecError) as caught:
        run(Process(tau=1.0), chains=3, samples=0, algorithm="wolff", thermalization=-1, spacing=0)
    assert [field for field, _ in caught.value.problems] == [
        "chains", "samples", "thermalization", "spacing",
    ]  # fmt: skip
    assert "must be at least 4, got 3" in str(caught.value)
