"""How the phases of an order parameter, or classes, lie in latent space: edges, spokes, and dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from analysis.errors import index_chains
from analysis.latent_space import geometry
from analysis.latent_space.geometry import Geometry
from analysis.phases import DISORDERED
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel
from workflow.analyze.naming import written
from workflow.analyze.part import Number, Part, Quantity, Section, Table
from workflow.analyze.parts import information
from workflow.verdict.gates import COLLAPSED

SHAPES = {2: ("line", "triangle"), 3: ("plane", "tetrahedron")}
"""Flat, and all phases equally far apart, by the number of ordered phases."""
QUANTITIES = {
    "distance_ratio": "ratio",
    "unevenness": "unevenness",
    "dimension": "dimension",
    "thickness": "thickness",
}
"""Headline numbers, by the field that has each."""


def analyze(context: ModelContext) -> dict[str, Geometry]:
    """By order parameter with at least three phases, or ``classes``."""
    phases, samples, mean_SZ = context.phases, context.samples, context.mean_SZ
    results = {}
    for k in phases.orders:
        keep = geometry.among(phases, k)
        if len(np.unique(phases.label_S[keep])) > 2:
            order = samples.orders[k].name
            rows = samples.rows[keep]
            chains = index_chains(samples.labelled.chain[rows], samples.labelled.shard[rows])
            of_order = phases._replace(label_S=phases.label_S[keep])
            rng = context.generator(f"geometry-{order}")
            results[order] = geometry.geometry(mean_SZ[keep], of_order, chains, rng, context.resamples)
    if not samples.orders and len(phases.present) > 2:
        rng = context.generator("geometry")
        results["classes"] = geometry.geometry(mean_SZ, phases, samples.chains, rng, context.resamples)
    return results


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for order, result in (analysis[PART] or {}).items():
        for quantity, field in QUANTITIES.items():
            if (estimate := getattr(result, field)) is not None:
                yield f"{quantity}_{order}", estimate


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """A line per model and order parameter with at least three ordered phases."""
    rows: list[tuple[str, ...]] = []
    flat_ratio = 0.0
    for model in models:
        for result in (model.analysis[PART] or {}).values():
            ordered = len([name for name in result.phases if name != DISORDERED])
            if result.ratio is None or ordered < 3:
                continue
            flat_ratio = flat_ratio or sqrt(2 * ordered / (ordered - 1))
            rows.append(_row(model, result, ordered))
    if not rows:
        return None
    heads = (
        "block", "L", "latents", "active", "β / λ", "seed", "loss / nat", "shape", "edge", "spoke", "edge / spoke",
        WIDEST, "dimension", "thickness",
    )  # fmt: skip
    place = "in the plane" if flat_ratio > 1.7 else "flat"
    note = NOTE.format(ratio=f"{flat_ratio:.3f}", place=place)
    return Section("How the phases lie in latent space", Table(heads, rows, frozenset({WIDEST})), note)


def _row(model: AnalyzedModel, result: Geometry, ordered: int) -> tuple[str, ...]:
    flat, simplex = SHAPES.get(ordered, ("flat", "simplex"))
    shapes = {"flat": flat, "simplex": simplex, "between": f"between {flat} and {simplex}"}
    strongest = max(unit.value for unit in information.of(model.analysis).divergence)
    plan, training = model.plan, model.training
    return (
        plan.name,
        str(plan.size),
        str(model.latents),
        str(training.active_units),
        f"{model.ratio:.3f}",
        str(plan.seed),
        f"{training.loss:.2f}",
        shapes[result.shape] if strongest > COLLAPSED[0].high else "collapsed",
        *map(written, (result.ordered, result.disordered, result.ratio, result.unevenness)),
        *map(written, (result.dimension, result.thickness)),
    )


WIDEST = "longest / shortest edge"
NOTE = (
    "Edge: mean distance between two ordered phases; spoke: of the one without order from them. Edge / spoke is "
    "{ratio} with the latter at the centroid ({place}), 1 where all are equally far from each other. Thickness: least "
    "over largest spread of the centres, 0 flat, 1 for all equally far; exactly 0 where there are too few latents for "
    "more. Loss: Eq. 4 over the last epoch."
)

PART = Part(
    name="geometry",
    result=dict[str, Geometry],
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("distance_ratio_", "edge / spoke of", where="vectors"),
        Quantity("unevenness_", "longest / shortest edge of", where="vectors"),
        Quantity("dimension_", "dimension of", against_size=False),
        Quantity("thickness_", "thickness of", against_size=False),
    ),
    section=section,
)
