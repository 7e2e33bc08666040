"""Figures of one group of models as curves: learning, free energy, collapse, temperature, lattice size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analysis import scans
from analysis.errors import Estimate
from analysis.figures import curves
from analysis.figures import training as training_figures
from analysis.latent_space.mmd import Neighbours
from models.config import TrainConfig
from workflow.report.models import (
    SYMBOLS,
    Analyzed,
    Drawing,
    best,
    by_quantity,
    estimate,
    latent_names,
    of_model,
    order_name,
    rule_setting,
)
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict.gates import CANONICAL, DISENTANGLED, asked, components
from workflow.verdict.judging import Record

MOST_LATENTS = 4
"""Latents drawn against temperature one by one; beyond, those that carry most."""


SHORT = {
    "coupling": "J",
    "states": "q",
    "quartic": r"\lambda",
    "crystal_field": "D",
    "temperature": "T",
    "interaction": "U",
    "hybridization": "V",
}
"""Symbols of what branches are told apart by."""


def metrics(run: RunDirectory, model: Analyzed) -> list[dict[str, Any]]:
    """One line per epoch."""
    text = run.training(model.plan.train_id).metrics.read_text()
    return [json.loads(line) for line in text.splitlines()]


def learning(run: RunDirectory, models: Sequence[Analyzed], label: str) -> Drawing:
    """Learning curves of all seeds, and the free energy of latent space where it was noted."""
    good = best(models)
    first = good[0]
    kicks = TrainConfig(epochs=first.plan["epochs"], axes=first.plan["axes"]).kick_epochs
    drawn, energies = [], []
    for model in good:
        lines = metrics(run, model)
        epoch_E = np.array([line["epoch"] for line in lines], dtype=float)
        seed = f"seed {model.plan.seed}"
        loss_E, kl_EZ = np.array([line["reconstruction"] for line in lines]), np.array([line["kl"] for line in lines])
        drawn.append(training_figures.LearningCurve(seed, epoch_E, loss_E, kl_EZ))
        if all(line.get("free_energy") is not None and line.get("gap") is not None for line in lines):
            parts = (np.array([line[name] for line in lines]) for name in ("free_energy", "gap"))
            energies.append(training_figures.FreeEnergyCurve(seed, epoch_E, *parts))
    dotted = "; dotted: label-free rotations onto the axes" if kicks else ""
    caption = f"Learning curves of all seeds, {label}, L = {first.plan.size}, β = {first.beta}{dotted}."
    yield f"learning-{label}", caption, training_figures.learning_curves(drawn, kicks)
    if energies and len(energies[0].epoch_E) > 1:
        caption = (
            f"The two parts of the objective, {label}, L = {first.plan.size}: the decoder's free energy −β⟨ln Z_x⟩ "
            "(Eq. 12) and the gap that the best encoder would close. Right: distance of each to its value after the "
            "last epoch. The paper says that the encoder converges faster than the decoder."
        )
        yield f"free-energy-{label}", caption, training_figures.free_energies(energies, kicks)


def collapse(models: Sequence[Analyzed], records: Sequence[Record], label: str) -> Drawing:
    """KL per unit against beta / lam at one size, with what would be read off if one did not look at it."""
    drawn = []
    names, ylabel, found = _scale_free(models, records)
    for model in models:
        divergence = tuple(estimate(unit) for unit in model.content["information"]["divergence"])
        values = found.get(model.plan.train_id)
        if values is not None and len(divergence) == models[0].latents:
            drawn.append(curves.CollapsePoint(model.ratio, divergence, values))
    if drawn:
        remark = f"; {ylabel} has no scale, and counts only where KL does not vanish" if names else ""
        where = f"at L = {models[0].plan.size}, {label}"
        caption = f"KL per unit against β / λ {where}. Above λ the latents carry nothing{remark}."
        yield f"collapse-{label}", caption, curves.collapse(drawn, names, ylabel)


def _scale_free(
    models: Sequence[Analyzed], records: Sequence[Record]
) -> tuple[list[str], str, dict[str, tuple[Estimate, ...]]]:
    """Names, what they are, and by model the numbers that have no scale: correlations, else accuracies."""
    first = models[0]
    found = {model.plan.train_id: by_quantity(records, model) for model in models}
    if first.content["correlation"] is not None:
        columns = [first.content["order_parameters"][k] for k in first.content["orders"]]
        quantities, ylabel = {f"correlation_{name}": order_name(name) for name in columns}, "|correlation|"
    elif first.has_vectors:
        quantities = {f"canonical_{name}": order_name(name) for name in first.content["canonical"]}
        ylabel = "canonical corr²"
    else:
        quantities = {"accuracy": "clusters", "probe_accuracy_means": "linear probe"}
        ylabel = "accuracy"
    known = [name for name in quantities if all(name in values for values in found.values())]
    numbers = {train_id: tuple(values[name] for name in known) for train_id, values in found.items()}
    return [quantities[name] for name in known], ylabel, numbers


def thermal(model: Analyzed, label: str) -> Drawing:
    """Order parameters and latents against temperature, or what was scanned in its place."""
    branches = [branch for branch in model.content["thermal"] if branch["scan"]["temperature"]]
    if not branches:
        return
    orders, latents = _scanned(model, branches[0]["columns"])
    labels = [branch["branch"] for branch in branches]
    panels = {
        _branch(name, labels): _scans(branch, list(orders), list(latents))
        for name, branch in zip(labels, branches, strict=True)
    }
    parameter = branches[0]["parameter"]
    lengths = "lengths of order parameter and latents" if model.has_vectors else "|order parameter| and |latent|"
    caption = (
        f"Mean {lengths} against {parameter}, {label}, L = {model.plan.size}, seed {model.plan.seed}"
        f"{'; points between the training sets were never trained on' if _is_wider(model, branches) else ''}."
    )
    symbol = SYMBOLS.get(parameter, parameter.replace("_", " "))
    figure = curves.thermal_scan(panels, list(orders.values()), list(latents.values()), symbol)
    yield f"thermal-{label}", caption, figure


def _scanned(model: Analyzed, columns: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Columns of order parameters and of latents to draw, with their names for people."""
    if "length_latent" in columns and model.has_vectors:
        lengths = [name for name in columns if name.startswith("length_") and name != "length_latent"]
        present = [name for name in lengths if name.removeprefix("length_") in model.content["canonical"]]
        return {name: order_name(name[7:]) for name in present}, {"length_latent": "$z$"}
    names = dict(zip((f"latent_{unit}" for unit in range(model.latents)), latent_names(model), strict=True))
    if model.latents > MOST_LATENTS:
        divergence = [unit["value"] for unit in model.content["information"]["divergence"]]
        most = sorted(np.argsort(divergence)[::-1][:MOST_LATENTS].tolist())
        names = {f"latent_{unit}": names[f"latent_{unit}"] for unit in most}
    signs = [name for name in model.content["order_parameters"] if len(components(model.content, name)) == 1]
    return {name: order_name(name) for name in signs if name in columns}, names


def _is_wider(model: Analyzed, branches: Sequence[dict[str, Any]]) -> bool:
    parameter = branches[0]["parameter"]
    trained = {float(dict(point)[parameter]) for point in model.points}
    return any(set(branch["scan"]["temperature"]) - trained for branch in branches)


def _branch(label: str, among: Iterable[str]) -> str:
    """``coupling = 1.0; field = 0.0`` in short: couplings, and of the rest what is not the same in all of ``among``."""
    parts = [part.split(" = ") for part in label.split("; ") if " = " in part and part != "field = 0.0"]
    others = [set(other.split("; ")) for other in among]
    told = [part for part in parts if part[0] in SHORT or not all(" = ".join(part) in other for other in others)]
    return ", ".join(symbolic(name, value) for name, value in told)


def symbolic(name: str, value: float | str) -> str:
    """A parameter and its value, by its symbol where it has one."""
    return f"${SHORT[name]}={float(value):g}$" if name in SHORT else f"{name.replace('_', ' ')} {value}"


def _scans(branch: dict[str, Any], orders: Sequence[str], latents: Sequence[str]) -> tuple[scans.Scan, scans.Scan]:
    temperature, columns = tuple(branch["scan"]["temperature"]), branch["columns"]
    rows = [tuple(estimate(e) for e in row) for row in branch["scan"]["mean_TF"]]

    def of(names: Sequence[str]) -> scans.Scan:
        return scans.Scan(temperature, tuple(tuple(row[columns.index(name)] for name in names) for row in rows))

    return of(orders), of(latents)


QUANTITIES = {
    "kl_0": "KL of $z_1$ (nat)",
    "kl_1": "KL of $z_2$ (nat)",
    "angle": "angle to the axes (deg)",
    "cross_correlation": "|corr| across",
    "accuracy": "cluster accuracy",
}
"""Panels of the figure against L, besides those of each order parameter."""
OF_ORDERS = {
    "correlation_": "|corr| with",
    "canonical_": "canonical corr²,",
    "aligned_": "|corr| after rotation,",
    "isometry_": "isometry ratio,",
    "distance_ratio_": "edge / spoke,",
}
VECTORS_ONLY = ("canonical_", "aligned_", "distance_ratio_")
"""Of an order parameter by sign, its correlation and isometry say the same."""


def sizes(models: Sequence[Analyzed], records: Sequence[Record], label: str, settings: AnalyzeBlock) -> Drawing:
    """Every quantity of the verdict against lattice size, at the value of beta that several sizes share."""
    setting = rule_setting(models)
    mine = [model for model in models if model.setting == setting]
    if not mine:
        return
    rows = of_model(records, mine)
    found = dict.fromkeys(record["quantity"] for record in rows)
    is_pair = mine[0].latents <= 2
    labels = {} if is_pair else {q: f"KL of unit(s), {order_name(q[6:])}" for q in found if q.startswith("kl_of_")}
    labels |= {q: text for q, text in QUANTITIES.items() if q in found and (is_pair or not q.startswith("kl_"))}
    for start, text in OF_ORDERS.items():
        if start not in VECTORS_ONLY or mine[0].has_vectors:
            labels |= {q: f"{text} {order_name(q.removeprefix(start))}" for q in found if q.startswith(start)}
    drawn = [
        scans.Record(r["quantity"], r["system"], r["size"], r["beta"], r["seed"], estimate(r))
        for r in rows
        if r["quantity"] in labels
    ]
    caption = f"Against lattice size at β = {mine[0].beta}, {label}: every seed, held-out samples; dotted: the gates."
    gates = {gate.words: gate for gate in (*DISENTANGLED, CANONICAL)}
    gates |= {gate.words: gate for gate in asked(str(rows[0].get("subject", "order parameters")), settings)}
    bounds = {
        quantity: tuple(bound for bound in (gate.low, gate.high) if np.isfinite(bound))
        for quantity in labels
        for gate in gates.values()
        if gate.judged and gate.quantity(quantity)
    }
    yield f"sizes-{label}", caption, curves.against_size(drawn, labels, bounds)


def neighbours(run: RunDirectory, systems: Iterable[str]) -> Drawing:
    """Distances of neighbouring temperatures in input space, a figure per system and way in which models see it."""
    for system in dict.fromkeys(systems):
        results = [json.loads(path.read_text()) for path in sorted(run.analysis.glob(f"{system}-L=*.json"))]
        for given_as in dict.fromkeys(content.get("input", "raw") for content in results):
            mine = [content for content in results if content.get("input", "raw") == given_as]
            name = "neighbours" if len(set(systems)) == 1 else f"neighbours-{system}"
            name += "" if given_as == "raw" else f"-{given_as}"
            yield from _neighbours_of(mine, system if given_as == "raw" else f"{system} ({given_as})", name)


def _neighbours_of(results: Iterable[dict[str, Any]], system: str, name: str) -> Drawing:
    """The same of results that belong in one figure."""
    drawn, parameter = [], "temperature"
    results = list(results)
    labels = [branch["branch"] for content in results for branch in content["thermal"]]
    for content in results:
        for branch in content["thermal"]:
            steps, parameter = branch["neighbours"], branch["parameter"]
            found = Neighbours(tuple(steps["temperature"]), tuple(estimate(e) for e in steps["distance"]))
            drawn.append(curves.NeighbourCurve(content["size"], _branch(branch["branch"], labels), found))
    # A single distance is no curve, and in the table of distances anyway.
    if not any(len(curve.neighbours.distance) > 1 for curve in drawn):
        return
    drawn.sort(key=lambda curve: curve.size)
    plural = "temperatures" if parameter == "temperature" else f"values of the {parameter.replace('_', ' ')}"
    caption = (
        f"Distance of first moments (Eq. 9) between neighbouring {plural} of {system} in input space, per root "
        "of the number of sites, each sample first turned into one and the same ordered phase: largest at the "
        "transition."
    )
    yield name, caption, curves.neighbour_distances(drawn, "MMD $/ N^{1/2}$", SYMBOLS.get(parameter, parameter))
