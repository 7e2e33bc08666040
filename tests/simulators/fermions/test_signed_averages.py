"""Certificates of systems with negative weights: <x sign> / <sign>, its error, and when it means nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import contract
from simulators.sampling.certificate import Certificate, objections, summarize, summarize_signed
from simulators.sampling.sampler import sample

CHAINS, LENGTH = 64, 100
HOT = np.arange(CHAINS) % 2 == 0


def signed_series(average: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and a sign of the given average; x is 1 higher where the sign is positive, so that <x sign> / <sign> differs
    from <x>."""
    rng = np.random.default_rng(seed)
    sign_RT = np.where(rng.random((CHAINS, LENGTH)) < (1 + average) / 2, 1.0, -1.0)
    return rng.normal(size=(CHAINS, LENGTH)) + (sign_RT > 0), sign_RT


def test_the_error_is_that_of_the_ratio() -> None:
    """Over 200 sets: deviations from the truth have unit variance in units of the error, within 4 errors of that."""
    average = 0.3
    truth = (1 + average) / 2 / average
    z = []
    for seed in range(200):
        x_RT, sign_RT = signed_series(average, seed)
        summary = summarize_signed(x_RT, sign_RT, HOT, 0.5)
        z.append((summary.mean - truth) / summary.error)
    assert abs(np.mean(z)) < 4 / np.sqrt(200)
    assert abs(np.var(z) - 1) < 4 * np.sqrt(2 / 200)
    assert abs(summarize(x_RT, HOT, 0.5).mean - truth) > 10 * summary.error, "negative control: no sign"


def test_a_sign_of_one_changes_nothing() -> None:
    x_RT, _ = signed_series(0.3, 1)
    plain, signed = summarize(x_RT, HOT, 2.0), summarize_signed(x_RT, np.ones_like(x_RT), HOT, 2.0)
    np.testing.assert_allclose(signed, plain, rtol=1e-9)


def test_a_sign_that_cancels_is_refused_with_finite_numbers() -> None:
    x_RT, sign_RT = signed_series(0.0, 2)
    for signs in (sign_RT, np.where(np.arange(LENGTH) % 2 == 0, 1.0, -1.0) * np.ones((CHAINS, 1))):
        summaries = {"sign": summarize(signs, HOT, 0.5), "energy": summarize_signed(x_RT, signs, HOT, 0.5)}
        assert np.isfinite(summaries["energy"]).all()
        if summaries["sign"].error > 0:
            assert "less than 5 errors" in objections(summaries, (), True)[0]
    x_RT, sign_RT = signed_series(0.3, 2)
    assert objections({"sign": summarize(sign_RT, HOT, 0.5)}, (), True) == []


def test_a_doped_lattice_is_certified_with_its_sign() -> None:
    """The certificate's energy is that of <energy sign> / <sign>, not the mean of the column."""
    system = contract.load("hubbard")
    spec = system.spec(size=2, temperature=0.2, interaction=6.0, chemical_potential=-2.0, trotter_step=0.25)
    result = sample(
        system, spec, chains=32, samples=32 * 16, algorithm="metropolis", thermalization=20, spacing=2,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    energy, sign = result.observables["energy"], result.observables["sign"]
    ratio = (energy * sign).mean() / sign.mean()
    summary = result.certificate.observables["energy"]
    assert abs(summary.mean - ratio) < 1e-9
    assert abs(summary.mean - energy.mean()) > 3 * summary.error
    assert 0.4 < result.certificate.observables["sign"].mean < 0.9
    assert 0 < result.certificate.numerics["largest_drift"] < 1e-6
    assert Certificate.from_json(result.certificate.to_json()) == result.certificate


@pytest.mark.parametrize("name", ["hubbard", "ising"])
def test_only_systems_that_tell_of_rounding_have_it_in_their_certificates(name: str) -> None:
    """The certificates, and so the shards, of all others stay as they were."""
    system = contract.load(name)
    result = sample(
        system, system.example, chains=4, samples=4, algorithm=system.algorithms[0], thermalization=1, spacing=1,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert ("numerics" in result.certificate.to_json()) == (name == "hubbard")
