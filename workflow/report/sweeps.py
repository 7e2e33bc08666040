"""A sweep over beta at several sizes: its figure, and between which values the latents collapse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.figures import sweep as sweep_figures
from workflow.report.models import Analyzed, Drawing, by_quantity
from workflow.verdict.gates import COLLAPSED
from workflow.verdict.judging import Record

PANELS = {
    "kl_strongest": "KL, strongest\nunit / nats",
    "active_units": "active units",
    "accuracy": "cluster\naccuracy",
}
SWEEP = 3
"""Fewer values of beta are no sweep."""


def is_sweep(models: Sequence[Analyzed]) -> bool:
    return len({f"{model.ratio:.3g}" for model in models}) >= SWEEP


def swept_sizes(models: Sequence[Analyzed]) -> list[int]:
    """Sizes with a sweep of their own."""
    sizes = sorted({model.plan.size for model in models})
    return [size for size in sizes if is_sweep([model for model in models if model.plan.size == size])]


def over_sizes(models: Sequence[Analyzed], records: Sequence[Record], label: str) -> Drawing:
    """KL, active units and accuracy against beta / lam, a curve per size."""
    sizes = swept_sizes(models)
    if len(sizes) < 2:
        return
    found = {model.plan.train_id: by_quantity(records, model) for model in models}
    shown = {q: text for q, text in PANELS.items() if all(q in values for values in found.values())}
    drawn = []
    for size in sizes:
        mine = sorted((model for model in models if model.plan.size == size), key=lambda model: model.ratio)
        values = {text: tuple(found[m.plan.train_id][q].value for m in mine) for q, text in shown.items()}
        drawn.append(sweep_figures.SweepCurve(size, tuple(model.ratio for model in mine), values))
    caption = (
        f"The sweep over β at every size, {label}: all seeds, lines through their means. If λ is the scale of β, the "
        "sizes fall on one curve that ends at 1. Accuracy has no scale: where KL vanishes it says nothing."
    )
    yield f"sweep-{label}", caption, sweep_figures.sweep(drawn)


def brackets(named: dict[str, list[Analyzed]], records: Sequence[Record]) -> list[dict[str, Any]]:
    """Per group and size, the values of beta / lam between which the latents of all seeds collapse."""
    least = COLLAPSED[0].high
    rows = []
    for label, models in named.items():
        if models[0].plan["likelihood"] == "thermal":
            continue
        for size in swept_sizes(models):
            mine = [model for model in models if model.plan.size == size]
            strongest: dict[float, list[float]] = {}
            for model in mine:
                found = by_quantity(records, model)["kl_strongest"].value
                strongest.setdefault(round(model.ratio, 9), []).append(found)
            alive = [ratio for ratio, values in strongest.items() if min(values) > least]
            dead = [ratio for ratio, values in strongest.items() if max(values) <= least]
            rows.append(
                {
                    "name": label,
                    "size": size,
                    "lam": mine[0].result["top_eigenvalue"],
                    "alive": f"{max(alive):.3g}" if alive else "none",
                    "dead": f"{min(dead):.3g}" if dead else "none",
                    "betas": len(strongest),
                    "seeds": len({model.plan.seed for model in mine}),
                }
            )
    return rows
