"""How much each latent says of a sample: looked at first, since a collapsed network correlates and clusters, too."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.errors import Estimate
from analysis.latent_space.information import Information, information
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity


def analyze(context: ModelContext) -> Information:
    """Divergence of each unit, which units are active, and how well samples lie on two perpendicular lines."""
    rng = context.stream("information")
    posteriors = context.posteriors
    return information(posteriors.mean_SZ, posteriors.std_SZ, context.samples.chains, rng, context.resamples)


def units(context: ModelContext) -> list[int]:
    """Latents that correlations are made with: the active ones of more than two, as the others would match an order
    parameter by chance."""
    latents = context.mean_SZ.shape[1]
    result = context.result(PART)
    assert result is not None
    return list(result.active) if latents > 2 and result.active else list(range(latents))


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    result = of(analysis)
    for unit, estimate in enumerate(result.divergence):
        yield f"kl_{unit}", estimate
    yield "kl_strongest", max(result.divergence, key=lambda estimate: estimate.value)
    active = len(result.active)
    yield "active_units", Estimate(active, 0, analysis.held_out_samples, "units with more than 0.1 nat")
    if result.psi4 is not None:
        yield "psi4", result.psi4


def of(analysis: ModelAnalysis) -> Information:
    """The result, which every model has."""
    result = analysis[PART]
    assert result is not None
    return result


PART = Part(
    name="information",
    result=Information,
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("kl_", "KL of z", unit="nat"),
        Quantity("kl_strongest", "KL of the strongest unit", unit="nat", against_size=False),
        Quantity("active_units", "active units"),
    ),
)
