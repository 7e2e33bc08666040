"""How well the latents are a vector that turns, after the best rotation: a continuous symmetry prefers no axes."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.latent_space.canonical import AlignedCorrelation, align
from analysis.orders import split
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import information


def analyze(context: ModelContext) -> dict[str, AlignedCorrelation]:
    """By order parameter, of those whose components can be turned."""
    samples, units = context.samples, information.units(context)
    parts = split(samples.order_SK, samples.orders)
    results = {}
    for k in context.phases.orders:
        order = samples.orders[k]
        if order.kind in ("continuous", "angles"):
            rng = context.generator(f"aligned-{order.name}")
            results[order.name] = align(context.mean_SZ[:, units], parts[k], samples.thermal, rng, context.resamples)
    return results


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for order, result in (analysis[PART] or {}).items():
        yield f"aligned_{order}", result.worst


PART = Part(
    name="aligned",
    result=dict[str, AlignedCorrelation],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("aligned_", "|corr| after rotation with", column="|corr| aligned"),),
)
