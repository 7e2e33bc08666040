"""Warnings about studies that are allowed, but may not be what their authors mean."""

from __future__ import annotations

from collections.abc import Iterable

from simulators import contract
from workflow.study.blocks import SimulateBlock, Study

ROUNDED_SHOWN = 6


def cautions(study: Study) -> list[str]:
    """Warnings about parameter points, each text once."""
    texts: dict[str, None] = {}
    for number, block in enumerate(study.simulate):
        system = contract.load(block.system)
        for point in block.points:
            text = system.caution(system.spec(**dict(point.values)))
            if text is not None:
                texts[f"simulate.{number}: {text}"] = None
        texts |= dict.fromkeys(f"simulate.{number}.{text}" for text in _rounded(block))
    return list(texts)


def _rounded(block: SimulateBlock) -> Iterable[str]:
    """Values that a system has rounded to what is possible, such as a Trotter step of which beta is a multiple."""
    if block.points.rounded is None:
        return
    for name, values in block.points.axes.items():
        nearest = sorted({point[name] for point in block.points} - set(values))
        if nearest:
            text = ", ".join(f"{value:.4g}" for value in nearest[:ROUNDED_SHOWN])
            more = f" and {len(nearest) - ROUNDED_SHOWN} more" if len(nearest) > ROUNDED_SHOWN else ""
            yield f"{name}: the nearest possible are taken: {text}{more}"
