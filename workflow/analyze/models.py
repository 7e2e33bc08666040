"""Trained models side by side: which belong together, which are compared, which stand for others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np

from analysis.errors import Estimate
from analysis.phases import display_names
from models.config import AUTO_FRACTION
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.naming import PHASE_NAMES
from workflow.analyze.physics import Physics, physics
from workflow.dataset.origins import DataTask, ShardTask, SimulationTask
from workflow.plan.tasks import ModelPlan
from workflow.train.result import TrainingResult
from workflow.verdict.gates import RULE
from workflow.verdict.records import Record

PANELS = 5
"""Most models side by side in one figure."""


class AnalyzedModel(NamedTuple):
    """One trained model and its analysis."""

    plan: ModelPlan
    analysis: ModelAnalysis
    task: ShardTask
    """One of those it was trained on."""
    points: tuple[tuple[tuple[str, Any], ...], ...]
    """Parameter points that it was trained on, each once, without the size."""
    is_one_point: bool

    @property
    def training(self) -> TrainingResult:
        return self.analysis.training

    @property
    def ratio(self) -> float:
        """beta / lam."""
        return self.training.beta_over_lam

    @property
    def setting(self) -> str:
        return str(self.plan.beta)

    @property
    def beta(self) -> str:
        """The setting for people."""
        return self.setting.replace("lam", "λ")

    @property
    def title(self) -> str:
        return rf"$\beta={self.training.beta:.4g}={self.ratio:.2g}\,\lambda$"

    @property
    def physics(self) -> Physics:
        return physics(self.task, self.plan.input_name)

    @property
    def latents(self) -> int:
        return int(self.plan["latent"])

    @property
    def latent_names(self) -> list[str]:
        return [f"$z_{{{unit + 1}}}$" for unit in range(self.latents)]

    @property
    def source(self) -> str:
        """Where the data come from: a system's name, or the kind of a ``[[data]]`` block."""
        return self.task.source if isinstance(self.task, DataTask) else self.plan.system

    @property
    def phase_names(self) -> tuple[str, ...]:
        return display_names(self.analysis.phases, PHASE_NAMES)


def analyzed_model(plan: ModelPlan, analysis: ModelAnalysis, tasks: Mapping[str, ShardTask]) -> AnalyzedModel:
    """A model with its results; ``tasks`` by their ids."""
    trained_on = [tasks[task_id] for task_id in plan.task_ids]
    points = dict.fromkeys(tuple(entry for entry in task.spec if entry[0] != "size") for task in trained_on)
    return AnalyzedModel(plan, analysis, trained_on[0], tuple(sorted(points, key=str)), is_one_point(plan, tasks))


def is_one_point(model: ModelPlan, tasks: Mapping[str, ShardTask]) -> bool:
    """Whether all that a model was trained on was simulated at one point; ``tasks`` by their ids."""
    trained_on = [tasks[task_id] for task_id in model.task_ids]
    return all(isinstance(task, SimulationTask) for task in trained_on) and len({task.spec for task in trained_on}) == 1


def groups(models: Sequence[AnalyzedModel]) -> dict[str, list[AnalyzedModel]]:
    """Models that differ in size, beta and seed alone, by network, or by block where one network has several kinds;
    and by what they are given of a configuration."""
    alike: dict[Any, list[AnalyzedModel]] = {}
    for model in models:
        key = (model.plan.network, model.plan.system, model.plan.settings, model.points)
        alike.setdefault(key, []).append(model)
    named: dict[str, list[AnalyzedModel]] = {}
    for group in alike.values():
        plan = group[0].plan
        others = [other[0].plan for other in alike.values() if other[0].plan.input_name == plan.input_name]
        alone = sum(other.network == plan.network for other in others) == 1
        block = sum(other.name == plan.name for other in others) == 1
        label = plan.network if alone else plan.name if block else f"{plan.name}-{plan.network}"
        label += "" if plan.input_name == "raw" else f"-{plan.input_name}"
        named[label if label not in named else f"{label}-{plan.system}"] = group
    return named


def by_seed(models: Iterable[AnalyzedModel]) -> list[list[AnalyzedModel]]:
    """Models that differ in their seed alone, together."""
    alike: dict[Any, list[AnalyzedModel]] = {}
    for model in models:
        key = model.plan.name, model.plan.input_name, model.plan.network, model.plan.size, model.beta
        alike.setdefault(key, []).append(model)
    return list(alike.values())


def size_of_sweep(models: Sequence[AnalyzedModel]) -> int:
    """The size with most values of beta (the largest of several)."""
    betas: dict[int, set[str]] = {}
    for model in models:
        betas.setdefault(model.plan.size, set()).add(model.setting)
    return max(betas, key=lambda size: (len(betas[size]), size))


def one_per_beta(models: Sequence[AnalyzedModel]) -> list[AnalyzedModel]:
    """The first seed at up to ``PANELS`` values of beta, ends included."""
    first: dict[str, AnalyzedModel] = {}
    for model in sorted(models, key=lambda model: (model.ratio, model.plan.seed)):
        first.setdefault(f"{model.ratio:.3g}", model)
    listed = list(first.values())
    if len(listed) <= PANELS:
        return listed
    chosen = [listed[i] for i in np.linspace(0, len(listed) - 1, PANELS).round().astype(int)]
    rule = min(listed, key=from_rule)
    if rule not in chosen:
        nearest = min(range(1, PANELS - 1), key=lambda i: abs(chosen[i].ratio - rule.ratio))
        chosen[nearest] = rule
    return chosen


class Comparison(NamedTuple):
    """Models side by side in one figure."""

    models: list[AnalyzedModel]
    titles: list[str]
    words: str
    """What is side by side, for the caption."""


def comparison(models: Sequence[AnalyzedModel]) -> Comparison:
    """One seed per beta, or the seeds where there is one beta alone."""
    chosen = one_per_beta(models)
    if len(chosen) > 1:
        return Comparison(chosen, [model.title for model in chosen], "one seed per β")
    seeds = sorted(models, key=lambda model: model.plan.seed)[:PANELS]
    if len(seeds) == 1:
        return Comparison(seeds, [seeds[0].title], f"seed {seeds[0].plan.seed}")
    return Comparison(seeds, [f"seed {model.plan.seed}" for model in seeds], f"β = {seeds[0].beta}")


def from_rule(model: AnalyzedModel) -> float:
    """How far beta is from where order parameters are best found, or, for a thermal decoder, from the smallest."""
    if model.plan["likelihood"] == "thermal":
        return abs(log(model.training.beta / 2))
    return abs(log(model.ratio / AUTO_FRACTION))


def best(models: Sequence[AnalyzedModel]) -> list[AnalyzedModel]:
    """All seeds at the value of beta nearest to the rule, at the largest size that has it, sorted by seed."""
    good = [model for model in models if RULE[0] <= model.ratio <= RULE[1]] or models
    setting = min(good, key=from_rule).setting
    good = [model for model in good if model.setting == setting]
    size = max(model.plan.size for model in good)
    return sorted((model for model in good if model.plan.size == size), key=lambda model: model.plan.seed)


def rule_setting(models: Sequence[AnalyzedModel]) -> str | None:
    """The setting of beta nearest to the rule among those that several sizes share."""
    several = [m for m in models if len({n.plan.size for n in models if n.setting == m.setting}) > 1]
    return min(several, key=from_rule).setting if several else None


def of_models(records: Iterable[Record], models: Iterable[AnalyzedModel]) -> list[Record]:
    """The records of these models, in their order."""
    ids = {model.plan.train_id for model in models}
    return [record for record in records if record.model is not None and record.model.train_id in ids]


def by_quantity(records: Iterable[Record], model: AnalyzedModel) -> dict[str, Estimate]:
    return {record.quantity: record.estimate for record in of_models(records, [model])}
