"""Tables of trainings: restarts, and when the free energy of latent space settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from workflow.analyze.models import AnalyzedModel
from workflow.analyze.part import Section, Table
from workflow.dataset import inputs
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.train.metrics import free_energies, read_metrics
from workflow.train.restarts import best_restarts, quality

SETTLED = 0.1
"""Share of its largest distance from the end within which a quantity counts as settled."""


def restart_section(plans: Sequence[ModelPlan], run: RunDirectory) -> Section | None:
    """Every restart of every seed with what it is chosen by, the best one marked."""
    best = set(best_restarts(plans, run))
    counts = Counter(model.first for model in plans)
    rows = []
    for model in plans:
        if counts[model.first] > 1:
            restart = quality(model, run)
            rows.append(
                (
                    model.name,
                    inputs.words(model.network, model.input_name),
                    str(model.size),
                    str(model.beta).replace("lam", "λ"),
                    str(model.seed),
                    str(model.restart),
                    str(restart.active),
                    str(restart.rank),
                    f"{restart.loss:.3f}",
                    "✓" if model in best else "",
                )
            )
    rank = "rank of the means"
    heads = ("block", "network", "L", "β", "seed", "restart", "active units", rank, "loss / nat", "kept")
    note = "Chosen without labels: by active units and rank, then by loss. Only the one kept is analyzed."
    return Section("Restarts", Table(heads, rows, frozenset({rank})), note) if rows else None


def settling_section(run: RunDirectory, models: Sequence[AnalyzedModel]) -> Section | None:
    """From which epoch on free energy and encoder gap stay near their final values."""
    rows = []
    for model in models:
        epochs = read_metrics(run, model.plan.train_id)
        noted = free_energies(epochs)
        if len(epochs) < 2 or noted is None:
            continue
        free_energy_E, gap_E = noted
        settled = [_settled(values_E) for values_E in noted]
        rows.append(
            (
                model.plan.name,
                str(model.plan.size),
                f"{model.ratio:.3f}",
                str(model.plan.seed),
                str(len(epochs)),
                f"{free_energy_E[-1]:.3f}",
                f"{gap_E[-1]:.3f}",
                f"{gap_E.max():.3f}",
                *map(str, settled),
                "yes" if settled[1] < settled[0] else "no",
            )
        )
    heads = ("block", "L", "β / λ", "seed", "epochs", "free energy / nat", "gap / nat", *WIDE)
    return Section("Free energy of latent space", Table(heads, rows, frozenset(WIDE)), NOTE) if rows else None


WIDE = ("largest gap / nat", "free energy settled at epoch", "gap settled at epoch", "encoder first")
NOTE = Markup(
    "−β⟨ln Z<sub>x</sub>⟩ of Eq. 12 and what the encoder adds to it, after the last epoch. Settled: from there on "
    "within a tenth of the largest distance from the last value."
)


def _settled(values_E: NDArray[np.float64]) -> int:
    """First epoch from which the distance to the last value stays within ``SETTLED`` of the largest."""
    distance_E = np.abs(values_E - values_E[-1])
    beyond = np.flatnonzero(distance_E > SETTLED * distance_E.max())
    return int(beyond[-1]) + 2 if len(beyond) else 1
