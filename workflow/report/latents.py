"""Figures of latent spaces: scatter plots, planes, cosines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.figures import latent_plane as figures
from analysis.figures import latent_spaces as latent_figures
from analysis.latent_space.similarity import cosine_matrix
from workflow.analyze.models import AnalyzedModel, Comparison, best, comparison, from_rule, one_per_beta
from workflow.analyze.naming import order_name
from workflow.analyze.part import Drawing
from workflow.analyze.parts import canonical, similarity
from workflow.analyze.scatter import read_scatter, shown_components
from workflow.storage.run_directory import RunDirectory

PICTURE = 160
"""Rows of a matrix of cosines, over all classes: more would be finer than the figure."""
REFERENCES: dict[tuple[str, str], str] = {
    ("latents", "ising"): " (the paper's Figs. 3 and 4)",
    ("latents", "multinomial"): " (the paper's Fig. 5)",
    ("latents", "mnist"): " (the paper's Fig. 6)",
    ("cosines", "multinomial"): " (the paper's Fig. 5 (d))",
    ("cosines", "mnist"): " (the paper's Fig. 6 (c))",
    ("generated", "ising"): " (Fig. 2)",
    ("generated", "mnist"): " (Fig. 6)",
    ("plane", "ising"): " (Fig. 4)",
    ("plane", "mnist"): " (Fig. 6)",
}
"""Figures of arXiv:2110.08082, by kind of figure and source of the data."""


def reference(kind: str, model: AnalyzedModel) -> str:
    """Which figure of the paper it is the counterpart of, in brackets; empty if none."""
    if model.plan["likelihood"] == "thermal":
        return ""
    if model.plan["model"] == "beta2-vae" and kind in ("generated", "local"):
        return " (the paper's Fig. 7)"
    return REFERENCES.get((kind, model.source), "")


def latent_pictures(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """What the latents of one group and size look like, however many there are."""
    first, size = models[0], models[0].plan.size
    if first.latents == 2:
        yield _scatter(run, comparison(models), label, size)
    elif 2 < first.latents <= latent_figures.MOST_LATENTS:
        yield _projections(run, _informative(models), label, size)
    classes = not first.analysis.order_parameters
    if first.analysis[similarity.PART] is not None and (classes or first.latents > 2):
        yield _cosines(run, one_per_beta(models), label, size)


def _informative(models: Sequence[AnalyzedModel]) -> list[AnalyzedModel]:
    """The seeds at the value of beta nearest to the rule, at most four: a row each."""
    return best(models)[:4]


def _scatter(run: RunDirectory, chosen: Comparison, label: str, size: int) -> Drawing:
    first = chosen.models[0]
    orders = shown_components(first)
    read = [read_scatter(run, model, orders) for model in chosen.models]
    panels = [
        figures.LatentPanel(title, part.mean_SZ, part.label_S, part.order_SK)
        for title, part in zip(chosen.titles, read, strict=True)
    ]
    by = "by phase" if first.analysis.order_parameters else "by class"
    if orders:
        is_vector = canonical.vectors(first.analysis)
        by += f", and by each {'component of the order parameter' if is_vector else 'order parameter'}"
    caption = (
        f"Latent means of held-out samples, {label}, L = {size}, {chosen.words}: {by}{reference('latents', first)}. "
        "Axes are the network's own."
    )
    names = [order_name(name) for name in orders]
    figure = figures.latent_scatter(panels, read[0].names, names, read[0].has_disorder)
    return Drawing(f"latents-{label}", caption, figure)


def _projections(run: RunDirectory, models: list[AnalyzedModel], label: str, size: int) -> Drawing:
    read = [read_scatter(run, model, ()) for model in models]
    panels = [
        figures.LatentPanel(f"seed {model.plan.seed}", part.mean_SZ, part.label_S, part.order_SK)
        for model, part in zip(models, read, strict=True)
    ]
    caption = (
        f"Latent means of held-out samples in every plane of two latents, {label}, L = {size}, "
        f"β = {models[0].beta}, a row per seed{reference('latents', models[0])}. A unit that carries nothing is a "
        "thin line at 0."
    )
    figure = latent_figures.latent_projections(panels, read[0].names, read[0].has_disorder)
    return Drawing(f"latents-{label}", caption, figure)


def _cosines(run: RunDirectory, models: list[AnalyzedModel], label: str, size: int) -> Drawing:
    """The values of beta that differ most, the one nearest to the rule among them."""
    results = [(model, result) for model in models if (result := model.analysis[similarity.PART]) is not None]
    nearest = min(range(len(results)), key=lambda index: from_rule(results[index][0]))
    panels = []
    for index in sorted({0, len(results) - 1, nearest}):
        model, result = results[index]
        part = read_scatter(run, model, ())
        # The picture of a model does not depend on which others are drawn.
        rng = np.random.default_rng(int(model.plan.train_id, 16))
        per_class = max(2, PICTURE // len(np.unique(part.label_S)))
        matrix = cosine_matrix(part.mean_SZ, part.label_S, per_class, rng)
        panels.append(latent_figures.SimilarityPanel(model.title, matrix, result.divergence))
    first = models[0]
    by = "phase" if first.physics.orders else "class"
    caption = (
        f"Cosines between the latent means of held-out samples, sorted by {by}, {label}, "
        f"L = {size}{reference('cosines', first)}. A cosine has no scale: where the KL above vanishes, the blocks say "
        "nothing about the data."
    )
    names = read_scatter(run, first, ()).names
    return Drawing(f"cosines-{label}", caption, latent_figures.cosine_matrices(panels, names))
