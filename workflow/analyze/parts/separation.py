"""Whether phases can be told apart by their latents: accuracy of the nearest centre."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.latent_space.separation import Separation, separation
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import correlation


def analyze(context: ModelContext) -> Separation | None:
    """None of a single phase."""
    rng = context.stream("separation", after=correlation.PART)
    if len(context.phases.present) < 2:
        return None
    return separation(context.mean_SZ, context.phases, context.samples.chains, rng, context.resamples)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    if (separated := analysis[PART]) is not None:
        yield "accuracy", separated.accuracy


PART = Part(
    name="separation",
    result=Separation,
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("accuracy", "accuracy", column="accuracy"),),
)
