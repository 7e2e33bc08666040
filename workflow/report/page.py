"""The report stage: one self-contained page that opens from disk, light or dark, on screen or paper."""

from __future__ import annotations

import json
import os
import platform
from importlib import resources
from importlib.metadata import version

import jinja2

from simulators.sampling.certificate import FEWEST_SIGN_ERRORS
from workflow import __version__
from workflow.execution.stage import Execution, stage_work
from workflow.execution.stage_costs import costs
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.report import tables as report_tables
from workflow.report.details import (
    geometry_rows,
    ideal_rows,
    restart_rows,
    settling_rows,
    sign_rows,
    square_table,
    temperature_rows,
    temperature_summary,
)
from workflow.report.figures import draw_all
from workflow.report.fluctuations import fluctuation_table
from workflow.report.models import groups, load_analyzed
from workflow.report.sweeps import brackets
from workflow.report.verdict import headline, verdict_markdown, verdict_tables
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import Study
from workflow.terminal import duration
from workflow.train.restarts import best_restarts
from workflow.verdict.gates import COLLAPSED, HOT_ENERGIES
from workflow.verdict.judging import Record, shown

PACKAGES = ("ray", "torch", "numpy", "numba", "scipy", "pyarrow", "matplotlib")


def report(study: Study, run: RunDirectory, execution: Execution) -> None:
    """Write ``report/index.html`` and its figures from what the other stages left behind, in this process.

    Raises:
        OSError: a result is missing (run ``analyze`` first), or the page cannot be written.
    """
    if not run.summary.exists():
        raise FileNotFoundError(f"{run.summary} is missing: the analyze stage has not been carried out")
    with stage_work("report", run, execution, 1, "pages") as work:
        write_whole(run.page, _page(study, run))
        write_whole(run.markdown, verdict_markdown(json.loads(run.verdict.read_text())))
        work.advance(0.0)


def _page(study: Study, run: RunDirectory) -> str:
    records: list[Record] = json.loads(run.summary.read_text())
    verdicts = json.loads(run.verdict.read_text())
    plans, tasks = model_plans(study), shard_tasks(study)
    models = load_analyzed(run, best_restarts(plans, run), tasks)
    several = groups([model for model in models if not model.is_one_point])
    local = temperature_rows(models)
    return (
        _environment()
        .get_template("report.html")
        .render(
            study=study,
            source=run.study.read_text(),
            headline=headline(verdicts),
            collapsed=COLLAPSED[0].high,
            verdicts=verdict_tables(verdicts),
            pictures=draw_all(run, models, records, study.analyze),
            brackets=brackets(several, records),
            sizes=report_tables.size_tables(several, records),
            distances=report_tables.distance_tables(run, several),
            geometry=geometry_rows(models),
            squares=square_table(models),
            fluctuations=fluctuation_table(models),
            ideal=ideal_rows(models),
            heat=any(verdict["subject"] == HOT_ENERGIES for verdict in verdicts),
            temperatures=temperature_summary(local, models),
            local=local,
            settling=settling_rows(run, models),
            signs=sign_rows(models),
            fewest=f"{FEWEST_SIGN_ERRORS:g}",
            restarts=restart_rows(plans, run),
            models=report_tables.model_table(models, records) if models else None,
            certificates=report_tables.certificate_tables(run, tasks),
            costs=[cost for stage, cost in costs(run).items() if stage != "report"],
            versions={"latentphase": __version__} | {name: version(name) for name in PACKAGES},
            machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        )
    )


def _environment() -> jinja2.Environment:
    text = (resources.files("workflow.report") / "page.html").read_text()
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"report.html": text}), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": lambda pair: shown(*pair), "duration": duration}
    return environment
