"""Figures of the report: which ones the results of a run allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analysis.figures.style import to_svg
from workflow.report import curves as report_curves
from workflow.report import energies as report_energies
from workflow.report import fields as report_fields
from workflow.report import latents as report_latents
from workflow.report import sweeps as report_sweeps
from workflow.report.fluctuations import fluctuation_curves
from workflow.report.models import Analyzed, Drawing, best, compared, groups, size_of_sweep
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict.judging import Record


class Picture(NamedTuple):
    """One figure of the page."""

    name: str
    caption: str
    svg: str


def draw_all(
    run: RunDirectory, models: Sequence[Analyzed], records: Sequence[Record], settings: AnalyzeBlock
) -> list[Picture]:
    """Every figure that the results of this run allow; also written to ``report/figures``."""
    pictures = []
    for name, caption, figure in _figures(run, models, records, settings):
        svg = to_svg(figure)
        # A file of its own has no page to take its colours from.
        alone = svg.replace("<svg ", '<svg color="black" ', 1).replace('style="', 'style="background: white; ', 1)
        write_whole(run.figures / f"{name}.svg", alone)
        pictures.append(Picture(name, caption, svg))
    return pictures


def _figures(
    run: RunDirectory, models: Sequence[Analyzed], records: Sequence[Record], settings: AnalyzeBlock
) -> Drawing:
    several = [model for model in models if not model.is_one_point]
    single = [model for model in models if model.is_one_point]
    for label, mine in groups(several).items():
        yield from _group(run, mine, records, label, settings)
    yield from report_fields.generated_by_point(run, single)
    for system in dict.fromkeys(model.plan.system for model in models):
        yield from report_energies.energies([model for model in models if model.plan.system == system])
    yield from report_curves.neighbours(run, _systems(run))


def _group(
    run: RunDirectory, models: list[Analyzed], records: Sequence[Record], label: str, settings: AnalyzeBlock
) -> Drawing:
    """Models that differ in size, beta and seed alone."""
    size = size_of_sweep(models)
    of_size = [model for model in models if model.plan.size == size]
    good = best(models)
    yield from report_latents.latent_pictures(run, of_size, label)
    yield from report_fields.generated(run, of_size, label)
    yield from report_fields.local(run, compared(of_size).models, label)
    # What a thermal decoder's latents are worth is no matter of lam, which counts spins as independent.
    if models[0].plan["likelihood"] != "thermal":
        if report_sweeps.is_sweep(of_size):
            yield from report_curves.collapse(of_size, records, label)
        yield from report_sweeps.over_sizes(models, records, label)
    if good[0].latents == 2:
        yield from report_fields.plane(run, good[0], label)
    yield from report_curves.learning(run, models, label)
    yield from report_curves.thermal(good[0], label)
    yield from report_energies.readings(good[0], label)
    yield from fluctuation_curves(models, label)
    if report_sweeps.is_sweep(of_size) and all(model.content.get("energies") is not None for model in of_size):
        yield from report_energies.trade_off(of_size, records, label)
    if len({model.plan.size for model in models}) > 1:
        yield from report_curves.sizes(models, records, label, settings)


def _systems(run: RunDirectory) -> list[str]:
    return sorted({path.name.rpartition("-L=")[0] for path in run.analysis.glob("*-L=*.json")})
