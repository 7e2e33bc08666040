"""A sampler that is stopped anywhere and restored in another process gives the very samples of one that was not."""

import io

import numpy as np
import pytest

from simulators import contract
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler
from simulators.sampling.samples import PointSamples
from simulators.systems import ising

ISING = contract.load("ising")
POINTS = [ising.Spec(size=8, coupling=1.0, temperature=t) for t in (2.2, 2.4, 2.7)]
CASES = {
    "auto": ("auto", "auto", "auto"),
    "metropolis": ("metropolis", "auto", "auto"),
    "wolff": ("wolff", "auto", "auto"),
    "given": ("swendsen-wang", 40, 3),
    "longer": ("metropolis", 700, "auto"),
    "tempering": ("tempering", "auto", "auto"),
}


def sampler(case: str) -> Sampler:
    algorithm, thermalization, spacing = CASES[case]
    order = Order(chains=8, samples=100, algorithm=algorithm, thermalization=thermalization, spacing=spacing)
    specs = POINTS if algorithm == "tempering" else POINTS[:1]
    return Sampler(ISING, specs, order, np.random.default_rng(4))


def through_a_file(one: Sampler, case: str) -> Sampler:
    """A new sampler with what the state of ``one`` is after it was written and read."""
    state = one.state()
    if not state:
        return sampler(case)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **state)
    buffer.seek(0)
    other = sampler(case)
    with np.load(buffer, allow_pickle=False) as content:
        other.restore(dict(content))
    return other


def equal(one: list[PointSamples], other: list[PointSamples]) -> None:
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.configurations, second.configurations)
        np.testing.assert_array_equal(first.sweep, second.sweep)
        for name, values in first.observables.items():
            np.testing.assert_array_equal(values, second.observables[name])
        assert first.certificate == second.certificate


@pytest.mark.parametrize("case", CASES)
def test_restored_at_any_point_it_goes_on_as_if_nothing_had_happened(case: str) -> None:
    whole = sampler(case)
    steps = 0
    while not whole.done:
        whole.step()
        steps += 1
    assert steps > 20
    stops = {0, 1, 2, steps // 4, steps // 2, 3 * steps // 4, steps - 2, steps - 1}
    cut = sampler(case)
    for step in range(steps):
        if step in stops:
            cut = through_a_file(cut, case)
        cut.step()
    assert cut.done
    equal(whole.result(), cut.result())


def test_a_state_matters() -> None:
    """Negative control: without the random streams the samples are others."""
    whole, cut = sampler("metropolis"), sampler("metropolis")
    for one in (whole, cut):
        for _ in range(20):
            one.step()
    state = cut.state()
    state["pilot.group.streams"] = sampler_streams(seed=9)
    cut.restore(state)
    for one in (whole, cut):
        while not one.done:
            one.step()
    assert (whole.result()[0].configurations != cut.result()[0].configurations).any()


def sampler_streams(seed: int) -> np.ndarray:
    hot = np.arange(8) % 2 == 0
    return ising.Simulation(POINTS[0], hot, "metropolis", np.random.default_rng(seed)).state()["streams"]


def test_results_are_not_given_before_their_time() -> None:
    with pytest.raises(RuntimeError, match="not done yet"):
        sampler("auto").result()
