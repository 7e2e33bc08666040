"""The idealized objective of a study's own phases: what arrangement of latents a perfect decoder would prefer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.encodings import features
from analysis.phases import Phases
from workflow.analyze.held_out import Samples
from workflow.dataset.reading import configurations, read_for
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory

CELL = 2
"""Side of the unit cell whose sites may differ in a phase: the sublattices of a staggered order."""
MOST_CLASSES = 12


def ideal(
    run: RunDirectory, model: ModelPlan, samples: Samples, found: Phases, beta: float, seed: int
) -> dict[str, Any] | None:
    """Best arrangement of every rank, and how often each was found, for the phases of these samples.

    None for variables without states, and for more than ``MOST_CLASSES`` phases.
    """
    from models.latent_space.ideal import arrangements

    variable = samples.physics.variable
    if variable.kind not in ("spins", "states") or not 1 < len(found.present) <= MOST_CLASSES:
        return None
    mean_AGQ, sites = _class_means(run, model, samples, found)
    weights = np.bincount(found.label_S, minlength=len(found.names))[list(found.present)] / len(found.label_S)
    best = arrangements(
        mean_AGQ,
        weights.tolist(),
        [sites] * mean_AGQ.shape[1],
        beta,
        model["latent"],
        seed,
        posterior=model["posterior"],
    )
    by_rank: dict[int, list[Any]] = {}
    for one in best:
        by_rank.setdefault(one.rank, []).append(one)
    return {
        "restarts": len(best),
        "arrangements": [
            {"rank": rank, "found": len(group), "loss": group[0].loss, "kl": group[0].kl, "centres": group[0].centres}
            for rank, group in sorted(by_rank.items(), key=lambda entry: entry[1][0].loss)
        ],
    }


def _class_means(
    run: RunDirectory, model: ModelPlan, samples: Samples, found: Phases
) -> tuple[NDArray[np.float64], float]:
    """Probability of each state on each site of the unit cell, for every phase present; sites of each group."""
    variable, labelled = samples.physics.variable, samples.labelled
    points = labelled.shard[samples.rows]
    sums: list[Any] = [0.0] * len(found.names)
    counts = np.zeros(len(found.names))
    sites = 0.0
    for point in np.unique(points):
        path = run.shard(model.system, int(labelled.points[point]["size"]), labelled.task_ids[point])
        configuration = configurations(read_for(path, model.given_as), model.given_as)
        first = labelled.first(point)
        of_point = points == point
        chosen = configuration[samples.rows[of_point] - first]
        x_SCQHW = features(chosen, variable).reshape(len(chosen), chosen.shape[1], -1, *chosen.shape[2:])
        cell = CELL if chosen.shape[2] % CELL == chosen.shape[3] % CELL == 0 else 1
        sites = chosen.shape[2] * chosen.shape[3] / cell**2
        in_cells = x_SCQHW.reshape(*x_SCQHW.shape[:3], chosen.shape[2] // cell, cell, chosen.shape[3] // cell, cell)
        mean_SGQ = in_cells.mean(axis=(3, 5)).transpose(0, 1, 3, 4, 2).reshape(len(chosen), -1, x_SCQHW.shape[2])
        for phase in found.present:
            inside = found.label_S[of_point] == phase
            sums[phase] = sums[phase] + mean_SGQ[inside].sum(axis=0)
            counts[phase] += inside.sum()
    mean_AGQ = np.stack([sums[phase] / counts[phase] for phase in found.present])
    if variable.kind == "spins":
        mean_AGQ = np.concatenate([(1 - mean_AGQ) / 2, (1 + mean_AGQ) / 2], axis=-1)
    return mean_AGQ, sites
