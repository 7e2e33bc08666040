"""How much of each order parameter the latents hold together, whatever their axes: canonical correlations."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.latent_space.canonical import Canonical, canonical
from analysis.orders import split
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import information


def analyze(context: ModelContext) -> dict[str, Canonical]:
    """By order parameter, of those that order some sample."""
    samples, units = context.samples, information.units(context)
    parts = split(samples.order_SK, samples.orders)
    results = {}
    for k in context.phases.orders:
        order = samples.orders[k].name
        rng = context.generator(f"canonical-{order}")
        results[order] = canonical(context.mean_SZ[:, units], parts[k], samples.thermal, rng, context.resamples)
    return results


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for order, result in (analysis[PART] or {}).items():
        yield f"canonical_{order}", result.smallest


def ordered(analysis: ModelAnalysis) -> list[str]:
    """Names of the order parameters that order some sample."""
    return list(analysis[PART] or {})


def vectors(analysis: ModelAnalysis) -> list[str]:
    """Those of several components."""
    return [name for name in ordered(analysis) if len(analysis.components(name)) > 1]


PART = Part(
    name="canonical",
    result=dict[str, Canonical],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("canonical_", "canonical corr² with", column="canonical corr²", where="vectors"),),
)
