"""Reconstruction loss of held-out samples: minus the log-likelihood, summed over sites, at the posterior's mean."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.errors import Estimate, bootstrap
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import separation


def analyze(context: ModelContext) -> Estimate:
    """The mean over samples, in nats."""
    rng = context.stream("reconstruction", after=separation.PART)
    loss_S = context.posteriors.loss_S
    return bootstrap(lambda mean: mean, loss_S[:, None], context.samples.chains, rng, context.resamples)[0]


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    if (loss := analysis[PART]) is not None:
        yield "reconstruction", loss


PART = Part(
    name="reconstruction",
    result=Estimate,
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("reconstruction", "reconstruction loss", unit="nat", against_size=False),),
)
