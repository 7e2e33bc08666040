"""What squares of latents give over parameter points, beside what was measured: table and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.figures import curves
from analysis.scans import Scan
from workflow.dataset import inputs
from workflow.report.curves import symbolic
from workflow.report.models import SYMBOLS, Analyzed, Drawing, best, by_seed, estimate, words, written
from workflow.verdict.decoder_records import point_label

Row = dict[str, Any]


def fluctuation_table(models: Sequence[Analyzed]) -> list[Row]:
    """A line for each observable and parameter point of models that differ in their seeds alone."""
    rows: list[Row] = []
    for mine in by_seed(model for model in models if _is_shown(model)):
        first = mine[0]
        for number, curve in enumerate(first.content["fluctuations"]):
            varying = _varying(curve["points"])
            for at, point in enumerate(curve["points"]):
                of_seeds = [model.content["fluctuations"][number]["points"][at] for model in mine]
                latent, line = _worst(of_seeds, "latent"), _worst(of_seeds, "line")
                rows.append(
                    {
                        "name": inputs.words(first.plan.name, first.plan.given_as),
                        "size": first.plan.size,
                        "seeds": len(mine),
                        "column": words(curve["column"]),
                        "point": _label(point["point"], varying),
                        "cells": [
                            written(latent and latent["direct"]),
                            *_texts(latent),
                            *_texts(point["order"]),
                            *_texts(line),
                        ],
                    }
                )
    return rows


def fluctuation_curves(models: Sequence[Analyzed], label: str) -> Drawing:
    """The same against what was scanned, a panel for each value of the rest, a figure for each observable."""
    mine = [model for model in best(models) if _is_shown(model)]
    if not mine or not mine[0].content["thermal"]:
        return
    parameter = mine[0].content["thermal"][0]["parameter"]
    for number, curve in enumerate(mine[0].content["fluctuations"]):
        points = [[one["latent"] for one in model.content["fluctuations"][number]["points"]] for model in mine]
        panels = _panels(curve["points"], points, parameter)
        if not panels:
            continue
        name, is_measured = words(curve["column"]), points[0][0]["direct"] is not None
        caption = (
            f"{name.capitalize()} that the square of a latent gives, {label}, L = {mine[0].plan.size}; "
            f"{'filled: measured otherwise; ' if is_measured else ''}open: every seed."
        )
        symbol = SYMBOLS.get(parameter, parameter.replace("_", " "))
        yield f"{curve['column'].replace('_', '-')}-{label}", caption, curves.readings(panels, name, symbol)


def _panels(
    points: Sequence[Row], readings: Sequence[Sequence[Row]], parameter: str
) -> dict[str, tuple[Scan | None, list[Scan]]]:
    """By title, what was measured and what each model reads, where there is more than one value of the parameter."""
    varying = _varying(points)
    rest = [name for name in varying if name != parameter]
    keys = [tuple(point["point"][name] for name in rest) for point in points]
    panels = {}
    for key in dict.fromkeys(keys):
        chosen = [k for k, other in enumerate(keys) if other == key]
        if parameter not in varying or len(chosen) < 2:
            continue

        def scan(rows: Sequence[Row], field: str, chosen: list[int] = chosen) -> Scan:
            x = tuple(float(points[k]["point"][parameter]) for k in chosen)
            return Scan(x, tuple((estimate(rows[k][field]),) for k in chosen))

        direct = scan(readings[0], "direct") if readings[0][0]["direct"] is not None else None
        title = ", ".join(symbolic(name, value) for name, value in zip(rest, key, strict=True))
        panels[title] = direct, [scan(rows, "read") for rows in readings]
    return panels


def _is_shown(model: Analyzed) -> bool:
    return bool(model.content.get("fluctuations") and model.content["information"]["active"])


def _varying(points: Sequence[Row]) -> list[str]:
    """Numbers that are not the same at all points, but for the step that follows from the temperature."""
    first = points[0]["point"]
    return [
        name
        for name, value in first.items()
        if isinstance(value, int | float)
        and name != "trotter_step"
        and any(point["point"].get(name) != value for point in points)
    ]


def _label(point: Row, varying: Sequence[str]) -> str:
    return ", ".join(f"{words(name)} {point[name]:g}" for name in varying) or point_label(point)


def _worst(of_seeds: Sequence[Row], kind: str) -> Row | None:
    """The seed whose reading is off by most of its errors; the first, where nothing was measured otherwise."""

    def sigmas(reading: Row) -> float:
        off = reading["off"]
        return abs(off["value"]) / off["error"] if off and off["error"] else 0.0

    found = [row[kind] for row in of_seeds if row[kind] is not None]
    return max(found, key=sigmas) if found else None


def _texts(reading: Row | None) -> tuple[str, str]:
    """What was read, and by how much it is off."""
    return ("", "") if reading is None else (written(reading["read"]), written(reading["off"]))
