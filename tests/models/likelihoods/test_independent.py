"""Likelihoods: normalized, equal to torch's distributions, mean-field Hamiltonians, and sampled from what they say."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare

from models.likelihoods.independent import Bernoulli, Gaussian, MeanField, Multinomial, VonMises
from models.likelihoods.temperature import LocalTemperature

FALSE_ALARM = 1e-7
"""Chance that a correct sampler fails one comparison; seeds are fixed."""
DRAWS = 40_000


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one_hot(runs: int, batch: int, channels: int, states: int, sites: int) -> torch.Tensor:
    drawn = torch.randint(states, (runs, batch, channels, sites), generator=torch.Generator().manual_seed(3))
    return F.one_hot(drawn, states).movedim(-1, -2).flatten(-3).to(torch.get_default_dtype())


def vectors(*shape: int) -> torch.Tensor:
    """Unit vectors laid out as (..., 2, sites)."""
    angle = 2 * torch.pi * torch.rand(shape, generator=torch.Generator().manual_seed(4))
    return torch.stack([angle.cos(), angle.sin()], dim=-2).flatten(-3)


def learned(runs: int) -> Gaussian:
    likelihood = Gaussian(2, "learned", runs)
    with torch.no_grad():
        likelihood.log_variance.copy_(torch.linspace(-1, 1, runs)[:, None])
    return likelihood


def cases() -> list[tuple[str, MeanField, torch.Tensor]]:
    """A likelihood and features (R, B, F) of random configurations of 2 channels with 6 sites."""
    return [
        ("bernoulli", Bernoulli(2), torch.randint(2, (3, 4, 12), generator=torch.Generator().manual_seed(1)) * 2.0 - 1),
        ("multinomial", Multinomial(2, 3), one_hot(3, 4, 2, 3, 6)),
        ("gaussian", Gaussian(2), normal(3, 4, 12)),
        ("gaussian of another variance", Gaussian(2, 0.3), normal(3, 4, 12)),
        ("gaussian of learned variances", learned(3), normal(3, 4, 12)),
        ("von Mises", VonMises(2), vectors(3, 4, 2, 6)),
    ]


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.usefixtures("double_precision")
def test_a_likelihood_is_a_mean_field_hamiltonian(case: int, warm: bool) -> None:
    """ln p = <T(x), h> - ln Z + base(x) (arXiv:2110.08082, Eqs. 10, 15 and 18), also with a local temperature."""
    _, inner, x = cases()[case]
    likelihood: MeanField = LocalTemperature(inner, 2) if warm else inner
    output = 2 * normal(3, 4, likelihood.outputs.site * 6)
    energy = (likelihood.statistic(x) * likelihood.fields(output)).sum(-1)
    total = energy + likelihood.free_energy(output) + likelihood.base(x)
    torch.testing.assert_close(total, likelihood.log_probability(x, output))


@pytest.mark.usefixtures("double_precision")
def test_bernoulli_and_multinomial_sum_to_one() -> None:
    spins = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)))
    fields = normal(4)
    torch.testing.assert_close(Bernoulli().log_probability(spins, fields).exp().sum(), torch.tensor(1.0))
    states = torch.tensor(list(itertools.product(range(3), repeat=4)))
    x = F.one_hot(states, 3).movedim(-1, -2).flatten(-2).double()
    p = Multinomial(1, 3).log_probability(x, normal(12)).exp()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))


@pytest.mark.usefixtures("double_precision")
def test_two_states_of_a_multinomial_are_a_bernoulli() -> None:
    spins = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)))
    h = 3 * normal(4)
    x = torch.stack([(1 - spins) / 2, (1 + spins) / 2], dim=-2).flatten(-2)
    both = torch.stack([torch.zeros(4), h]).flatten()
    torch.testing.assert_close(Multinomial(1, 2).log_probability(x, both), Bernoulli().log_probability(spins, h))


@pytest.mark.usefixtures("double_precision")
def test_gaussian_and_von_mises_agree_with_torch() -> None:
    x, mean = normal(5, 7), normal(5, 7, seed=5)
    expected = torch.distributions.Normal(mean, 0.3**0.5).log_prob(x).sum(-1)
    torch.testing.assert_close(Gaussian(1, 0.3).log_probability(x, mean).squeeze(0), expected)
    field = 4 * normal(5, 2, 7)
    direction, strength = torch.atan2(field[:, 1], field[:, 0]), field.square().sum(1).sqrt()
    angle = normal(5, 7, seed=6)
    s = torch.stack([angle.cos(), angle.sin()], dim=-2).flatten(-2)
    theirs = torch.distributions.VonMises(direction, strength).log_prob(angle).sum(-1)
    # Torch evaluates I_0 by polynomials that are good to 2e-7 (Abramowitz and Stegun, 9.8.1 and 9.8.2).
    torch.testing.assert_close(VonMises(1).log_probability(s, field.flatten(1)), theirs, rtol=0, atol=7 * 2e-7)


@pytest.mark.usefixtures("double_precision")
def test_bernoulli_sums_the_binary_cross_entropy_over_sites() -> None:
    fields = 8 * normal(2, 5, 9)
    x = normal(2, 5, 9, seed=7).sign()
    expected = F.binary_cross_entropy_with_logits(fields, (x + 1) / 2, reduction="none").sum(-1)
    torch.testing.assert_close(-Bernoulli().log_probability(x, fields), expected)


def test_bernoulli_stays_finite_at_strong_fields() -> None:
    fields = torch.tensor([300.0, -300.0], requires_grad=True)
    nll = -Bernoulli().log_probability(torch.tensor([-1.0, -1.0]), fields)
    nll.backward()
    torch.testing.assert_close(nll.detach(), torch.tensor(300.0))
    torch.testing.assert_close(fields.grad, torch.tensor([1.0, 0.0]))


def test_bernoulli_samples_have_the_mean() -> None:
    """Five standard errors on each of 4 sites: 2e-6 false alarms."""
    draws = 20_000
    fields = torch.tensor([-1.0, 0.0, 0.5, 3.0]).expand(draws, 4)
    likelihood = Bernoulli()
    up = (likelihood.sample(fields, torch.Generator().manual_seed(3)) + 1) / 2
    probability = likelihood.mean(fields[0])
    error = (probability * (1 - probability) / draws).sqrt()
    assert ((up.mean(0) - probability).abs() < 5 * error).all()


def test_von_mises_has_a_gradient_without_a_field_and_is_finite_in_a_strong_one() -> None:
    field = torch.tensor([[0.0, 0.0], [500.0, 0.0]], requires_grad=True)
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    nll = -VonMises(1).log_probability(x, field)
    nll.sum().backward()
    assert torch.isfinite(nll).all()
    torch.testing.assert_close(field.grad[0], torch.tensor([-1.0, 0.0]))


def probabilities(counts: np.ndarray, expected: torch.Tensor) -> float:
    return float(chisquare(counts, DRAWS * expected.double().numpy() / expected.double().sum().item()).pvalue)


def test_multinomial_samples_follow_the_softmax() -> None:
    fields = torch.tensor([0.5, -1.0, 0.3, 0.0, 1.2, -0.4])  # 3 states of 2 sites
    likelihood = Multinomial(1, 3)
    drawn = likelihood.sample(fields.expand(DRAWS, 6), torch.Generator().manual_seed(1))
    assert torch.equal(drawn.unflatten(-1, (3, 2)).sum(-2), torch.ones(DRAWS, 2))
    counts = drawn.sum(0).view(3, 2).numpy()
    mean = likelihood.mean(fields).view(3, 2)
    wrong = likelihood.mean(1.1 * fields).view(3, 2)
    for site in range(2):
        assert probabilities(counts[:, site], mean[:, site]) > FALSE_ALARM
        # Negative control: fields that are a tenth stronger.
        assert probabilities(counts[:, site], wrong[:, site]) < FALSE_ALARM


@pytest.mark.parametrize(
    ("likelihood", "output"),
    [
        (Gaussian(1, 0.5), torch.tensor([0.5, -2.0])),
        (VonMises(1), torch.tensor([1.0, 0.2, -2.0, 0.0])),
        (LocalTemperature(Gaussian(1), 1), torch.tensor([0.5, -2.0, 0.3, 3.0])),
    ],
    ids=["gaussian", "von-mises", "local temperature"],
)
def test_samples_have_the_mean(likelihood: Any, output: torch.Tensor) -> None:
    """Six standard errors on at most four features: 1e-8 false alarms. Control: the mean of fields 10 % stronger."""
    drawn = likelihood.sample(output.expand(1, DRAWS, -1), torch.Generator().manual_seed(1))[0]
    mean = likelihood.mean(output.expand(1, 1, -1))[0, 0]
    error = drawn.std(0) / DRAWS**0.5
    assert ((drawn.mean(0) - mean).abs() < 6 * error).all()
    assert ((drawn.mean(0) - likelihood.mean(1.1 * output.expand(1, 1, -1))[0, 0]).abs() > 6 * error).any()


def test_local_temperatures_multiply_the_field_and_start_where_they_are_told() -> None:
    likelihood = LocalTemperature(Multinomial(2, 3), 2, start=0.12)
    output = normal(1, 5, likelihood.outputs.site * 4)
    beta, field = likelihood.branches(output)
    assert beta.shape == (1, 5, 2, 4) and field.shape == (1, 5, 24)
    by_site = field.view(1, 5, 2, 3, 4) * beta.unsqueeze(-2)
    torch.testing.assert_close(likelihood.product(output), by_site.flatten(-3))
    start = likelihood.branches(torch.zeros_like(output)).beta
    torch.testing.assert_close(start, torch.full_like(start, 0.12))
