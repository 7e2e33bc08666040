"""The report stage: one self-contained page that opens from disk, light or dark, on screen or paper."""

from __future__ import annotations

import json
import os
import platform
from importlib import resources
from importlib.metadata import version

import jinja2

from workflow import __version__, report_tables
from workflow.blocks import Study
from workflow.executors import Executor
from workflow.folder import costs, timed
from workflow.layout import RunDirectory, write_whole
from workflow.plan import shard_tasks, training_runs
from workflow.progress import Progress, duration
from workflow.report_figures import draw_all, load_analyzed
from workflow.restarts import kept
from workflow.summary import COLLAPSED, Record, gates_of, shown

PACKAGES = ("ray", "torch", "numpy", "numba", "scipy", "pyarrow", "matplotlib")


def report(study: Study, run: RunDirectory, executor: Executor, quiet: bool = False) -> None:
    """Write ``report/index.html`` and its figures from what the other stages left behind.

    Raises:
        OSError: a result is missing (run ``analyze`` first), or the page cannot be written.
    """
    del executor  # Drawn in the driver: the results are small and on disk.
    if not run.summary.exists():
        raise FileNotFoundError(f"{run.summary} is missing: the analyze stage has not been carried out")
    with timed(run, "report") as cost, Progress("report", 1, "pages", quiet) as progress:
        write_whole(run.page, _page(study, run))
        gates = gates_of(study.analyze.cluster_accuracy)
        write_whole(run.markdown, report_tables.verdict_markdown(json.loads(run.verdict.read_text()), gates))
        cost["done"] = 1
        progress.advance(1)


def _page(study: Study, run: RunDirectory) -> str:
    records: list[Record] = json.loads(run.summary.read_text())
    verdicts = json.loads(run.verdict.read_text())
    models = load_analyzed(run, kept(training_runs(study), run))
    first = models[0].content if models else {"order_parameters": [], "generated": None}
    return (
        _environment()
        .get_template("report.html")
        .render(
            study=study,
            source=run.study.read_text(),
            headline=report_tables.headline(verdicts),
            gates=gates_of(study.analyze.cluster_accuracy),
            collapsed=COLLAPSED[0].high,
            verdicts=[report_tables.verdict_row(verdict) for verdict in verdicts],
            pictures=draw_all(run, models, records),
            sizes=report_tables.size_table(models, records) if models else {},
            distances=report_tables.distance_table(run, models) if models else {},
            models=[report_tables.model_row(model.content, records) for model in models],
            heads=list(report_tables.COLUMNS.values()),
            orders=[report_tables.words(name) for name in first["order_parameters"]],
            shares=[report_tables.words(share["phase"]) for share in first["generated"] or []],
            certificates=report_tables.certificate_tables(run, shard_tasks(study)),
            costs=[cost for stage, cost in costs(run).items() if stage != "report"],
            versions={"latentphase": __version__} | {name: version(name) for name in PACKAGES},
            machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        )
    )


def _environment() -> jinja2.Environment:
    text = (resources.files("workflow") / "report.html").read_text()
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"report.html": text}), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": lambda pair: shown(*pair), "duration": duration}
    return environment
