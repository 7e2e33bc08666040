"""Tables of single findings: restarts, how phases lie, local temperatures, when the free energy settled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np

from simulators.sampling.certificate import FEWEST_SIGN_ERRORS
from workflow.dataset import inputs
from workflow.plan.tasks import ModelPlan
from workflow.report.curves import metrics
from workflow.report.models import Analyzed, by_seed, words, written
from workflow.storage.run_directory import RunDirectory
from workflow.train.restarts import best_restarts, quality
from workflow.verdict.decoder_records import point_label
from workflow.verdict.gates import COLLAPSED
from workflow.verdict.judging import shown

SHAPES = {2: ("line", "triangle"), 3: ("plane", "tetrahedron")}
"""Flat, and all phases equally far apart, by the number of ordered phases."""
SHOWN_SQUARES = ("spin_structure", "charge_structure", "local_moment", "double_occupancy")
"""Observables that do not change when the order parameter changes its sign."""
SETTLED = 0.1
"""Share of its largest distance from the end within which a quantity counts as settled."""


def restart_rows(plans: Iterable[ModelPlan], run: RunDirectory) -> list[dict[str, Any]]:
    """Every restart of every seed with what it is chosen by, the kept one marked."""
    plans = list(plans)
    best = set(best_restarts(plans, run))
    counts: dict[str, int] = {}
    for model in plans:
        counts[model.without_restart.train_id] = counts.get(model.without_restart.train_id, 0) + 1
    rows = []
    for model in plans:
        if counts[model.without_restart.train_id] > 1:
            found = quality(model, run)
            rows.append(
                {
                    "name": model.name,
                    "network": inputs.words(model.network, model.given_as),
                    "size": model.size,
                    "beta": str(model.beta).replace("lam", "λ"),
                    "seed": model.seed,
                    "restart": model.restart,
                    "active": found.active,
                    "rank": found.rank,
                    "loss": found.loss,
                    "kept": model in best,
                }
            )
    return rows


def geometry_rows(models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """How the phases of each model lie, where there are at least three ordered ones."""
    rows = []
    for model in models:
        for order, found in model.content["geometry"].items():
            ordered = len([name for name in found["phases"] if name != "disordered"])
            if found["ratio"] is None or ordered < 3:
                continue
            flat, simplex = SHAPES.get(ordered, ("flat", "simplex"))
            shapes = {"flat": flat, "simplex": simplex, "between": f"between {flat} and {simplex}"}
            strongest = max(unit["value"] for unit in model.content["information"]["divergence"])
            rows.append(
                {
                    "name": model.plan.name,
                    "size": model.plan.size,
                    "ratio": model.ratio,
                    "seed": model.plan.seed,
                    "latents": model.latents,
                    "active": model.result["active_units"],
                    "order": words(order),
                    "shape": shapes[found["shape"]] if strongest > COLLAPSED[0].high else "collapsed",
                    "loss": model.result["loss"],
                    "cells": [
                        written(found[name])
                        for name in ("ordered", "disordered", "ratio", "unevenness", "dimension", "thickness")
                    ],
                    "flat_ratio": sqrt(2 * ordered / (ordered - 1)),
                }
            )
    return rows


def square_table(models: Sequence[Analyzed]) -> dict[str, Any] | None:
    """Correlations of squares with ``SHOWN_SQUARES``, a line for each of these and all seeds of a model: the worst of
    them, the best, and the baselines beside the worst; None without any."""
    rows: list[dict[str, Any]] = []
    heads: dict[str, None] = {}
    for mine in by_seed(model for model in models if model.content["information"]["active"]):
        first = mine[0]
        for column in (name for name in first.content["squares"] if name in SHOWN_SQUARES):
            found = sorted((model.content["squares"][column] for model in mine), key=lambda one: _size(one["latent"]))
            heads |= dict.fromkeys(found[0]["baselines"])
            rows.append(
                {
                    "name": inputs.words(first.plan.name, first.plan.given_as),
                    "size": first.plan.size,
                    "beta": first.beta,
                    "seeds": len(mine),
                    "column": words(column),
                    "latents": [written(found[0]["latent"]), written(found[-1]["latent"]) if len(mine) > 1 else ""],
                    "baselines": {name: written(estimate) for name, estimate in found[0]["baselines"].items()},
                }
            )
    return {"heads": {name: words(name) for name in heads}, "rows": rows} if rows else None


def _size(estimate: dict[str, Any]) -> float:
    return abs(estimate["value"]) if estimate["value"] is not None else -1.0


def ideal_rows(models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """Arrangements of latents that the idealized objective was found to prefer, lowest loss first."""
    return [
        {
            "name": model.plan.name,
            "size": model.plan.size,
            "latents": model.latents,
            "ratio": model.ratio,
            "rank": arrangement["rank"],
            "found": arrangement["found"],
            "restarts": model.content["ideal"]["restarts"],
            "loss": arrangement["loss"],
            "kl": ", ".join(f"{kl:.2f}" for kl in arrangement["kl"]),
        }
        for model in models
        if model.content.get("ideal")
        for arrangement in model.content["ideal"]["arrangements"]
    ]


def temperature_rows(models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """Mean beta_k, |h_k| and |beta_k h_k| of every model with local temperatures, by parameter point."""
    return [
        {
            "name": model.plan.name,
            "size": model.plan.size,
            "initial": model.plan["local_beta"],
            "beta": model.result["beta"],
            "point": point_label(point["point"]).replace("=", " = ").replace("_", ", "),
            "seed": model.plan.seed,
            "cells": [written(point[name]) for name in ("beta", "field", "product")],
        }
        for model in models
        for point in model.content.get("local_temperatures") or []
    ]


def temperature_summary(rows: Sequence[dict[str, Any]], models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """The same by block and point: mean over seeds, lowest and highest."""
    values: dict[tuple[Any, ...], list[list[float]]] = {}
    found = [point for model in models for point in model.content.get("local_temperatures") or []]
    for row, point in zip(rows, found, strict=True):
        key = (row["name"], row["size"], row["initial"], f"{row['beta']:.4g}", row["point"])
        values.setdefault(key, []).append([point[name]["value"] for name in ("beta", "field", "product")])
    summary = []
    for (name, size, initial, beta, point), of_seeds in values.items():
        columns = np.array(of_seeds, dtype=float).T
        cells = [f"{column.mean():.3g} ({column.min():.3g} to {column.max():.3g})" for column in columns]
        head = {"name": name, "size": size, "initial": initial, "beta": beta, "point": point}
        summary.append({**head, "seeds": len(of_seeds), "cells": cells})
    return summary


def sign_rows(models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """The average sign of every parameter point where it is not 1: the same for all models that hold out its chains."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for model in models:
        for of_point in model.content.get("sign") or []:
            value, error = of_point["average"]["value"], of_point["average"]["error"]
            errors = abs(value) / error if error else inf
            key = (model.plan.system, model.plan.size, model.plan["held_out"], str(of_point["point"]))
            rows[key] = {
                "system": model.plan.system,
                "size": model.plan.size,
                "point": ", ".join(f"{k} = {v:g}" for k, v in of_point["point"].items() if isinstance(v, int | float)),
                "average": shown(value, error),
                "errors": f"{errors:.3g}",
                "is_lost": errors < FEWEST_SIGN_ERRORS,
            }
    return list(rows.values())


def settling_rows(run: RunDirectory, models: Sequence[Analyzed]) -> list[dict[str, Any]]:
    """From which epoch on free energy and encoder gap stay near their final values."""
    rows = []
    for model in models:
        lines = metrics(run, model)
        if len(lines) < 2 or any(line.get("free_energy") is None or line.get("gap") is None for line in lines):
            continue
        free_energy, gap = (np.array([line[name] for line in lines]) for name in ("free_energy", "gap"))
        settled = [_settled(values) for values in (free_energy, gap)]
        rows.append(
            {
                "name": model.plan.name,
                "size": model.plan.size,
                "ratio": model.ratio,
                "seed": model.plan.seed,
                "epochs": len(lines),
                "free_energy": free_energy[-1],
                "gap": gap[-1],
                "largest_gap": gap.max(),
                "settled": settled,
                "encoder_first": settled[1] < settled[0],
            }
        )
    return rows


def _settled(values_E: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """First epoch from which the distance to the last value stays within ``SETTLED`` of the largest."""
    distance_E = np.abs(values_E - values_E[-1])
    beyond = np.flatnonzero(distance_E > SETTLED * distance_E.max())
    return int(beyond[-1]) + 2 if len(beyond) else 1
