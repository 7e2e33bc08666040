"""The average sign of the weights at every parameter point: what thermal averages there are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from analysis.errors import Estimate, bootstrap
from simulators.sampling.certificate import FEWEST_SIGN_ERRORS
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import subset
from workflow.analyze.models import AnalyzedModel
from workflow.analyze.naming import point_numbers
from workflow.analyze.part import Number, Part, Section, Table
from workflow.storage.typed_json import Parameters
from workflow.verdict.judging import value_text


class PointSign(NamedTuple):
    """Of one parameter point."""

    point: Parameters
    average: Estimate

    @property
    def errors(self) -> float:
        """The average in units of its error."""
        return abs(self.average.value) / self.average.error if self.average.error else inf


def analyze(context: ModelContext) -> list[PointSign] | None:
    """None where all weights are positive."""
    rng, samples = context.generator("sign"), context.samples
    sign = samples.labelled.sign
    if sign is None:
        return None
    sign_S, shard_S = sign[samples.rows], samples.labelled.shard[samples.rows]
    averages = []
    for shard in np.unique(shard_S):
        of_point = subset(samples, shard_S == shard)
        (average,) = bootstrap(
            lambda mean: mean, sign_S[shard_S == shard, None], of_point.chains, rng, context.resamples
        )
        averages.append(PointSign(of_point.labelled.points[int(shard)], average))
    return averages


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    """Of the point whose averages are worth least."""
    if averages := analysis[PART]:
        worst = min(averages, key=lambda point: abs(point.average.value) / (point.average.error or 1))
        yield "average_sign", worst.average


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """A line per parameter point: the same for all models that hold out its chains."""
    rows: dict[tuple[str, int, float, str], tuple[str, ...]] = {}
    is_lost = False
    for model in models:
        plan = model.plan
        for point in model.analysis[PART] or []:
            lost = point.errors < FEWEST_SIGN_ERRORS
            is_lost = is_lost or lost
            rows[plan.system, plan.size, plan["held_out"], str(point.point)] = (
                plan.system,
                str(plan.size),
                point_numbers(point.point),
                value_text(point.average.value, point.average.error),
                f"{point.errors:.3g}{' ✗' if lost else ''}",
            )
    if not rows:
        return None
    table = Table(("system", "L", "point", "⟨sign⟩, held out", "in errors"), list(rows.values()))
    note = NOTE + (
        f" ✗: below {FEWEST_SIGN_ERRORS:g} errors, averages with this point mean nothing." if is_lost else ""
    )
    return Section("Average signs", table, note)


NOTE = (
    "Correlations, curves and what is ordered are thermal averages, ⟨x sign⟩ / ⟨sign⟩; training, KL, clusters and "
    "distances take configurations as often as |weight| says."
)

PART = Part(name="sign", result=list[PointSign], analyze=analyze, numbers=numbers, section=section)
