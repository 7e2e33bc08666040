"""A sweep over beta at several sizes: its figure, and between which values the latents collapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.figures import sweep as sweep_figures
from workflow.analyze.models import AnalyzedModel, by_quantity
from workflow.analyze.part import Drawing
from workflow.verdict.gates import COLLAPSED
from workflow.verdict.records import Record

PANELS = {
    "kl_strongest": "KL, strongest\nunit / nats",
    "active_units": "active units",
    "accuracy": "cluster\naccuracy",
}
SWEEP = 3
"""Fewer values of beta are no sweep."""


def is_sweep(models: Sequence[AnalyzedModel]) -> bool:
    return len({f"{model.ratio:.3g}" for model in models}) >= SWEEP


def swept_sizes(models: Sequence[AnalyzedModel]) -> list[int]:
    """Sizes with a sweep of their own."""
    sizes = sorted({model.plan.size for model in models})
    return [size for size in sizes if is_sweep([model for model in models if model.plan.size == size])]


def over_sizes(models: Sequence[AnalyzedModel], records: Sequence[Record], label: str) -> Iterator[Drawing]:
    """KL, active units and accuracy against beta / lam, a curve per size."""
    sizes = swept_sizes(models)
    if len(sizes) < 2:
        return
    numbers = {model.plan.train_id: by_quantity(records, model) for model in models}
    panels = {q: text for q, text in PANELS.items() if all(q in of_model for of_model in numbers.values())}
    drawn = []
    for size in sizes:
        of_size = sorted((model for model in models if model.plan.size == size), key=lambda model: model.ratio)
        values = {text: tuple(numbers[m.plan.train_id][q].value for m in of_size) for q, text in panels.items()}
        drawn.append(sweep_figures.SweepCurve(size, tuple(model.ratio for model in of_size), values))
    caption = (
        f"The sweep over β at every size, {label}: all seeds, lines through their means. If λ is the scale of β, the "
        "sizes fall on one curve that ends at 1. Accuracy has no scale: where KL vanishes it says nothing."
    )
    yield Drawing(f"sweep-{label}", caption, sweep_figures.sweep(drawn))


class Bracket(NamedTuple):
    """Between which values of beta / lam the latents of one group and size collapse."""

    name: str
    size: int
    lam: float
    betas: int
    """How many values there are."""
    seeds: int
    alive: str
    """The largest with all seeds alive."""
    dead: str
    """The smallest with all seeds collapsed."""


def brackets(named: dict[str, list[AnalyzedModel]], records: Sequence[Record]) -> list[Bracket]:
    """Per group and size, the values of beta / lam between which the latents of all seeds collapse."""
    return [
        _bracket(label, size, [model for model in models if model.plan.size == size], records)
        for label, models in named.items()
        if models[0].plan["likelihood"] != "thermal"
        for size in swept_sizes(models)
    ]


def _bracket(label: str, size: int, models: Sequence[AnalyzedModel], records: Sequence[Record]) -> Bracket:
    least = COLLAPSED[0].high
    strongest: dict[float, list[float]] = {}
    for model in models:
        kl = by_quantity(records, model)["kl_strongest"].value
        strongest.setdefault(round(model.ratio, 9), []).append(kl)
    alive = [ratio for ratio, values in strongest.items() if min(values) > least]
    dead = [ratio for ratio, values in strongest.items() if max(values) <= least]
    return Bracket(
        name=label,
        size=size,
        lam=models[0].training.top_eigenvalue,
        betas=len(strongest),
        seeds=len({model.plan.seed for model in models}),
        alive=f"{max(alive):.3g}" if alive else "none",
        dead=f"{min(dead):.3g}" if dead else "none",
    )
