"""Figures of the report: picks models and results, hands them to ``analysis`` to draw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis import curves, figures, scans
from analysis.errors import Estimate
from analysis.mmd import Neighbours
from analysis.phases import DISORDERED, display_names
from analysis.style import to_svg
from models.config import AUTO_FRACTION, TrainConfig
from workflow.analyze_model import PLANE
from workflow.layout import RunDirectory, write_whole
from workflow.plan import TrainingRun
from workflow.summary import DISENTANGLED, RULE, Record

ORDER_NAMES = {"magnetization": "$m$", "staggered_magnetization": r"$m_\mathrm{stag}$"}
PHASE_NAMES = {"magnetization": "FM", "staggered_magnetization": "AFM", DISORDERED: "PM"}
PANELS = 5
"""Most models side by side in one figure."""


class Analyzed(NamedTuple):
    """One trained model and its analysis."""

    item: TrainingRun
    content: dict[str, Any]

    @property
    def ratio(self) -> float:
        """beta / lam."""
        return float(self.content["result"]["beta"] / self.content["result"]["top_eigenvalue"])

    @property
    def title(self) -> str:
        beta = self.content["result"]["beta"]
        return rf"$\beta={beta:.4g}={self.ratio:.2g}\,\lambda$"


class Picture(NamedTuple):
    """One figure of the page."""

    name: str
    caption: str
    svg: str


def estimate(content: dict[str, Any]) -> Estimate:
    """An ``Estimate`` as it was before it was JSON."""
    value, error = (float("nan") if content[key] is None else content[key] for key in ("value", "error"))
    return Estimate(value, error, content["samples"], content["method"])


def load_analyzed(run: RunDirectory, runs: Iterable[TrainingRun]) -> list[Analyzed]:
    """The analysis of every model of ``runs``."""
    return [Analyzed(item, json.loads((run.analysis / f"{item.train_id}.json").read_text())) for item in runs]


def order_name(name: str) -> str:
    return ORDER_NAMES.get(name, name.replace("_", " "))


def rule_setting(models: Sequence[Analyzed]) -> str | None:
    """The setting of beta nearest to the rule among those that several sizes share."""
    several = [m for m in models if len({n.item.size for n in models if n.item.beta == m.item.beta}) > 1]
    return str(min(several, key=lambda model: abs(log(model.ratio / AUTO_FRACTION))).item.beta) if several else None


def draw_all(run: RunDirectory, models: list[Analyzed], records: list[Record]) -> list[Picture]:
    """Every figure that the results of this run allow; also written to ``report/figures``."""
    pictures = []
    for name, caption, figure in _figures(run, models, records):
        svg = to_svg(figure)
        # A file of its own has no page to take its colours from.
        alone = svg.replace("<svg ", '<svg color="black" ', 1).replace('style="', 'style="background: white; ', 1)
        write_whole(run.figures / f"{name}.svg", alone)
        pictures.append(Picture(name, caption, svg))
    return pictures


def _figures(run: RunDirectory, models: list[Analyzed], records: list[Record]) -> Iterator[tuple[str, str, Figure]]:
    for label, mine in _alike(models).items():
        size = _size_of_sweep(mine)
        yield from _sweep_figures(run, [model for model in mine if model.item.size == size], label, size)
        yield from _best_figures(run, mine, label)
        if len({model.item.size for model in mine}) > 1:
            yield from _size_figures(mine, records, label)
    yield from _input_figures(run)


def _alike(models: list[Analyzed]) -> dict[str, list[Analyzed]]:
    """Models that differ in size, beta and seed alone, by network, or by block where one network has several kinds."""
    groups: dict[Any, list[Analyzed]] = {}
    for model in models:
        groups.setdefault((model.item.network, model.item.system, model.item.settings), []).append(model)
    networks = [network for network, _, _ in groups]
    return {
        network if networks.count(network) == 1 else mine[0].item.name: mine for (network, _, _), mine in groups.items()
    }


def _size_of_sweep(models: list[Analyzed]) -> int:
    """The size with most values of beta (the largest of several)."""
    betas: dict[int, set[str]] = {}
    for model in models:
        betas.setdefault(model.item.size, set()).add(str(model.item.beta))
    return max(betas, key=lambda size: (len(betas[size]), size))


def _one_per_beta(models: list[Analyzed]) -> list[Analyzed]:
    """The first seed at up to ``PANELS`` values of beta, ends included."""
    first: dict[str, Analyzed] = {}
    for model in sorted(models, key=lambda model: (model.ratio, model.item.seed)):
        first.setdefault(f"{model.ratio:.3f}", model)
    listed = list(first.values())
    if len(listed) <= PANELS:
        return listed
    chosen = [listed[i] for i in np.linspace(0, len(listed) - 1, PANELS).round().astype(int)]
    rule = min(listed, key=lambda model: abs(log(model.ratio / AUTO_FRACTION)))
    if rule not in chosen:
        nearest = min(range(1, PANELS - 1), key=lambda i: abs(chosen[i].ratio - rule.ratio))
        chosen[nearest] = rule
    return chosen


def _scatter(run: RunDirectory, model: Analyzed, title: str) -> figures.LatentPanel:
    table = pq.read_table(run.analysis / f"{model.item.train_id}-scatter.parquet")

    def columns(names: Iterable[str]) -> NDArray[np.float64]:
        found = [table.column(name).to_numpy() for name in names]
        return np.stack(found, axis=1) if found else np.empty((len(table), 0))

    return figures.LatentPanel(
        title,
        columns(("mean_0", "mean_1")),
        table.column("phase").to_numpy(),
        columns(model.content["order_parameters"]),
    )


def fields(run: RunDirectory, model: Analyzed, kind: str) -> NDArray[np.float32]:
    """Decoded mean fields (n, H, W) kept by the analysis: ``generated`` or ``plane``."""
    table = pq.read_table(run.analysis / f"{model.item.train_id}-fields.parquet").combine_chunks()
    shape = json.loads(table.schema.field("mean_field").metadata[b"shape"])
    rows = [row for row, name in enumerate(table.column("kind").to_pylist()) if name == kind]
    raw = [table.column("mean_field")[row].as_py() for row in rows]
    return np.frombuffer(b"".join(raw), "<f4").reshape(-1, *shape)[:, 0]


def _phase_names(model: Analyzed) -> tuple[str, ...]:
    return display_names(model.content["phases"], PHASE_NAMES)


def _flat(models: list[Analyzed]) -> list[Analyzed]:
    return [model for model in models if model.item["latent"] == 2]


def _sweep_figures(
    run: RunDirectory, models: list[Analyzed], network: str, size: int
) -> Iterator[tuple[str, str, Figure]]:
    chosen = _one_per_beta(_flat(models))
    if chosen:
        orders = [order_name(name) for name in chosen[0].content["order_parameters"]]
        panels = [_scatter(run, model, model.title) for model in chosen]
        caption = (
            f"Latent means of held-out samples, {network}, L = {size}, one seed per β: by phase, and by each order "
            "parameter (the paper's Figs. 3 and 4). Axes are the network's own."
        )
        yield f"latents-{network}", caption, figures.latent_scatter(panels, _phase_names(chosen[0]), orders)
    chosen = _one_per_beta(models)
    tiles = [figures.FieldPanel(model.title, fields(run, model, "generated").astype(float)) for model in chosen]
    caption = f"Sixteen mean fields m_k decoded from z ~ N(0, 1) at each β, {network}, L = {size} (Fig. 2)."
    yield f"generated-{network}", caption, figures.generated_fields(tiles)
    if len({f"{model.ratio:.3f}" for model in models}) > 2:
        points = [_collapse_point(model) for model in models if model.content["correlation"]]
        names = [order_name(models[0].content["order_parameters"][k]) for k in models[0].content["orders"]]
        caption = (
            f"KL per unit and |correlation| against β / λ at L = {size}, {network}. Above λ the latents carry "
            "nothing, yet they still correlate: correlations count only where KL does not vanish."
        )
        yield f"collapse-{network}", caption, curves.collapse(points, names)


def _collapse_point(model: Analyzed) -> curves.CollapsePoint:
    divergence = tuple(estimate(unit) for unit in model.content["information"]["divergence"])
    own = tuple(estimate(pair["own"]) for pair in model.content["correlation"]["pairs"])
    return curves.CollapsePoint(model.ratio, divergence, own)


def _best_figures(run: RunDirectory, models: list[Analyzed], network: str) -> Iterator[tuple[str, str, Figure]]:
    """Figures of the models within the rule for beta, at the largest size."""
    good = [model for model in models if RULE[0] <= model.ratio <= RULE[1]] or models
    setting = str(min(good, key=lambda model: abs(log(model.ratio / AUTO_FRACTION))).item.beta)
    good = [model for model in good if str(model.item.beta) == setting]
    size = max(model.item.size for model in good)
    good = sorted((model for model in good if model.item.size == size), key=lambda model: model.item.seed)
    first = good[0]
    if first.item["latent"] == 2:
        points = len(PLANE)
        plane = fields(run, first, "plane").astype(float)
        plane = plane.reshape(points, points, *plane.shape[1:])
        caption = f"Mean fields decoded over the latent plane, {network}, L = {size}, seed {first.item.seed} (Fig. 4)."
        yield f"plane-{network}", caption, figures.latent_plane(plane, PLANE, PLANE, first.title)
    kicks = TrainConfig(epochs=first.item["epochs"], axes=first.item["axes"]).kick_epochs
    caption = f"Learning curves of all seeds, {network}, L = {size}; dotted: label-free rotations onto the axes."
    yield f"learning-{network}", caption, curves.learning_curves([_learning(run, model) for model in good], kicks)
    if any(len(branch["columns"]) for branch in first.content["thermal"]):
        names = [order_name(name) for name in first.content["order_parameters"]]
        latents = [f"$z_{unit + 1}$" for unit in range(first.item["latent"])]
        caption = (
            f"Mean |order parameter| and mean |latent| against temperature, {network}, L = {size}, "
            f"seed {first.item.seed}; temperatures between the training sets were never trained on."
        )
        panels = {branch["branch"]: _scan(branch, len(latents)) for branch in first.content["thermal"]}
        yield f"thermal-{network}", caption, curves.thermal_scan(panels, names, latents)


def _learning(run: RunDirectory, model: Analyzed) -> curves.LearningCurve:
    lines = [json.loads(text) for text in run.training(model.item.train_id).metrics.read_text().splitlines()]
    return curves.LearningCurve(
        f"seed {model.item.seed}",
        np.array([line["epoch"] for line in lines], dtype=float),
        np.array([line["reconstruction"] for line in lines]),
        np.array([line["kl"] for line in lines]),
    )


def _scan(branch: dict[str, Any], latents: int) -> tuple[scans.Scan, scans.Scan]:
    temperature = tuple(branch["scan"]["temperature"])
    rows = [tuple(estimate(e) for e in row) for row in branch["scan"]["mean_TF"]]
    return (
        scans.Scan(temperature, tuple(row[latents:] for row in rows)),
        scans.Scan(temperature, tuple(row[:latents] for row in rows)),
    )


QUANTITIES = {
    "kl_0": "KL of $z_1$ (nat)",
    "kl_1": "KL of $z_2$ (nat)",
    "angle": "angle to the axes (deg)",
    "cross_correlation": "|corr| across",
    "accuracy": "cluster accuracy",
}
"""Panels of the figure against L, besides the correlation and isometry of each order parameter."""


def _size_figures(models: list[Analyzed], records: list[Record], network: str) -> Iterator[tuple[str, str, Figure]]:
    setting = rule_setting(models)
    ids = {model.item.train_id for model in models if str(model.item.beta) == setting}
    rows = [r for r in records if r.get("train_id") in ids]
    if not rows:
        return
    found = dict.fromkeys(record["quantity"] for record in rows)
    labels = {q: text for q, text in QUANTITIES.items() if q in found}
    labels |= {q: f"|corr| with {order_name(q[12:])}" for q in found if q.startswith("correlation_")}
    labels |= {q: f"isometry ratio, {order_name(q[9:])}" for q in found if q.startswith("isometry_")}
    drawn = [
        scans.Record(
            r["quantity"],
            r["system"],
            r["size"],
            r["beta"],
            r["seed"],
            estimate({**r, "value": r["estimate"]}),
        )
        for r in rows
        if r["quantity"] in labels
    ]
    caption = f"Against lattice size at β = {setting}, {network}: every seed, held-out samples; dotted: the gates."
    yield f"sizes-{network}", caption, curves.against_size(drawn, labels, _bounds(labels))


def _bounds(quantities: Iterable[str]) -> dict[str, tuple[float, ...]]:
    return {
        quantity: tuple(bound for bound in (gate.low, gate.high) if np.isfinite(bound))
        for quantity in quantities
        for gate in DISENTANGLED
        if gate.quantity(quantity)
    }


def _input_figures(run: RunDirectory) -> Iterator[tuple[str, str, Figure]]:
    drawn = []
    for path in sorted(run.analysis.glob("*-L=*.json")):
        content = json.loads(path.read_text())
        for branch in content["thermal"]:
            steps = branch["neighbours"]
            neighbours = Neighbours(tuple(steps["temperature"]), tuple(estimate(e) for e in steps["distance"]))
            drawn.append(curves.NeighbourCurve(content["size"], branch["branch"], neighbours))
    if drawn:
        drawn.sort(key=lambda curve: curve.size)
        caption = (
            "Distance of first moments (Eq. 9) between neighbouring temperatures in input space, per root of the number"
            " of sites, each sample folded by the sign of its order parameter: largest at the transition."
        )
        yield "neighbours", caption, curves.neighbour_distances(drawn, "MMD $/ N^{1/2}$")
