"""Figures of the report: which ones the results of a run allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.figures.style import to_svg
from workflow.analyze.models import AnalyzedModel, best, comparison, groups, size_of_sweep
from workflow.analyze.part import Drawing
from workflow.analyze.parts import energies as energies_part
from workflow.analyze.registry import all_parts
from workflow.report import curves, energies, fields, latents, sweeps
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict.records import Record

PARTS = ("thermal", "readings", "fluctuations")
"""In which figures of parts stand; others follow."""


class PageFigure(NamedTuple):
    """One figure of the page."""

    name: str
    caption: str
    svg: str


def draw_all(
    run: RunDirectory, models: Sequence[AnalyzedModel], records: Sequence[Record], settings: AnalyzeBlock
) -> list[PageFigure]:
    """Every figure that the results of this run allow; also written to ``report/figures``."""
    page_figures = []
    for name, caption, figure in _figures(run, models, records, settings):
        svg = to_svg(figure)
        # A file of its own has no page to take its colours from.
        alone = svg.replace("<svg ", '<svg color="black" ', 1).replace('style="', 'style="background: white; ', 1)
        write_whole(run.figures / f"{name}.svg", alone)
        page_figures.append(PageFigure(name, caption, svg))
    return page_figures


def _figures(
    run: RunDirectory, models: Sequence[AnalyzedModel], records: Sequence[Record], settings: AnalyzeBlock
) -> Iterator[Drawing]:
    several = [model for model in models if not model.is_one_point]
    single = [model for model in models if model.is_one_point]
    for label, group in groups(several).items():
        yield from _group(run, group, records, label, settings)
    yield from fields.generated_by_point(run, single)
    for system in dict.fromkeys(model.plan.system for model in models):
        yield from energies.energies([model for model in models if model.plan.system == system])
    yield from curves.neighbours(run)


def _group(
    run: RunDirectory, models: list[AnalyzedModel], records: Sequence[Record], label: str, settings: AnalyzeBlock
) -> Iterator[Drawing]:
    """Models that differ in size, beta and seed alone."""
    size = size_of_sweep(models)
    of_size = [model for model in models if model.plan.size == size]
    good = best(models)
    yield from latents.latent_pictures(run, of_size, label)
    yield from fields.generated(run, of_size, label)
    yield from fields.local(run, comparison(of_size).models, label)
    # What a thermal decoder's latents are worth is no matter of lam, which counts spins as independent.
    if models[0].plan["likelihood"] != "thermal":
        if sweeps.is_sweep(of_size):
            yield from curves.collapse(of_size, records, label)
        yield from sweeps.over_sizes(models, records, label)
    if good[0].latents == 2:
        yield from fields.plane(run, good[0], label)
    yield from curves.learning(run, models, label)
    yield from _of_parts(run, models, label)
    has_energies = all(model.analysis[energies_part.PART] is not None for model in of_size)
    if sweeps.is_sweep(of_size) and has_energies:
        yield from energies.trade_off(of_size, records, label)
    if len({model.plan.size for model in models}) > 1:
        yield from curves.sizes(models, records, label, settings)


def _of_parts(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    for part in all_parts(PARTS):
        yield from part.figures(run, models, label)
