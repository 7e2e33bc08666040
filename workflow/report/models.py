"""Trained models as the report sees them: what they are, which belong together, and what things are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.errors import Estimate
from analysis.phases import DISORDERED, display_names
from models.config import AUTO_FRACTION
from workflow.analyze.physics import Physics, physics
from workflow.dataset.origins import DataTask, ShardTask
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table
from workflow.verdict.gates import RULE, components
from workflow.verdict.judging import Record, shown
from workflow.verdict.summary import is_one_point

ORDER_NAMES = {"magnetization": "m", "staggered_magnetization": r"m_\mathrm{stag}"}
PHASE_NAMES = {"magnetization": "FM", "staggered_magnetization": "AFM", DISORDERED: "PM"}
SYMBOLS = {"temperature": "temperature $T$", "hopping": r"hopping $\kappa$"}
PANELS = 5
"""Most models side by side in one figure."""

Drawing = Iterator[tuple[str, str, Figure]]
"""Name, caption and figure."""


class Analyzed(NamedTuple):
    """One trained model and its analysis."""

    plan: ModelPlan
    content: dict[str, Any]
    task: ShardTask
    """One of those it was trained on."""
    points: tuple[tuple[tuple[str, Any], ...], ...]
    """Parameter points that it was trained on, each once, without the size."""
    is_one_point: bool

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.content["result"])

    @property
    def ratio(self) -> float:
        """beta / lam."""
        return float(self.result["beta"] / self.result["top_eigenvalue"])

    @property
    def setting(self) -> str:
        return str(self.plan.beta)

    @property
    def beta(self) -> str:
        """The setting for people."""
        return self.setting.replace("lam", "λ")

    @property
    def title(self) -> str:
        return rf"$\beta={self.result['beta']:.4g}={self.ratio:.2g}\,\lambda$"

    @property
    def physics(self) -> Physics:
        return physics(self.task, self.plan.given_as)

    @property
    def input_space(self) -> str:
        """Name of the analysis of the same data without a model."""
        return str(self.content.get("input_space", f"{self.plan.system}-L={self.plan.size}"))

    @property
    def latents(self) -> int:
        return int(self.plan["latent"])

    @property
    def source(self) -> str:
        """Where the data come from: a system's name, or the kind of a ``[[data]]`` block."""
        return self.task.source if isinstance(self.task, DataTask) else self.plan.system

    @property
    def phase_names(self) -> tuple[str, ...]:
        return display_names(self.content["phases"], PHASE_NAMES)

    @property
    def has_vectors(self) -> bool:
        return any(len(components(self.content, name)) > 1 for name in self.content["canonical"])


def load_analyzed(run: RunDirectory, plans: Iterable[ModelPlan], tasks: Iterable[ShardTask]) -> list[Analyzed]:
    """The analysis of every model of ``runs``, trained on some of ``tasks``."""
    by_id = {task.task_id: task for task in tasks}
    models = []
    for plan in plans:
        content = json.loads((run.analysis / f"{plan.train_id}.json").read_text())
        mine = [by_id[task_id] for task_id in plan.task_ids]
        points = dict.fromkeys(tuple(entry for entry in task.spec if entry[0] != "size") for task in mine)
        models.append(Analyzed(plan, content, mine[0], tuple(sorted(points, key=str)), is_one_point(plan, by_id)))
    return models


def estimate(content: dict[str, Any]) -> Estimate:
    """An ``Estimate`` as it was before it was JSON, from there or from a record."""
    value = content["value"] if "value" in content else content["estimate"]
    value, error = (float("nan") if part is None else part for part in (value, content["error"]))
    return Estimate(value, error, content["samples"], content["method"])


def written(number: dict[str, Any] | None) -> str:
    """An ``Estimate`` from JSON, its error in brackets; nothing of None."""
    return "" if number is None else shown(number["value"], number["error"])


def order_name(name: str) -> str:
    """An order parameter, or a component of one, as mathematics: ``magnetization_x`` is m_x."""
    for stem in sorted(ORDER_NAMES, key=len, reverse=True):
        if name == stem:
            return f"${ORDER_NAMES[stem]}$"
        if name.startswith(f"{stem}_"):
            index = name.removeprefix(f"{stem}_")
            symbol = ORDER_NAMES[stem]
            inner = symbol.partition("_")[2]
            return f"$m_{{{inner}{',' if inner else ''}{index}}}$"
    return name.replace("_", " ")


def words(name: str) -> str:
    """A phase or order parameter for people."""
    return PHASE_NAMES[name] if name == DISORDERED else name.replace("_", " ")


def latent_names(model: Analyzed) -> list[str]:
    return [f"$z_{{{unit + 1}}}$" for unit in range(model.latents)]


def groups(models: Sequence[Analyzed]) -> dict[str, list[Analyzed]]:
    """Models that differ in size, beta and seed alone, by network, or by block where one network has several kinds;
    and by what they are given of a configuration."""
    found: dict[Any, list[Analyzed]] = {}
    for model in models:
        key = (model.plan.network, model.plan.system, model.plan.settings, model.points)
        found.setdefault(key, []).append(model)
    named: dict[str, list[Analyzed]] = {}
    for mine in found.values():
        plan = mine[0].plan
        others = [other[0].plan for other in found.values() if other[0].plan.given_as == plan.given_as]
        alone = sum(other.network == plan.network for other in others) == 1
        block = sum(other.name == plan.name for other in others) == 1
        label = plan.network if alone else plan.name if block else f"{plan.name}-{plan.network}"
        label += "" if plan.given_as == "raw" else f"-{plan.given_as}"
        named[label if label not in named else f"{label}-{plan.system}"] = mine
    return named


def by_seed(models: Iterable[Analyzed]) -> list[list[Analyzed]]:
    """Models that differ in their seed alone, together."""
    found: dict[Any, list[Analyzed]] = {}
    for model in models:
        key = model.plan.name, model.plan.given_as, model.plan.network, model.plan.size, model.beta
        found.setdefault(key, []).append(model)
    return list(found.values())


def size_of_sweep(models: Sequence[Analyzed]) -> int:
    """The size with most values of beta (the largest of several)."""
    betas: dict[int, set[str]] = {}
    for model in models:
        betas.setdefault(model.plan.size, set()).add(model.setting)
    return max(betas, key=lambda size: (len(betas[size]), size))


def one_per_beta(models: Sequence[Analyzed]) -> list[Analyzed]:
    """The first seed at up to ``PANELS`` values of beta, ends included."""
    first: dict[str, Analyzed] = {}
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


class Compared(NamedTuple):
    """Models side by side in one figure."""

    models: list[Analyzed]
    titles: list[str]
    words: str
    """What is side by side, for the caption."""


def compared(models: Sequence[Analyzed]) -> Compared:
    """One seed per beta, or the seeds where there is one beta alone."""
    chosen = one_per_beta(models)
    if len(chosen) > 1:
        return Compared(chosen, [model.title for model in chosen], "one seed per β")
    seeds = sorted(models, key=lambda model: model.plan.seed)[:PANELS]
    if len(seeds) == 1:
        return Compared(seeds, [seeds[0].title], f"seed {seeds[0].plan.seed}")
    return Compared(seeds, [f"seed {model.plan.seed}" for model in seeds], f"β = {seeds[0].beta}")


def from_rule(model: Analyzed) -> float:
    """How far beta is from where order parameters are best found, or, for a thermal decoder, from the smallest."""
    if model.plan["likelihood"] == "thermal":
        return abs(log(model.result["beta"] / 2))
    return abs(log(model.ratio / AUTO_FRACTION))


def best(models: Sequence[Analyzed]) -> list[Analyzed]:
    """All seeds at the value of beta nearest to the rule, at the largest size that has it, sorted by seed."""
    good = [model for model in models if RULE[0] <= model.ratio <= RULE[1]] or models
    setting = min(good, key=from_rule).setting
    good = [model for model in good if model.setting == setting]
    size = max(model.plan.size for model in good)
    return sorted((model for model in good if model.plan.size == size), key=lambda model: model.plan.seed)


def rule_setting(models: Sequence[Analyzed]) -> str | None:
    """The setting of beta nearest to the rule among those that several sizes share."""
    several = [m for m in models if len({n.plan.size for n in models if n.setting == m.setting}) > 1]
    return min(several, key=from_rule).setting if several else None


def of_model(records: Iterable[Record], models: Iterable[Analyzed]) -> list[Record]:
    ids = {model.plan.train_id for model in models}
    return [record for record in records if record.get("train_id") in ids]


def by_quantity(records: Iterable[Record], model: Analyzed) -> dict[str, Estimate]:
    return {record["quantity"]: estimate(record) for record in of_model(records, [model])}


def shown_components(model: Analyzed) -> list[str]:
    """At most three columns to colour latents by: every order parameter by sign, or the first vector's components."""
    vectors = [name for name in model.content["canonical"] if len(components(model.content, name)) > 1]
    if vectors:
        return components(model.content, vectors[0])[:3]
    signs = [order for order in model.physics.orders if order.kind == "sign"]
    present = [order for order in signs if order.name in model.content["canonical"]] or signs
    return [order.components[0] for order in present[:3]]


class Scatter(NamedTuple):
    """Held-out latents kept for the figures."""

    mean_SZ: NDArray[np.float64]
    label_S: NDArray[np.intp]
    """Index into ``names``."""
    names: tuple[str, ...]
    """Phases for people; the one without order last."""
    has_disorder: bool
    order_SK: NDArray[np.float64]


def read_scatter(run: RunDirectory, model: Analyzed, orders: Sequence[str]) -> Scatter:
    """Latents, phases and some columns of order parameters; figures expect the disordered phase to be the last."""
    table = read_table(run.analysis / f"{model.plan.train_id}-scatter.parquet")

    def columns(names: Iterable[str]) -> NDArray[np.float64]:
        found = [table.column(name).to_numpy() for name in names]
        return np.stack(found, axis=1).astype(float) if found else np.empty((len(table), 0))

    raw = model.content["phases"]
    last = sorted(range(len(raw)), key=lambda phase: raw[phase] == DISORDERED)
    place = np.argsort(last)
    names = tuple(model.phase_names[phase] for phase in last)
    means = columns(f"mean_{unit}" for unit in range(model.latents))
    return Scatter(means, place[table.column("phase").to_numpy()], names, DISORDERED in raw, columns(orders))
