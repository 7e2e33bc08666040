"""Local temperatures of a beta^2-VAE's decoder at every parameter point. Only their product with the fields is fixed by
the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from analysis.errors import Estimate, bootstrap
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import subset
from workflow.analyze.models import AnalyzedModel
from workflow.analyze.naming import point_label, written
from workflow.analyze.part import Number, Part, Quantity, Section, Table
from workflow.analyze.parts import energies
from workflow.storage.typed_json import Parameters


class PointTemperature(NamedTuple):
    """Means over sites and samples of one parameter point; logits, so in units of the temperature."""

    point: Parameters
    beta: Estimate
    """beta_k: a sigmoid, so between 0 and 1, which is its gauge."""
    field: Estimate
    """|h_k|."""
    product: Estimate
    """|beta_k h_k|."""

    @property
    def numbers(self) -> tuple[Estimate, Estimate, Estimate]:
        return self.beta, self.field, self.product


def analyze(context: ModelContext) -> list[PointTemperature] | None:
    """None without that branch of the decoder."""
    from models import inference

    rng = context.stream("local_temperatures", after=energies.PART)
    if context.network.config.model != "beta2-vae":
        return None
    beta, field, product = inference.local_temperatures(context.network, context.mean_SZ)
    means = (part.reshape(len(part), -1).mean(axis=1) for part in (beta, np.abs(field), np.abs(product)))
    value_SV = np.stack(list(means), axis=1)
    samples = context.samples
    shard_S = samples.labelled.shard[samples.rows]
    results = []
    for shard in np.unique(shard_S):
        of_point = subset(samples, shard_S == shard)
        value_PV = value_SV[shard_S == shard].astype(float)
        estimates = bootstrap(lambda mean: mean, value_PV, of_point.chains, rng, context.resamples)
        results.append(PointTemperature(of_point.labelled.points[int(shard)], *estimates))
    return results


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for local in analysis[PART] or []:
        label = point_label(local.point)
        for name, estimate in zip(("beta", "field", "product"), local.numbers, strict=True):
            yield f"local_{name}_{label}", estimate


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """By block and point: mean over seeds, lowest and highest; on request every seed."""
    lines: list[tuple[str, ...]] = []
    values: dict[tuple[str, ...], list[list[float]]] = {}
    for model in models:
        plan = model.plan
        for local in model.analysis[PART] or []:
            point = point_label(local.point).replace("=", " = ").replace("_", ", ")
            head = (plan.name, str(plan.size), f"{model.training.beta:.4g}", str(plan["local_beta"]), point)
            lines.append((*head, str(plan.seed), *map(written, local.numbers)))
            values.setdefault(head, []).append([estimate.value for estimate in local.numbers])
    if not lines:
        return None
    rows = [(*head, str(len(of_seeds)), *map(_spread, np.array(of_seeds).T)) for head, of_seeds in values.items()]
    heads = ("block", "L", "β", Markup("initial β<sub>k</sub>"), "point")
    symbols = tuple(map(Markup, ("β<sub>k</sub>", "|h<sub>k</sub>|", "|β<sub>k</sub> h<sub>k</sub>|")))
    table, every_seed = Table((*heads, "seeds", *symbols), rows), Table((*heads, "seed", *symbols), lines)
    return Section("Local temperatures", table, NOTE, every_seed)


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.3g} ({values.min():.3g} to {values.max():.3g})"


NOTE = Markup(
    "Means over sites and held-out samples; over seeds, with the lowest and highest. Only the product β<sub>k</sub> "
    "h<sub>k</sub> is fixed by the data. The gauge of β<sub>k</sub>: it is a sigmoid, between 0 and 1, so how the "
    "product is split depends on where training started and how it went; β<sub>k</sub> is no temperature."
)

PART = Part(
    name="local_temperatures",
    result=list[PointTemperature],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("local_", "local", against_size=False),),
    section=section,
)
