"""Ratio of the distance between the two phases of an order parameter to that from the disordered phase: 2 on a line."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.errors import Estimate
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import isometries
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import reconstruction


def analyze(context: ModelContext) -> dict[str, Estimate]:
    """By order parameter, of those that change sign and have all three phases."""
    rng = context.stream("isometry", after=reconstruction.PART)
    return isometries(context.phase_sums, context.phases, context.samples.orders, rng, context.resamples)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for order, ratio in (analysis[PART] or {}).items():
        yield f"isometry_{order}", ratio


PART = Part(
    name="isometry",
    result=dict[str, Estimate],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("isometry_", "isometry ratio of", column="isometry"),),
)
