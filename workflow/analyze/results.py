"""Analyses of trained models in the run folder: made, written, read again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.orders import columns
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext, ModelJob, context_of
from workflow.analyze.models import AnalyzedModel, analyzed_model
from workflow.analyze.part import Part
from workflow.analyze.parts import correlation, information
from workflow.analyze.registry import all_parts
from workflow.analyze.scatter import write_scatter
from workflow.dataset.origins import ShardTask
from workflow.plan.tasks import ModelPlan
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import Unreadable, from_json, read_json, to_json
from workflow.storage.whole_files import write_whole
from workflow.train.result import TrainingResult

KEYS = (
    "train_id", "result", "input", "input_space", "sign", "order_parameters", "phases", "present", "held_out_samples",
    "reconstruction", "information", "units", "orders", "correlation", "separation", "isometry", "distances", "thermal",
    "generated", "canonical", "aligned", "geometry", "similarity", "probe", "measured", "squares", "fluctuations",
    "energies", "local_temperatures", "readings", "ideal",
)  # fmt: skip
"""In which the entries stand in the file, as they always have; others follow."""
VERSIONS = "versions"
"""The entry with the versions of parts that are no longer at their first."""


def analyze_model(job: ModelJob, root: str) -> float:
    """Analyze one trained model and write its results; returns the seconds it took."""
    import torch

    torch.set_num_threads(1)
    start = time.monotonic()
    run = RunDirectory.at(root)
    context = context_of(job, run)
    parts = all_parts()
    for part in parts:
        context.result(part)
    write_scatter(context)
    _write(context, parts)
    return time.monotonic() - start


def _write(context: ModelContext, parts: Sequence[Part[Any]]) -> None:
    """``analysis/<train_id>.json``, last: its existence means that the model is analyzed."""
    path = context.run.training(context.model.train_id).result
    content: dict[str, Any] = {
        "train_id": context.model.train_id,
        "result": json.loads(path.read_text()),
        "input": context.model.input_name,
        "input_space": context.input_space,
        "order_parameters": columns(context.samples.orders),
        "phases": context.phases.names,
        "present": context.phases.present,
        "held_out_samples": len(context.samples.rows),
        "units": information.units(context),
        "orders": correlation.orders(context),
        **{part.name: context.result(part) for part in parts},
    }
    if versions := _versions(parts):
        content[VERSIONS] = versions
    place = {key: number for number, key in enumerate(KEYS)}
    ordered = dict(sorted(content.items(), key=lambda entry: place.get(entry[0], len(KEYS))))
    write_whole(context.run.analysis_file(context.model.train_id), json.dumps(to_json(ordered), indent=1) + "\n")


def _versions(parts: Iterable[Part[Any]]) -> dict[str, int]:
    return {part.name: part.version for part in parts if part.version > 1}


def is_current(path: Place) -> bool:
    """Whether the analysis of a model at ``path`` has a result of every part, as it would be made today."""
    content = read_json(dict[str, Any], path)
    parts = all_parts()
    return content.get(VERSIONS, {}) == _versions(parts) and all(part.name in content for part in parts)


def read_analysis(run: RunDirectory, train_id: str) -> ModelAnalysis:
    """The analysis of one model.

    Raises:
        FileNotFoundError: it has not been analyzed.
        Unreadable: the file is not what ``analyze_model`` writes.
    """
    path = run.analysis_file(train_id)
    content = read_json(dict[str, Any], path)
    try:
        return _analysis(content)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from None


def _analysis(content: dict[str, Any]) -> ModelAnalysis:
    training = from_json(TrainingResult, content.get("result"))
    # Run folders of earlier programs lack these.
    content = {"input": "raw", "input_space": f"{training.system}-L={training.size}"} | content
    results = {part.name: _result(part, content) for part in all_parts()}
    return from_json(ModelAnalysis, content | {"training": content["result"], "results": {}}).with_results(results)


def _result(part: Part[Any], content: dict[str, Any]) -> Any:
    raw = content.get(part.name)
    return None if raw is None else from_json(part.result, raw)


def read_models(run: RunDirectory, plans: Iterable[ModelPlan], tasks: Iterable[ShardTask]) -> list[AnalyzedModel]:
    """Models with their analyses; each was trained on some of ``tasks``."""
    by_id = {task.task_id: task for task in tasks}
    return [analyzed_model(plan, read_analysis(run, plan.train_id), by_id) for plan in plans]
