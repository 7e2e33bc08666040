"""Figures of one group of models as curves: learning, free energy, collapse, lattice size; and of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis import scans
from analysis.errors import Estimate
from analysis.figures import curves
from analysis.figures import training as training_figures
from models.config import TrainConfig
from workflow.analyze.models import AnalyzedModel, best, by_quantity, of_models, rule_setting
from workflow.analyze.naming import SYMBOLS, branch_label, order_name
from workflow.analyze.part import Drawing
from workflow.analyze.parts import canonical, correlation, information
from workflow.analyze.sizes import SizeAnalysis, read_sizes
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import AnalyzeBlock
from workflow.train.metrics import free_energies, read_metrics
from workflow.verdict.gates import CANONICAL, DISENTANGLED, SIGNS, gates_of
from workflow.verdict.records import Record


def learning(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """Learning curves of all seeds, and the free energy of latent space where it was noted."""
    good = best(models)
    first = good[0]
    kicks = TrainConfig(epochs=first.plan["epochs"], axes=first.plan["axes"]).kick_epochs
    drawn, energies = [], []
    for model in good:
        epochs = read_metrics(run, model.plan.train_id)
        epoch_E, seed = np.array([line.epoch for line in epochs], dtype=float), f"seed {model.plan.seed}"
        loss_E, kl_EZ = np.array([line.reconstruction for line in epochs]), np.array([line.kl for line in epochs])
        drawn.append(training_figures.LearningCurve(seed, epoch_E, loss_E, kl_EZ))
        if (parts := free_energies(epochs)) is not None:
            energies.append(training_figures.FreeEnergyCurve(seed, epoch_E, *parts))
    dotted = "; dotted: label-free rotations onto the axes" if kicks else ""
    caption = f"Learning curves of all seeds, {label}, L = {first.plan.size}, β = {first.beta}{dotted}."
    yield Drawing(f"learning-{label}", caption, training_figures.learning_curves(drawn, kicks))
    if energies and len(energies[0].epoch_E) > 1:
        caption = (
            f"The two parts of the objective, {label}, L = {first.plan.size}: the decoder's free energy −β⟨ln Z_x⟩ "
            "(Eq. 12) and the gap that the best encoder would close. Right: distance of each to its value after the "
            "last epoch. The paper says that the encoder converges faster than the decoder."
        )
        yield Drawing(f"free-energy-{label}", caption, training_figures.free_energies(energies, kicks))


def collapse(models: Sequence[AnalyzedModel], records: Sequence[Record], label: str) -> Iterator[Drawing]:
    """KL per unit against beta / lam at one size, with what would be read off if one did not look at it."""
    drawn = []
    names, ylabel, numbers = _scale_free(models, records)
    for model in models:
        divergence = information.of(model.analysis).divergence
        values = numbers.get(model.plan.train_id)
        if values is not None and len(divergence) == models[0].latents:
            drawn.append(curves.CollapsePoint(model.ratio, divergence, values))
    if drawn:
        remark = f"; {ylabel} has no scale, and counts only where KL does not vanish" if names else ""
        where = f"at L = {models[0].plan.size}, {label}"
        caption = f"KL per unit against β / λ {where}. Above λ the latents carry nothing{remark}."
        yield Drawing(f"collapse-{label}", caption, curves.collapse(drawn, names, ylabel))


def _scale_free(
    models: Sequence[AnalyzedModel], records: Sequence[Record]
) -> tuple[list[str], str, dict[str, tuple[Estimate, ...]]]:
    """Names, what they are, and by model the numbers that have no scale: correlations, else accuracies."""
    first = models[0].analysis
    values = {model.plan.train_id: by_quantity(records, model) for model in models}
    if first[correlation.PART] is not None:
        columns = [first.order_parameters[k] for k in first.orders]
        quantities, ylabel = {f"correlation_{name}": order_name(name) for name in columns}, "|correlation|"
    elif canonical.vectors(first):
        quantities = {f"canonical_{name}": order_name(name) for name in canonical.ordered(first)}
        ylabel = "canonical corr²"
    else:
        quantities = {"accuracy": "clusters", "probe_accuracy_means": "linear probe"}
        ylabel = "accuracy"
    of_all = [name for name in quantities if all(name in of_model for of_model in values.values())]
    numbers = {train_id: tuple(of_model[name] for name in of_all) for train_id, of_model in values.items()}
    return [quantities[name] for name in of_all], ylabel, numbers


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


def sizes(
    models: Sequence[AnalyzedModel], records: Sequence[Record], label: str, settings: AnalyzeBlock
) -> Iterator[Drawing]:
    """Every quantity of the verdict against lattice size, at the value of beta that several sizes share."""
    setting = rule_setting(models)
    of_setting = [model for model in models if model.setting == setting]
    if not of_setting:
        return
    first = of_setting[0]
    rows = of_models(records, of_setting)
    quantities = dict.fromkeys(record.quantity for record in rows)
    is_pair = first.latents <= 2
    labels = {} if is_pair else {q: f"KL of unit(s), {order_name(q[6:])}" for q in quantities if q.startswith("kl_of_")}
    labels |= {q: text for q, text in QUANTITIES.items() if q in quantities and (is_pair or not q.startswith("kl_"))}
    for start, text in OF_ORDERS.items():
        if start not in VECTORS_ONLY or canonical.vectors(first.analysis):
            labels |= {q: f"{text} {order_name(q.removeprefix(start))}" for q in quantities if q.startswith(start)}
    drawn = [of_scan(record) for record in rows if record.quantity in labels]
    caption = f"Against lattice size at β = {first.beta}, {label}: every seed, held-out samples; dotted: the gates."
    gates = {gate.words: gate for gate in (*DISENTANGLED, CANONICAL)}
    subject = rows[0].model.subject if rows and rows[0].model else SIGNS
    gates |= {gate.words: gate for gate in gates_of(subject, settings)}
    bounds = {
        quantity: tuple(bound for bound in (gate.low, gate.high) if np.isfinite(bound))
        for quantity in labels
        for gate in gates.values()
        if gate.judged and gate.quantity(quantity)
    }
    yield Drawing(f"sizes-{label}", caption, curves.against_size(drawn, labels, bounds))


def of_scan(record: Record) -> scans.Record:
    """A record of a model as ``analysis.scans`` takes it."""
    assert record.model is not None
    return scans.Record(
        record.quantity, record.system, record.size, record.model.beta, record.model.seed, record.estimate
    )


def neighbours(run: RunDirectory) -> Iterator[Drawing]:
    """Distances of neighbouring temperatures in input space, a figure per system and way in which models see it."""
    results = read_sizes(run)
    systems = sorted({result.system for result in results})
    for system in systems:
        of_system = [result for result in results if result.system == system]
        for input_name in dict.fromkeys(result.input for result in of_system):
            of_input = [result for result in of_system if result.input == input_name]
            name = "neighbours" if len(systems) == 1 else f"neighbours-{system}"
            name += "" if input_name == "raw" else f"-{input_name}"
            yield from _neighbours_of(of_input, system if input_name == "raw" else f"{system} ({input_name})", name)


def _neighbours_of(results: Sequence[SizeAnalysis], system: str, name: str) -> Iterator[Drawing]:
    """The same of results that belong in one figure."""
    labels = [branch.branch for result in results for branch in result.thermal]
    drawn = [
        curves.NeighbourCurve(result.size, branch_label(branch.branch, labels), branch.neighbours)
        for result in results
        for branch in result.thermal
    ]
    # A single distance is no curve, and in the table of distances anyway.
    if not any(len(curve.neighbours.distance) > 1 for curve in drawn):
        return
    drawn.sort(key=lambda curve: curve.size)
    parameter = [branch.parameter for result in results for branch in result.thermal][-1]
    plural = "temperatures" if parameter == "temperature" else f"values of the {parameter.replace('_', ' ')}"
    caption = (
        f"Distance of first moments (Eq. 9) between neighbouring {plural} of {system} in input space, per root "
        "of the number of sites, each sample first turned into one and the same ordered phase: largest at the "
        "transition."
    )
    label = SYMBOLS.get(parameter, parameter)
    yield Drawing(name, caption, curves.neighbour_distances(drawn, "MMD $/ N^{1/2}$", label))
