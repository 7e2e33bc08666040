"""Tables of the report: what the page shows as text, made from results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from analysis import scans
from analysis.phases import display_names
from simulators import contract
from workflow.dataset import inputs, shards
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.report.models import PHASE_NAMES, Analyzed, best, estimate, of_model, rule_setting, words, written
from workflow.storage.run_directory import RunDirectory
from workflow.verdict.judging import Record, shown

COLUMNS = {
    "correlation_": "|corr| own axis",
    "cross_correlation": "across",
    "angle": "angle / deg",
    "rotated_correlation_": "|corr| rotated",
    "psi4": "psi4",
    "cosine": "|cos| of directions",
    "canonical_": "canonical corr²",
    "aligned_": "|corr| aligned",
    "accuracy": "accuracy",
    "isometry_": "isometry",
    "probe_accuracy_means": "linear probe",
    "probe_accuracy_draws": "probe of draws",
    "cosine_same": "cosine, same",
    "cosine_other": "cosine, other",
    "energy_error_posterior": "energy error",
    "energy_error_prior": "energy error, prior",
    "heat_ratio_prior": "heat / data's, prior",
}
"""Columns of the table of models by what their quantities are called, or begin with where they end in an underscore."""
MOST_UNITS = 4
"""Units whose KL is shown one by one."""
VECTORS = ("canonical_",)
"""Shown where an order parameter has several components; of one by sign the correlation says it."""
CLASSES = ("probe_accuracy_means", "probe_accuracy_draws", "cosine_same", "cosine_other")
"""Shown where classes came with the data."""
POINT = ("energy_error_posterior", "energy_error_prior", "heat_ratio_prior")
"""All that is shown of a model of a single parameter point, where there is no order to find."""


def model_table(models: Sequence[Analyzed], records: Sequence[Record]) -> dict[str, Any]:
    """One line per model; columns that are empty for all are left out."""
    rows = [_model_row(model, of_model(records, [model])) for model in models]
    used = [name for name in COLUMNS if any(row["found"].get(name) for row in rows)]
    shares = list(dict.fromkeys(row["shares"] for row in rows if row["shares"]))
    return {
        "heads": ["KL per unit / nat", *(COLUMNS[name] for name in used), *(["generated"] if shares else [])],
        "rows": [
            {
                **row,
                "cells": [
                    row["kl"],
                    *(row["found"].get(name, "") for name in used),
                    *([row["generated"]] if shares else []),
                ],
            }
            for row in rows
        ],
        "shares": shares[0] if len(shares) == 1 else "",
        "orders": _orders(models),
    }


def _orders(models: Sequence[Analyzed]) -> str:
    """In which order several numbers of a cell stand, where that is the same for all."""
    listed = {tuple(model.content["order_parameters"][k] for k in model.content["orders"]) for model in models}
    listed.discard(())
    return ", ".join(map(words, next(iter(listed)))) if len(listed) == 1 else ""


def _model_row(model: Analyzed, records: Sequence[Record]) -> dict[str, Any]:
    content, result = model.content, model.result
    mine = {r["quantity"]: (r["estimate"], r["error"]) for r in records}
    found: dict[str, str] = {}
    for column in COLUMNS:
        if (column in VECTORS and not model.has_vectors) or (column in CLASSES and content["order_parameters"]):
            continue
        if model.is_one_point and column not in POINT:
            continue
        values = [mine[q] for q in mine if q == column or (column.endswith("_") and q.startswith(column))]
        found[column] = ", ".join(shown(*pair) for pair in values)
    if len(content["orders"]) < 2:
        found.pop("cosine", None)
    if content["correlation"] is None:
        # Confidence in the axes means something only where order parameters have axes.
        found.pop("psi4", None)
    divergence = content["information"]["divergence"]
    kl = ", ".join(written(unit) for unit in divergence)
    if len(divergence) > MOST_UNITS:
        total = sum(unit["value"] for unit in divergence)
        kl = f"{len(content['information']['active'])} of {len(divergence)} active, {total:.2f} in all"
    shares = content["generated"] or []
    return {
        "name": result["name"],
        "network": inputs.words(result["model"]["network"], model.plan.given_as),
        "size": result["size"],
        "beta": result["beta"],
        "ratio": model.ratio,
        "seed": result["seed"],
        "rate": result["samples_per_second"],
        "kl": kl,
        "found": found,
        "generated": " / ".join(f"{share['share']['value']:.2f}" for share in shares),
        "shares": " / ".join(words(share["phase"]) for share in shares),
    }


HIDDEN = ("reconstruction", "kl_strongest", "local_", "heat_", "cosine_", "dimension_", "thickness_", "generated_")
"""Quantities that the table against size leaves out."""
NAMES = {
    "kl_of_": "KL of the unit(s) of", "kl_total": "KL of all units", "kl_": "KL of z",
    "correlation_": "|corr| with", "canonical_": "canonical corr² with", "aligned_": "|corr| after rotation with",
    "rotated_correlation_": "|corr| after rotation with", "isometry_": "isometry ratio of",
    "distance_ratio_": "edge / spoke of", "unevenness_": "longest / shortest edge of",
    "probe_accuracy_": "linear probe of", "cosine": "|cos| between directions",
    "energy_error_posterior": "energy error, z of the posteriors", "energy_error_prior": "energy error, z of the prior",
    "measured_by_one_": "corr² of one unit with", "measured_": "multiple corr² with",
    "reading_deviation_": "deviation of m(z) from E[o | z],",
}  # fmt: skip
"""How quantities of an order parameter, or of a unit, are called."""


def size_tables(named: dict[str, list[Analyzed]], records: Sequence[Record]) -> list[dict[str, Any]]:
    """Per group, every quantity against lattice size, at the value of beta that several sizes share."""
    tables = []
    for label, models in named.items():
        if (setting := rule_setting(models)) is not None:
            mine = [model for model in models if model.setting == setting]
            tables.append({"title": f"{label}, β = {mine[0].beta}", **_size_table(of_model(records, mine), mine)})
    return tables


def _size_table(records: Sequence[Record], models: Sequence[Analyzed]) -> dict[str, Any]:
    hidden = HIDDEN if models[0].has_vectors else (*HIDDEN, "canonical_", "distance_ratio_", "unevenness_")
    hidden = (*hidden, "probe_", "kl_total") if models[0].content["order_parameters"] else hidden
    rows = [
        scans.Record(r["quantity"], r["system"], r["size"], r["beta"], r["seed"], estimate(r))
        for r in records
        if not r["quantity"].startswith(hidden)
    ]
    sizes = sorted({row.size for row in rows})
    table: dict[str, dict[int, str]] = {}
    for row in scans.across_sizes(rows):
        extremes = f"{row.lowest.value:.4g} to {row.highest.value:.4g}"
        table.setdefault(row.quantity, {})[row.size] = f"{row.mean} ({extremes})"
    return {
        "columns": sizes,
        "rows": [
            {"quantity": _quantity(name), "cells": [cells.get(size, "") for size in sizes]}
            for name, cells in table.items()
        ],
    }


def _quantity(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    for start, text in NAMES.items():
        if name.startswith(start):
            rest = name.removeprefix(start)
            return f"{text}{int(rest) + 1}" if rest.isdigit() else f"{text} {words(rest)}"
    return words(name)


def distance_tables(run: RunDirectory, named: dict[str, list[Analyzed]]) -> list[dict[str, Any]]:
    """Per group, Eq. 9 between all pairs of phases, in input and in latent space, by size."""
    tables = []
    for label, models in named.items():
        setting = rule_setting(models) or best(models)[0].setting
        columns: dict[str, dict[str, str]] = {}
        for size in sorted({model.plan.size for model in models}):
            mine = [model for model in models if model.plan.size == size and model.setting == setting]
            if mine:
                content = json.loads((run.analysis / f"{mine[0].input_space}.json").read_text())
                sites = mine[0].result["model"]["shape"]
                columns[f"input, L = {size}"] = _pairs(content, (sites[0] * sites[1] * sites[2]) ** -0.5)
                columns[f"latent, L = {size}"] = _pairs(mine[0].content, 1.0)
        pairs = dict.fromkeys(pair for name, column in columns.items() for pair in column if name.startswith("latent"))
        rows = [{"pair": pair, "cells": [column.get(pair, "") for column in columns.values()]} for pair in pairs]
        if rows:
            words_of_beta = setting.replace("lam", "λ")
            tables.append({"title": f"{label}, β = {words_of_beta}", "columns": list(columns), "rows": rows})
    return tables


def _pairs(content: dict[str, Any], scale: float) -> dict[str, str]:
    names = display_names(content.get("phases", []), PHASE_NAMES)
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
    energy = observables["energy"]
    exact = contract.load(task.system).exact_energy(task.point)
    return {
        "point": ", ".join(f"{name} {value:g}" for name, value in task.spec if isinstance(value, int | float)),
        "energy": shown(energy["mean"], energy["error"]),
        "exact": "" if exact is None else f"{exact.energy:.5f}",
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
