"""The idealized objective of a study's own phases: what arrangement of latents a perfect decoder would prefer.

Axes: S samples, A phases, C channels, Q states, G sites of the unit cell, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.encodings import features
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel
from workflow.analyze.part import Part, Section, Table
from workflow.dataset.reading import configurations, read_for

CELL = 2
"""Side of the unit cell whose sites may differ in a phase: the sublattices of a staggered order."""
MOST_CLASSES = 12


class RankArrangement(NamedTuple):
    """The best arrangement of one number of directions."""

    rank: int
    """Directions in use."""
    found: int
    """Random starts that ended with so many. Its name is a key of results on disk, so it stays."""
    loss: float
    """In nats."""
    kl: tuple[float, ...]
    """Of each unit, in nats."""
    centres: NDArray[np.float64]
    """(A, Z) of the phases."""


class Arrangements(NamedTuple):
    """What a perfect decoder would prefer, lowest loss first."""

    restarts: int
    arrangements: list[RankArrangement]


def analyze(context: ModelContext) -> Arrangements | None:
    """Best arrangement of every rank, and how often each was found, for the phases of the samples.

    None for variables without states, for more than ``MOST_CLASSES`` phases, and unless the study asks for it.
    """
    from models.latent_space.ideal import arrangements

    phases, model, variable = context.phases, context.model, context.samples.physics.variable
    if not context.is_first_seed or variable.kind not in ("spins", "states"):
        return None
    if not 1 < len(phases.present) <= MOST_CLASSES:
        return None
    mean_AGQ, sites = _class_means(context)
    weights = np.bincount(phases.label_S, minlength=len(phases.names))[list(phases.present)] / len(phases.label_S)
    best = arrangements(
        mean_AGQ,
        weights.tolist(),
        [sites] * mean_AGQ.shape[1],
        context.training_result.beta,
        model["latent"],
        context.seed,
        posterior=model["posterior"],
    )
    by_rank: dict[int, list[Any]] = {}
    for arrangement in best:
        by_rank.setdefault(arrangement.rank, []).append(arrangement)
    listed = [
        RankArrangement(rank, len(group), group[0].loss, group[0].kl, group[0].centres)
        for rank, group in by_rank.items()
    ]
    return Arrangements(len(best), sorted(listed, key=lambda arrangement: arrangement.loss))


def _class_means(context: ModelContext) -> tuple[NDArray[np.float64], float]:
    """Probability of each state on each site of the unit cell, for every phase present; sites of each group."""
    samples, phases, model = context.samples, context.phases, context.model
    variable, labelled = samples.physics.variable, samples.labelled
    shard_S = labelled.shard[samples.rows]
    sums: list[Any] = [0.0] * len(phases.names)
    counts = np.zeros(len(phases.names))
    sites = 0.0
    for shard in np.unique(shard_S):
        path = context.run.shard_file(model.system, int(labelled.points[shard]["size"]), labelled.task_ids[shard])
        x_SCHW = configurations(read_for(path, model.input_name), model.input_name)
        of_shard = shard_S == shard
        chosen = x_SCHW[samples.rows[of_shard] - labelled.first(shard)]
        x_SCQHW = features(chosen, variable).reshape(len(chosen), chosen.shape[1], -1, *chosen.shape[2:])
        cell = CELL if chosen.shape[2] % CELL == chosen.shape[3] % CELL == 0 else 1
        sites = chosen.shape[2] * chosen.shape[3] / cell**2
        in_cells = x_SCQHW.reshape(*x_SCQHW.shape[:3], chosen.shape[2] // cell, cell, chosen.shape[3] // cell, cell)
        mean_SGQ = in_cells.mean(axis=(3, 5)).transpose(0, 1, 3, 4, 2).reshape(len(chosen), -1, x_SCQHW.shape[2])
        for phase in phases.present:
            inside = phases.label_S[of_shard] == phase
            sums[phase] = sums[phase] + mean_SGQ[inside].sum(axis=0)
            counts[phase] += inside.sum()
    mean_AGQ = np.stack([sums[phase] / counts[phase] for phase in phases.present])
    if variable.kind == "spins":
        mean_AGQ = np.concatenate([(1 - mean_AGQ) / 2, (1 + mean_AGQ) / 2], axis=-1)
    return mean_AGQ, sites


def section(models: Sequence[AnalyzedModel]) -> Section | None:
    """Arrangements of latents that the idealized objective was found to prefer, lowest loss first."""
    rows = [
        (
            model.plan.name,
            str(model.plan.size),
            str(model.latents),
            f"{model.ratio:.3f}",
            str(arrangement.rank),
            f"{arrangement.found} of {result.restarts}",
            f"{arrangement.loss:.2f}",
            ", ".join(f"{kl:.2f}" for kl in arrangement.kl),
        )
        for model in models
        if (result := model.analysis[PART]) is not None
        for arrangement in result.arrangements
    ]
    heads = ("block", "L", "latents", "β / λ", "directions in use", "found in", "loss / nat", "KL per unit / nat")
    return Section("What a perfect decoder would prefer", Table(heads, rows), NOTE) if rows else None


NOTE = (
    "The objective with the phases of the data as clusters of any place and width and the decoder that is best for "
    "them: the best arrangement of each number of directions, lowest loss first, and how many random starts ended with "
    "that number."
)

PART = Part(name="ideal", result=Arrangements, analyze=analyze, section=section)
