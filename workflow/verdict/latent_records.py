"""Headline numbers of what latents hold of vectors and classes, by quantity, for ``summary.json``."""

from __future__ import annotations

from typing import Any

Found = list[tuple[str, dict[str, Any]]]


def latent_records(content: dict[str, Any]) -> Found:
    """(quantity, estimate) of one analyzed model, from its JSON; what was not computed is left out."""
    found: Found = []
    for order, result in content.get("canonical", {}).items():
        found.append((f"canonical_{order}", result["smallest"]))
    for column, result in content.get("measured", {}).items():
        found += [(f"measured_{column}", result["together"]), (f"measured_by_one_{column}", result["alone"])]
    for column, result in content.get("squares", {}).items():
        found.append((f"squared_{column}", result["latent"]))
        found += [(f"squared_{baseline}_{column}", value) for baseline, value in result["baselines"].items()]
    for order, result in content.get("aligned", {}).items():
        found.append((f"aligned_{order}", result["worst"]))
    for order, result in content.get("geometry", {}).items():
        found += [
            (f"{quantity}_{order}", result[field])
            for quantity, field in (
                ("distance_ratio", "ratio"),
                ("unevenness", "unevenness"),
                ("dimension", "dimension"),
                ("thickness", "thickness"),
            )
            if result[field] is not None
        ]
    if (similar := content.get("similarity")) is not None:
        # The control first: cosines mean nothing where it vanishes.
        found += [("kl_total", similar["divergence"])]
        found += [(f"cosine_{kind}", similar[kind]) for kind in ("same", "other", "contrast")]
    for kind, result in (content.get("probe") or {}).items():
        found.append((f"probe_accuracy_{kind}", result["accuracy"]))
    return found
