"""The table of ``plan``: the estimated cost of a study, and what users should know before it starts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping

from simulators import contract
from workflow.dataset.gathered import machine_memory
from workflow.plan.cautions import cautions
from workflow.plan.costs import SAMPLES_PER_SECOND
from workflow.plan.data_costs import data_lines
from workflow.plan.study_cost import StudyCost, study_cost
from workflow.plan.tasks import ModelPlan
from workflow.plan.warnings import expected_warnings
from workflow.study.blocks import Study
from workflow.terminal import duration, size, table


def plan_table(study: Study, workers: int | None = None) -> str:
    """The estimated cost of ``study`` stage by stage, with its warnings, as text."""
    cpus = workers or os.cpu_count() or 1
    cost = study_cost(study, cpus)
    shards, models = cost.shards, cost.models
    body = [
        [
            "simulate",
            f"{shards.count} shards",
            f"{shards.core_seconds / 3600:.4f}",
            duration(shards.core_seconds / cpus),
            size(shards.disk_bytes),
            size(shards.memory_bytes),
        ],
        [
            "train",
            f"{len(models.models)} models",
            f"{models.core_seconds / 3600:.4f}",
            duration(models.core_seconds / cpus),
            "",
            size(models.memory_bytes) if models.models else "",
        ],
        ["encode", f"{models.files} files", "", "", size(models.latent_bytes), ""],
    ]
    header = ["stage", "work", "core-hours", f"on {cpus} cores", "disk", "memory/worker"]
    lines = [f"{study.name}: {shards.samples:,} samples at {shards.count} points", table(header, body)]
    lines += _short_of_memory(cost, cpus)
    lines += data_lines(study)
    lines += _algorithms(shards.algorithms)
    lines += _on_request(study)
    lines += cautions(study)
    kinds = sorted({(model.network, model.system, model.size, model.features) for model in models.models})
    assumed = ", ".join(f"{SAMPLES_PER_SECOND[n] / f:,.0f} ({n}, {system}, L = {s})" for n, system, s, f in kinds)
    if assumed:
        lines.append(f"training assumes these samples/s per core, over the runs of a stack: {assumed}")
    lines += _inputs(models.models)
    lines += expected_warnings(models.models)
    lines.append("starting Ray takes about 10 s more, its training workers about 20 s; estimates, not limits")
    return "\n".join(lines)


def _on_request(study: Study) -> list[str]:
    """What each block measures beside its system's columns, at its first point."""
    lines = []
    for number, block in enumerate(study.simulate):
        if block.measure:
            system = contract.load(block.system)
            possible = system.on_request(system.spec(**dict(block.points[0].values)))
            words = ", ".join(f"{name} ({_stored(possible[name])})" for name in block.measure)
            sweeps = sum(possible[name].sweeps for name in block.measure)
            lines.append(f"simulate.{number} measures on request: {words}; about {sweeps:.2g} sweeps a measurement")
    return lines


def _stored(measurement: contract.RequestedMeasurement) -> str:
    if measurement.shape is not None:
        return f"an input of {' x '.join(map(str, measurement.shape))}"
    return f"{len(measurement.columns)} column{'s' if len(measurement.columns) > 1 else ''}"


def _short_of_memory(cost: StudyCost, cpus: int) -> list[str]:
    """A warning for each stage whose workers, side by side, would take more memory than this machine has."""
    workers = {
        "simulate": (cost.shards.memory_bytes, min(cpus, cost.shards.count)),
        "train": (cost.models.memory_bytes, min(cpus, len(cost.models.models))),
    }
    memory = machine_memory()
    return [
        f"  {stage}: {count} worker{'s' if count > 1 else ''} of {size(each)} may take {size(count * each)}, but this "
        f"machine has {size(memory)}: {_advice(stage, each, memory)}"
        for stage, (each, count) in workers.items()
        if count * each > memory
    ]


def _advice(stage: str, each: int, memory: int) -> str:
    if (room := memory // each) >= 1:
        return f"take --workers {room}"
    return "take fewer chains or samples per point" if stage == "simulate" else "take a smaller batch"


def _inputs(models: Iterable[ModelPlan]) -> list[str]:
    """A line per block and input where networks do not get configurations as stored, or samples are turned."""
    lines: dict[str, None] = {}
    for model in models:
        if model.input_name == "raw" and not model["augment"]:
            continue
        shape, variable = " x ".join(map(str, model.network_input.shape)), model.network_input.variable
        text = f"train {model.name}: input = {model.input_name}, {shape} {variable}, {model['likelihood']}"
        turned = ", ".join(model["augment"])
        lines[f"{text}; every sample turned at random by {turned}" if turned else text] = None
    return list(lines)


def _algorithms(algorithms: Mapping[tuple[str, int], Counter[str]]) -> list[str]:
    """What ``auto`` is expected to choose, from rough autocorrelation times and the table of costs."""
    return [
        f"algorithm = auto, {system}, L = {size}: expected "
        + ", ".join(f"{name} at {count} points" for name, count in chosen.most_common())
        + "; a seeded pilot of each task decides, and its certificate says why"
        for (system, size), chosen in algorithms.items()
    ]
