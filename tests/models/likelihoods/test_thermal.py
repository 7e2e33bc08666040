"""Thermal likelihoods: exact normalization and samples by enumeration, the order of the steps, what they can learn."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare
from torch import Tensor

from models.likelihoods.independent import Bernoulli
from models.likelihoods.thermal import DRAWS, Thermal
from models.likelihoods.thermal_order import coarse_to_fine
from models.likelihoods.thermal_states import ThermalStates
from simulators import contract
from simulators.reference import exact
from simulators.sampling.sampler import sample

FALSE_ALARM = 1e-5  # chance that a correct sampler fails one case; the seeds are fixed
DRAWN = 40_000
SPIN_SHAPES = [(1, 2, 2), (1, 2, 4), (2, 2, 2), (1, 4, 4)]
STATE_SHAPES = [((1, 2, 2), 3), ((1, 2, 4), 3), ((2, 2, 2), 3), ((1, 2, 2), 5)]

Likelihood = Thermal | ThermalStates
pytestmark = pytest.mark.usefixtures("double_precision")


def all_spins(sites: int) -> Tensor:
    """(2^N, N); row k has the bits of k, the first site the most significant."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=sites)))


def all_states(shape: tuple[int, int, int], states: int) -> Tensor:
    """(q^N, C q N') one-hot features; row k has the digits of k, the first site the most significant."""
    channels, rows, columns = shape
    sites = channels * rows * columns
    digits = torch.tensor(list(itertools.product(range(states), repeat=sites)))
    return F.one_hot(digits.unflatten(1, (channels, -1)), states).movedim(-1, -2).flatten(1).to(torch.float64)


def random_output(likelihood: Likelihood, sites: int, scale: float = 0.5, seed: int = 5) -> Tensor:
    numbers = likelihood.outputs.site * sites + likelihood.outputs.shared
    return scale * torch.randn(numbers, generator=torch.Generator().manual_seed(seed))


def case(shape: tuple[int, int, int], states: int | None) -> tuple[Likelihood, Tensor, Tensor]:
    """A likelihood, all of its configurations, and an output of a decoder."""
    sites = shape[1] * shape[2]
    if states is None:
        spins = Thermal(shape)
        return spins, all_spins(shape[0] * sites), random_output(spins, sites)
    multinomial = ThermalStates(shape, states)
    return multinomial, all_states(shape, states), random_output(multinomial, sites)


CASES = [(shape, None) for shape in SPIN_SHAPES] + STATE_SHAPES


@pytest.mark.parametrize(("shape", "states"), CASES, ids=str)
def test_probabilities_of_all_configurations_sum_to_one(shape: tuple[int, int, int], states: int | None) -> None:
    """To the rounding of 65,536 terms, 1e-11 at worst."""
    likelihood, x, output = case(shape, states)
    assert abs(likelihood.log_probability(x, output).exp().sum().item() - 1) < 1e-11


@pytest.mark.parametrize(("shape", "states"), [((1, 2, 4), None), ((2, 2, 2), None), ((1, 2, 2), 3), ((2, 2, 2), 2)])
def test_samples_follow_the_probabilities(shape: tuple[int, int, int], states: int | None) -> None:
    """Chi-square over all configurations; negative control: couplings that are off by about .3."""
    likelihood, x, output = case(shape, states)
    assert p_value(likelihood, x, output, output) > FALSE_ALARM
    other = output.clone()
    other[-likelihood.outputs.shared :] += 0.6 * random_output(likelihood, 1, seed=6)[-likelihood.outputs.shared :]
    assert p_value(likelihood, x, output, other) < FALSE_ALARM


def p_value(likelihood: Likelihood, x: Tensor, drawn_from: Tensor, compared_with: Tensor) -> float:
    drawn = likelihood.sample(drawn_from.expand(DRAWN, -1), torch.Generator().manual_seed(8))
    rows = {tuple(row): index for index, row in enumerate(x.tolist())}
    counts = np.bincount([rows[tuple(row)] for row in drawn.tolist()], minlength=len(x))
    expected = DRAWN * likelihood.log_probability(x, compared_with).exp().numpy()
    # Rare configurations together make one cell, so that the test's asymptotics hold.
    rare = expected < 10
    cells = [np.append(part[~rare], part[rare].sum()) for part in (counts, expected)]
    return float(chisquare(*cells, sum_check=False).pvalue)


@pytest.mark.parametrize(("shape", "states"), [((1, 2, 4), None), ((1, 2, 2), 3), ((2, 2, 2), 2)])
def test_means_agree_with_enumeration(shape: tuple[int, int, int], states: int | None) -> None:
    """Five standard errors, by their bound, of 400 equal outputs: below 1e-5 false alarms over 12 features. Negative
    control: the mean at another output."""
    likelihood, x, output = case(shape, states)
    up = (x + 1) / 2 if states is None else x
    expected = likelihood.log_probability(x, output).exp() @ up
    tolerance = 5 * 0.5 / (400 * DRAWS) ** 0.5
    assert (likelihood.mean(output.expand(400, -1)).mean(0) - expected).abs().max() < tolerance
    assert (likelihood.mean(0.8 * output.expand(400, -1)).mean(0) - expected).abs().max() > tolerance
    assert torch.equal(likelihood.mean(output), likelihood.mean(output))


@pytest.mark.parametrize("states", [None, 3])
def test_means_are_probabilities_where_nothing_is_left_to_chance(states: int | None) -> None:
    """In single precision the weights of the phases and draws do not add up to exactly one."""
    likelihood = (Thermal((1, 4, 4)) if states is None else ThermalStates((1, 4, 4), states)).float()
    output = torch.zeros(400, likelihood.outputs.site * 16 + likelihood.outputs.shared, dtype=torch.float32)
    output[:, :16] = 100
    output[:, -1] = torch.linspace(-2, 2, 400)
    mean = likelihood.mean(output)
    assert mean.dtype == torch.float32
    assert mean[:, :16].min() > 0.9999
    assert mean.max() <= 1


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 16, 16), (1, 12, 12), (2, 12, 8), (1, 6, 10)], ids=str)
def test_steps_take_every_site_once_and_after_its_parents(shape: tuple[int, int, int]) -> None:
    order = coarse_to_fine(shape)
    channels, rows, columns = shape
    step_of = torch.full((channels * rows * columns,), -1)
    for step, sites in enumerate(order.steps):
        assert (step_of[sites] == -1).all()
        step_of[sites] = step
    assert (step_of >= 0).all()
    refined = step_of > 0
    assert (step_of[order.parents_PN[:, refined]] < step_of[refined]).all()
    # The last step sees the nearest neighbours on all sides.
    grid = torch.arange(step_of.numel()).view(shape)
    shifts = [(1, 0), (-1, 0), (0, 1), (0, -1)]
    neighbours = torch.stack([grid.roll(shift, (1, 2)).flatten() for shift in shifts])
    last = order.steps[-1]
    assert torch.equal(order.parents_PN[:, last].sort(0).values, neighbours[:, last].sort(0).values)


def test_number_of_steps() -> None:
    for (rows, columns), steps in {(16, 16): 9, (12, 12): 5, (64, 64): 13, (12, 8): 5, (2, 6): 3}.items():
        assert len(coarse_to_fine((1, rows, columns)).steps) == steps


@pytest.mark.parametrize("shape", [(1, 5, 5), (1, 4, 3), (1, 7, 8)])
def test_odd_lattices_are_refused(shape: tuple[int, int, int]) -> None:
    wanted = f"thermal needs rows and columns that are even, got {shape[1]} x {shape[2]}"
    with pytest.raises(ValueError, match=wanted):
        Thermal(shape)
    with pytest.raises(ValueError, match=wanted):
        ThermalStates(shape, 3)
    with pytest.raises(ValueError, match="states must be at least 2, got 1"):
        ThermalStates((1, 4, 4), 1)


def conditional(likelihood: Thermal, x: Tensor, output: Tensor) -> Tensor:
    """Probability of +1 on each site given all earlier ones: the derivative of ln p by h is (x + 1) / 2 less it."""
    output = output.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(likelihood.log_probability(x, output).sum(), output)
    return (x + 1) / 2 - gradient[: x.shape[-1]]


def test_a_spin_acts_on_its_children_alone() -> None:
    likelihood = Thermal((1, 4, 8))
    order = coarse_to_fine((1, 4, 8))
    step_of = order.spread_SN.argmax(0)
    output = random_output(likelihood, 32)
    output[-1] = 60.0  # log-odds: one phase only
    x = 2 * torch.randint(0, 2, (32,), generator=torch.Generator().manual_seed(1)) - 1.0
    before = conditional(likelihood, x, output)
    for site in range(32):
        flipped = x.clone()
        flipped[site] *= -1
        changed = ((conditional(likelihood, flipped, output) - before).abs() > 1e-9).nonzero().flatten().tolist()
        children = ((order.parents_PN == site).any(0) & (step_of > step_of[site])).nonzero().flatten().tolist()
        assert set(changed) <= set(children)
        assert changed or step_of[site] == len(order.steps) - 1


@pytest.mark.parametrize(("shape", "states"), [((1, 8, 8), None), ((2, 4, 12), None), ((1, 4, 4), 3)], ids=str)
def test_every_number_of_the_decoder_gets_a_gradient(shape: tuple[int, int, int], states: int | None) -> None:
    likelihood: Likelihood = Thermal(shape) if states is None else ThermalStates(shape, states)
    output = random_output(likelihood, shape[1] * shape[2]).expand(2, 8, -1).clone().requires_grad_()
    x = likelihood.sample(torch.zeros_like(output), torch.Generator().manual_seed(2))
    log_probability = likelihood.log_probability(x, output)
    assert log_probability.shape == (2, 8)
    assert likelihood.mean(output).shape == x.shape
    log_probability.sum().backward()
    assert output.grad is not None and (output.grad.abs().sum((0, 1)) > 0).all()


@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_the_last_step_can_be_the_exact_conditional_of_the_ising_model(coupling: float) -> None:
    """ln p of two configurations that differ on the last step alone differs by -(E - E') / T."""
    temperature, likelihood = 2.1, Thermal((1, 4, 4))
    spins = torch.from_numpy(exact.ising_states(4)[::97]).to(torch.float64)
    energy = -coupling * (spins * (spins.roll(1, 1) + spins.roll(1, 2))).sum((1, 2))
    last = coarse_to_fine((1, 4, 4)).steps[-1]
    changed = spins.flatten(1).clone()
    changed[:, last] *= -1
    other = changed.view_as(spins)
    other_energy = -coupling * (other * (other.roll(1, 1) + other.roll(1, 2))).sum((1, 2))
    output = random_output(likelihood, 16)
    steps = len(likelihood.cuts) - 1
    pair, cubic, _, _ = output[16:].split((steps - 1, steps - 1, steps - 1, 1))
    output[last] = cubic[-1] = 0.0
    pair[-1] = 2 * coupling / temperature
    difference = likelihood.log_probability(spins.flatten(1), output) - likelihood.log_probability(changed, output)
    torch.testing.assert_close(difference, (other_energy - energy) / temperature)


def test_two_states_are_spins() -> None:
    spins, states = Thermal((1, 4, 4)), ThermalStates((1, 4, 4), 2)
    output = random_output(spins, 16)
    steps = len(spins.cuts) - 1
    fields, pair, cubic, order, odds = output.split((16, steps - 1, steps - 1, steps - 1, 1))
    halves = 0.5 * torch.tensor([-1.0, 1.0])
    # In d = +-n / 2 and d^3 / 8 = +-n^3 / 64, the logit of +1 against -1 is J n + C n^3 / 16 with these matrices.
    matrix = 2 * halves.outer(halves)
    couplings = torch.cat([pair[:, None, None] * matrix, 2 * cubic[:, None, None] * matrix], dim=-1)
    phases = order[:, None, None] * matrix
    translated = torch.cat([
        (halves[:, None] * fields).flatten(), couplings.flatten(), phases.flatten(), halves * odds
    ])  # fmt: skip
    x = all_spins(16)[::61]
    one_hot = torch.stack([x < 0, x > 0], dim=1).flatten(1).to(x)
    torch.testing.assert_close(states.log_probability(one_hot, translated), spins.log_probability(x, output))


def test_a_flip_of_all_spins_and_fields_changes_nothing() -> None:
    likelihood, x, output = case((1, 2, 4), None)
    mirrored = output.clone()
    mirrored[:8] *= -1
    mirrored[-1] *= -1
    torch.testing.assert_close(likelihood.log_probability(-x, mirrored), likelihood.log_probability(x, output))
    assert not torch.allclose(likelihood.log_probability(-x, output), likelihood.log_probability(x, output))


def fitted_energy(likelihood: Thermal | Bernoulli, x: Tensor) -> tuple[float, float]:
    """Mean and variance of the energy per site drawn from one output, fitted to all samples by Adam."""
    size, generator = int(x.shape[1] ** 0.5), torch.Generator().manual_seed(4)
    output = torch.zeros(likelihood.outputs.site * size**2 + likelihood.outputs.shared, requires_grad=True)
    optimizer = torch.optim.Adam([output], lr=0.05)
    for _ in range(250):
        batch = x[torch.randint(len(x), (500,), generator=generator)]
        optimizer.zero_grad()
        (-likelihood.log_probability(batch, output.expand(len(batch), -1)).mean()).backward()
        optimizer.step()
    drawn = likelihood.sample(output.detach().expand(8000, -1), generator).view(-1, size, size)
    energy = -(drawn * (drawn.roll(1, 1) + drawn.roll(1, 2))).mean((1, 2))
    return energy.mean().item(), energy.var().item()


@pytest.mark.parametrize("temperature", [2.0, 2.3, 4.0])
def test_fluctuations_are_those_of_the_ising_model(temperature: float) -> None:
    """Energy within .06 per site and specific heat within 25 %; independent sites, the negative control, miss both."""
    ising = contract.load("ising")
    spec = ising.spec(size=8, coupling=1.0, temperature=temperature)
    drawn = sample(
        ising, spec, chains=50, samples=4000, algorithm="wolff", thermalization=50, spacing=8,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    x = torch.from_numpy(drawn.configurations.reshape(4000, 64)).to(torch.float64)
    expected = exact.ising(8, 8, temperature)
    energy, variance = fitted_energy(Thermal((1, 8, 8)), x)
    assert abs(energy - expected.energy) < 0.06
    assert variance * 64 / temperature**2 == pytest.approx(expected.specific_heat, rel=0.25)
    energy, variance = fitted_energy(Bernoulli(), x)
    assert abs(energy - expected.energy) > 0.06
