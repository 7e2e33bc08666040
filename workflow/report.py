"""The report stage: one self-contained page that opens from disk, light or dark, on screen or paper."""

from __future__ import annotations

import json
import os
import platform
from importlib import resources
from importlib.metadata import version
from typing import Any

import jinja2

from analysis.phases import DISORDERED
from simulators import contract, exact
from workflow import __version__, shards
from workflow.blocks import Study
from workflow.executors import Executor
from workflow.folder import costs, timed
from workflow.layout import RunDirectory, write_whole
from workflow.plan import SimulationTask, simulation_tasks, training_runs
from workflow.progress import Progress, duration
from workflow.report_figures import PHASE_NAMES, draw_all, load_analyzed
from workflow.summary import Record, shown

PACKAGES = ("ray", "torch", "numpy", "numba", "scipy", "pyarrow", "matplotlib")


def report(study: Study, run: RunDirectory, executor: Executor, quiet: bool = False) -> None:
    """Write ``report/index.html`` and its figures from what the other stages left behind.

    Raises:
        OSError: a result is missing (run ``analyze`` first), or the page cannot be written.
    """
    del executor  # Drawn in the driver: the results are small and on disk.
    if not run.summary.exists():
        raise FileNotFoundError(f"{run.summary} is missing: the analyze stage has not been carried out")
    runs = training_runs(study)
    with timed(run, "report") as cost, Progress("report", 1, "pages", quiet) as progress:
        records: list[Record] = json.loads(run.summary.read_text())
        models = load_analyzed(run, runs)
        pictures = draw_all(run, models, records)
        page = (
            _environment()
            .get_template("report.html")
            .render(
                study=study,
                source=run.study.read_text(),
                verdicts=json.loads(run.verdict.read_text()),
                pictures=pictures,
                models=[_row(model.content, records) for model in models],
                certificates=_certificates(run, simulation_tasks(study)),
                costs=[c for stage, c in costs(run).items() if stage != "report"],
                versions={"latentphase": __version__} | {name: version(name) for name in PACKAGES},
                heads=list(COLUMNS.values()),
                orders=[_words(name) for name in models[0].content["order_parameters"]] if models else [],
                shares=[_words(share["phase"]) for share in models[0].content["generated"] or []] if models else [],
                machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            )
        )
        write_whole(run.page, page)
        cost["done"] = 1
        progress.advance(1)


def _environment() -> jinja2.Environment:
    text = (resources.files("workflow") / "report.html").read_text()
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"report.html": text}), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": lambda pair: shown(*pair), "duration": duration}
    return environment


COLUMNS = {
    "kl_0": "KL z1",
    "kl_1": "KL z2",
    "correlation": "|corr| own axis",
    "cross_correlation": "across",
    "angle": "angle",
    "rotated_correlation": "|corr| rotated",
    "accuracy": "accuracy",
    "isometry": "isometry",
    "generated": "generated",
}
"""Columns of the table of models; a name without its order parameter stands for all of them."""


def _row(content: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    """One line of the table of models."""
    result = content["result"]
    mine = {r["quantity"]: (r["estimate"], r["error"]) for r in records if r.get("train_id") == result["train_id"]}
    cells = []
    for column in COLUMNS:
        if column == "generated":
            shares = [mine[q][0] for q in mine if q.startswith("generated_")]
            cells.append(" / ".join(f"{share:.2f}" for share in shares))
            continue
        found = [mine[q] for q in mine if q == column or q.startswith(f"{column}_")]
        cells.append(", ".join(shown(*pair) for pair in found))
    return {
        "name": result["name"],
        "network": result["model"]["network"],
        "size": result["size"],
        "beta": result["beta"],
        "ratio": result["beta"] / result["top_eigenvalue"],
        "seed": result["seed"],
        "rate": result["samples_per_second"],
        "cells": cells,
    }


def _certificates(run: RunDirectory, tasks: tuple[SimulationTask, ...]) -> list[dict[str, Any]]:
    """One line per shard: what its certificate says, and the energy beside its exact value where there is one."""
    rows = []
    for task in tasks:
        certificate = shards.read_metadata(run.shard(task.system, task.size, task.task_id))["certificate"]
        observables = certificate["observables"]
        energy = observables["energy"]
        orders = [f"abs_{name}" for name in contract.load(task.system).order_parameters]
        invariant = ["energy", *orders]
        spec = dict(task.spec)
        known = task.system == "ising" and spec["field"] == 0
        rows.append(
            {
                "point": ", ".join(f"{name} {value:g}" for name, value in task.spec if isinstance(value, int | float)),
                "energy": shown(energy["mean"], energy["error"]),
                "exact": f"{_exact_energy(spec, task.size):.5f}" if known else "",
                "orders": [shown(observables[name]["mean"], observables[name]["error"]) for name in orders],
                "tau": max(observables[name]["tau_int"] for name in invariant),
                "effective": min(observables[name]["effective_samples"] for name in invariant),
                "r_hat": max(observables[name]["r_hat"] for name in invariant),
                "thermalization": certificate["thermalization"],
                "spacing": certificate["spacing"],
                "acceptance": certificate["acceptance"],
                "certified": certificate["certified"],
                "reasons": "; ".join(certificate["reasons"]),
            }
        )
    return rows


def _words(name: str) -> str:
    return PHASE_NAMES[name] if name == DISORDERED else name.replace("_", " ")


def _exact_energy(spec: dict[str, Any], size: int) -> float:
    return exact.ising(size, size, float(spec["temperature"]), float(spec["coupling"])).energy
