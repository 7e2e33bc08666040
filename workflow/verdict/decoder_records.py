"""Headline numbers of what a decoder draws and holds, by quantity, for ``summary.json``."""

from __future__ import annotations

from math import sqrt
from typing import Any

Found = list[tuple[str, dict[str, Any]]]


def decoder_records(content: dict[str, Any]) -> Found:
    """(quantity, estimate) of one analyzed model, from its JSON; what was not computed is left out."""
    found: Found = []
    if (energies := content.get("energies")) is not None:
        differences = [_difference(point["posterior"], point["data"]) for point in energies["points"]]
        found.append(("energy_error_posterior", _root_mean_square(differences)))
        if (prior := energies.get("prior")) is not None:
            data = energies["points"][0]["data"]
            found.append(("energy_error_prior", _root_mean_square([_difference(prior, data)])))
            heats = prior["specific_heat"], data["specific_heat"]
            found += [("heat_prior", heats[0]), ("heat_data", heats[1]), ("heat_ratio_prior", _ratio(*heats))]
    for point in content.get("local_temperatures") or []:
        label = point_label(point["point"])
        found += [(f"local_{name}_{label}", point[name]) for name in ("beta", "field", "product")]
    for order, reading in (content.get("readings") or {}).items():
        found.append((f"reading_deviation_{order}", reading["deviation"]))
    return found


def point_label(point: dict[str, Any]) -> str:
    """A parameter point in short: ``T=1.5_J=1``, or all of its numbers where it has no temperature and coupling."""
    known = {short: point[name] for name, short in (("temperature", "T"), ("coupling", "J")) if name in point}
    numbers = known or {name: value for name, value in point.items() if isinstance(value, int | float)}
    return "_".join(f"{name}={value:g}" for name, value in numbers.items())


def _ratio(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """With the error that theirs propagate to; undefined where the second is not positive."""
    is_defined = second["value"] > 0
    value = first["value"] / second["value"] if is_defined else None
    relative = [((part["error"] or 0.0) / part["value"]) ** 2 if part["value"] else 0.0 for part in (first, second)]
    error = abs(value) * sqrt(sum(relative)) if value is not None else None
    return {"value": value, "error": error, "samples": first["samples"], "method": "ratio of specific heats per site"}


def _difference(drawn: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    one, other = drawn["energy"], data["energy"]
    return {
        "value": one["value"] - other["value"],
        "error": sqrt(one["error"] ** 2 + other["error"] ** 2),
        "samples": one["samples"],
    }


def _root_mean_square(differences: list[dict[str, Any]]) -> dict[str, Any]:
    """Over parameter points, with the error that theirs propagate to."""
    count = len(differences)
    value = sqrt(sum(d["value"] ** 2 for d in differences) / count)
    spread = sqrt(sum((d["value"] * d["error"]) ** 2 for d in differences))
    return {
        "value": value,
        "error": spread / (count * value) if value > 0 else 0.0,
        "samples": sum(d["samples"] for d in differences),
        "method": f"root mean square over {count} parameter point(s) of drawn minus simulated energy per site",
    }
