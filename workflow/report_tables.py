"""Tables of the report: what the page shows as text, made from results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import log
from typing import Any

from analysis import scans
from analysis.phases import DISORDERED, display_names
from models.config import AUTO_FRACTION
from simulators import exact
from workflow import shards
from workflow.layout import RunDirectory
from workflow.plan import ShardTask, SimulationTask
from workflow.report_figures import PHASE_NAMES, Analyzed, estimate, rule_setting
from workflow.summary import DISENTANGLED, Gate, Record, shown

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


def words(name: str) -> str:
    """A phase or order parameter for people."""
    return PHASE_NAMES[name] if name == DISORDERED else name.replace("_", " ")


def headline(verdicts: Sequence[dict[str, Any]]) -> str:
    """The outcome in one sentence."""
    judged = [verdict for verdict in verdicts if verdict["holds"] is not None]
    if not judged:
        return "No value of beta lies where the gates apply."
    failed = sum(not verdict["holds"] for verdict in judged)
    found = sorted({v["size"] for v in judged if v["holds"] and v["expected"] == "order parameters"})
    text = f"{len(judged) - failed} of {len(judged)} judged settings come out as expected."
    if found:
        sizes = ", ".join(map(str, found))
        text += f" At L = {sizes} every seed's latents are the order parameters, one on each axis."
    return text


def verdict_row(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict with one cell per gate."""
    by_words = {gate["words"]: gate for gate in verdict["judgements"]}
    cells = []
    for gate in DISENTANGLED:
        judged = by_words.get(gate.words)
        text = shown(judged["worst"], judged["error"]) if judged else ""
        cells.append({"text": text, "holds": judged is None or judged["holds"] or verdict["holds"] is None})
    name, network = verdict["name"], verdict["network"]
    return {**verdict, "model": name if name.startswith(network) else f"{name}, {network}", "cells": cells}


def verdict_markdown(verdicts: Sequence[dict[str, Any]], gates: Sequence[Gate]) -> str:
    """The verdict as a Markdown table, to paste where results are discussed."""
    heads = ["model", "L", "β / λ", "seeds", "verdict", *(f"{gate.words} {gate.bounds}" for gate in gates)]
    lines = ["| " + " | ".join(head.replace("|", "\\|") for head in heads) + " |", "|" + "---|" * len(heads)]
    for verdict in map(verdict_row, verdicts):
        mark = {True: "holds: ", False: "**fails**: ", None: ""}[verdict["holds"]]
        cells = [cell["text"] + ("" if cell["holds"] else " ✗") for cell in verdict["cells"]]
        setting = [verdict["model"], str(verdict["size"]), f"{verdict['beta_over_lam']:.2g}"]
        lines.append(
            "| "
            + " | ".join([*setting, str(verdict["seeds"]), mark + verdict["words"].replace("|", "\\|"), *cells])
            + " |"
        )
    return "\n".join(lines) + "\n"


def model_row(content: dict[str, Any], records: Sequence[Record]) -> dict[str, Any]:
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


def size_table(models: Sequence[Analyzed], records: Sequence[Record]) -> dict[str, Any]:
    """Every quantity against lattice size, at the value of beta that several sizes share."""
    setting = rule_setting(models)
    names = [m.item.name for m in models if str(m.item.beta) == setting]
    chosen = [r for r in records if r.get("beta_setting") == setting and r.get("name") == names[0]] if names else []
    rows = [
        scans.Record(
            r["quantity"], r["system"], r["size"], r["beta"], r["seed"], estimate({**r, "value": r["estimate"]})
        )
        for r in chosen
        if r["quantity"] != "reconstruction"
    ]
    sizes = sorted({row.size for row in rows})
    table: dict[str, dict[int, str]] = {}
    for row in scans.across_sizes(rows):
        extremes = f"{row.lowest.value:.4g} to {row.highest.value:.4g}"
        table.setdefault(row.quantity, {})[row.size] = f"{row.mean} ({extremes})"
    return {
        "title": f"β = {setting}",
        "columns": sizes,
        "rows": [
            {"quantity": words(name), "cells": [cells.get(size, "") for size in sizes]} for name, cells in table.items()
        ],
    }


def distance_table(run: RunDirectory, models: Sequence[Analyzed]) -> dict[str, Any]:
    """Eq. 9 between all pairs of phases, in input and in latent space, by size."""
    setting = rule_setting(models) or str(
        min(models, key=lambda model: abs(log(model.ratio / AUTO_FRACTION))).item.beta
    )
    columns: dict[str, dict[str, str]] = {}
    for size in sorted({model.item.size for model in models}):
        mine = [model for model in models if model.item.size == size and str(model.item.beta) == setting]
        if not mine:
            continue
        content = json.loads((run.analysis / f"{mine[0].item.system}-L={size}.json").read_text())
        columns[f"input, L = {size}"] = _pairs(content, 1 / size)
        columns[f"latent, L = {size}"] = _pairs(mine[0].content, 1.0)
    pairs = dict.fromkeys(pair for column in columns.values() for pair in column)
    return {
        "columns": list(columns),
        "rows": [{"pair": pair, "cells": [column.get(pair, "") for column in columns.values()]} for pair in pairs],
    }


def _pairs(content: dict[str, Any], scale: float) -> dict[str, str]:
    names = display_names(content["phases"], PHASE_NAMES)
    found = {}
    for step in content.get("distances", []):
        distance = estimate(step["distance"])
        scaled = distance._replace(value=scale * distance.value, error=scale * distance.error)
        found[f"{names[step['first']]} to {names[step['second']]}"] = str(scaled)
    return found


def certificate_tables(run: RunDirectory, tasks: Sequence[ShardTask]) -> list[dict[str, Any]]:
    """A table per system, or per set of judged observables; a line per shard: what its certificate says, and the
    energy beside its exact value where there is one. Data that were not simulated here have none."""
    tables: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    for task in (task for task in tasks if isinstance(task, SimulationTask)):
        tables.setdefault((task.system, task.names.judged), []).append(_certificate_row(run, task))
    return [
        {
            "system": system,
            "names": [words(name) for name in judged if name != "energy"],
            "exact": any(row["exact"] for row in rows),
            "rows": rows,
        }
        for (system, judged), rows in tables.items()
    ]


def _certificate_row(run: RunDirectory, task: SimulationTask) -> dict[str, Any]:
    certificate = shards.read_metadata(run.shard(task.system, task.size, task.task_id))["certificate"]
    observables = certificate["observables"]
    invariant = {name: observables[name] for name in task.names.judged}
    energy, spec = observables["energy"], dict(task.spec)
    known = task.system == "ising" and spec["field"] == 0
    return {
        "point": ", ".join(f"{name} {value:g}" for name, value in task.spec if isinstance(value, int | float)),
        "energy": shown(energy["mean"], energy["error"]),
        "exact": f"{_exact_energy(spec, task.size):.5f}" if known else "",
        "judged": [shown(found["mean"], found["error"]) for name, found in invariant.items() if name != "energy"],
        "algorithm": certificate["algorithm"],
        "choice": certificate["choice"],
        "tau": max(found["tau_int"] for found in invariant.values()),
        "effective": min(found["effective_samples"] for found in invariant.values()),
        "r_hat": max(found["r_hat"] for found in invariant.values()),
        "thermalization": certificate["thermalization"],
        "spacing": certificate["spacing"],
        "acceptance": certificate["acceptance"],
        "certified": certificate["certified"],
        "reasons": "; ".join(certificate["reasons"]),
    }


def _exact_energy(spec: dict[str, Any], size: int) -> float:
    return exact.ising(size, size, float(spec["temperature"]), float(spec["coupling"])).energy
