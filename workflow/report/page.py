"""The report stage: one self-contained page that opens from disk, light or dark, on screen or paper."""

from __future__ import annotations

import os
import platform
from importlib import resources
from importlib.metadata import version

import jinja2

from workflow import __version__
from workflow.analyze.models import groups
from workflow.analyze.results import read_models
from workflow.execution.stage import Execution, stage_work
from workflow.execution.stage_costs import costs_so_far
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.report.certificates import certificate_tables
from workflow.report.distances import distance_tables
from workflow.report.figures import draw_all
from workflow.report.sections import sections
from workflow.report.sweeps import brackets
from workflow.report.tables import model_table, size_tables
from workflow.report.verdict import headline, verdict_markdown, verdict_tables
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import Study
from workflow.terminal import duration
from workflow.train.restarts import best_restarts
from workflow.verdict.gates import COLLAPSED, HOT_ENERGIES
from workflow.verdict.judging import Verdict, read_verdicts
from workflow.verdict.records import read_records

PACKAGES = ("ray", "torch", "numpy", "numba", "scipy", "pyarrow", "matplotlib")


def report(study: Study, run: RunDirectory, execution: Execution) -> None:
    """Write ``report/index.html`` and its figures from what the other stages left behind.

    Raises:
        OSError: a result is missing (run ``analyze`` first), or the page cannot be written.
    """
    if not run.summary.exists():
        raise FileNotFoundError(f"{run.summary} is missing: the analyze stage has not been carried out")
    with stage_work("report", run, execution, 1, "pages") as work:
        verdicts = read_verdicts(run.verdict)
        write_whole(run.page, _page(study, run, verdicts))
        write_whole(run.markdown, verdict_markdown(verdicts))
        work.advance(0.0)


def _page(study: Study, run: RunDirectory, verdicts: list[Verdict]) -> str:
    records = read_records(run.summary)
    plans, tasks = model_plans(study), shard_tasks(study)
    models = read_models(run, best_restarts(plans, run), tasks)
    several = groups([model for model in models if not model.is_one_point])
    return (
        _environment()
        .get_template("page.html")
        .render(
            study=study,
            source=run.study.read_text(),
            headline=headline(verdicts),
            collapsed=COLLAPSED[0].high,
            verdicts=verdict_tables(verdicts),
            pictures=draw_all(run, models, records, study.analyze),
            brackets=brackets(several, records),
            sizes=size_tables(several, records),
            distances=distance_tables(run, several),
            heat=any(verdict.subject == HOT_ENERGIES for verdict in verdicts),
            sections=sections(run, models, plans),
            models=model_table(models, records) if models else None,
            certificates=certificate_tables(run, tasks),
            costs=[cost for stage, cost in costs_so_far(run).items() if stage != "report"],
            versions={"latentphase": __version__} | {name: version(name) for name in PACKAGES},
            machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        )
    )


def _environment() -> jinja2.Environment:
    text = (resources.files("workflow.report") / "page.html").read_text()
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page.html": text}), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"duration": duration}
    return environment
