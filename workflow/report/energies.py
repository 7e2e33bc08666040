"""Figures of what decoders draw and hold: energies, specific heats, fields, and the price of order parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from analysis.errors import Estimate
from analysis.figures import physics as physics_figures
from simulators import contract
from workflow.analyze.models import AnalyzedModel, best, by_quantity, groups
from workflow.analyze.naming import order_name
from workflow.analyze.part import Drawing
from workflow.analyze.parts import energies as energies_part
from workflow.analyze.parts.energies import Energies
from workflow.verdict.records import Record

GRID = 80
"""Temperatures of an exact curve."""
MOST_CURVES = 6
"""Series in one figure."""


class EnergyPoint(NamedTuple):
    """What models of one kind draw at one parameter point, and the data there."""

    label: str
    size: int
    coupling: float
    temperature: float
    energy: Estimate
    heat: Estimate
    spec: Any
    """The parameter point, as its system has it."""


def energies(models: Sequence[AnalyzedModel]) -> Iterator[Drawing]:
    """Energy and specific heat against temperature: data, every kind of decoder, and the exact lattice."""
    data, drawn = _collected(models)
    places = sorted({(point.size, point.coupling) for point in data})
    if not any(model.is_one_point or model.plan["likelihood"] == "thermal" for model in models):
        # Nothing here was made to draw energies: one size shows that.
        places = [place for place in places if place[0] == places[-1][0]]
    for size, coupling in places:
        here = [point for point in (*data, *drawn) if (point.size, point.coupling) == (size, coupling)]
        by_label: dict[str, list[EnergyPoint]] = {}
        for point in here:
            by_label.setdefault(point.label, []).append(point)
        series = [_curve(label, points) for label, points in list(by_label.items())[: 1 + MOST_CURVES]]
        system = models[0].plan.system
        exact = _exact(system, here)
        caption = (
            f"Energy and specific heat per site of what decoders draw, {system}, L = {size}, J = {coupling:g}, mean "
            "over seeds; z of the posteriors of held-out samples, or of the prior where a model knows a single "
            "temperature." + (" Line: the exact finite lattice, for comparison only." if exact else "")
        )
        figure = physics_figures.energy_and_heat(series, exact)
        yield Drawing(f"energies-{system}-L={size}-J={coupling:g}", caption, figure)


def _collected(models: Sequence[AnalyzedModel]) -> tuple[list[EnergyPoint], list[EnergyPoint]]:
    """Points of the data, and those that each kind of model draws, over its seeds."""
    data: dict[tuple[int, float, float], EnergyPoint] = {}
    drawn: dict[tuple[str, int, float, float], list[EnergyPoint]] = {}
    for label, model, energies in _chosen(models):
        system = contract.load(model.plan.system)
        for point in energies.points:
            spec = system.spec(**point.point)
            bonds = system.bond_sum(spec)
            assert bonds is not None, "energies of what is drawn rest on it"
            place = (model.plan.size, bonds.coupling, float(point.point["temperature"]))
            data.setdefault(place, EnergyPoint("data", *place, *point.data, spec))
            source = energies.prior if model.is_one_point and energies.prior is not None else point.posterior
            drawn.setdefault((label, *place), []).append(EnergyPoint(label, *place, *source, spec))
    return list(data.values()), [_mean(points) for points in drawn.values()]


def _chosen(models: Sequence[AnalyzedModel]) -> list[tuple[str, AnalyzedModel, Energies]]:
    """Models with energies and the name of their series: one beta of each group, and of single points all."""
    several = [model for model in models if not model.is_one_point]
    chosen = [
        (f"{label}, {_beta(model)}", model)
        for label, group in groups(several).items()
        for size in sorted({model.plan.size for model in group})
        for model in best([m for m in group if m.plan.size == size])
    ]
    chosen += [(f"{_kind(model)}, {_beta(model)}, one point each", model) for model in models if model.is_one_point]
    return [
        (label, model, energies)
        for label, model in chosen
        if (energies := model.analysis[energies_part.PART]) is not None
    ]


def _beta(model: AnalyzedModel) -> str:
    return rf"$\beta={model.plan.beta.value:g}" + (r"\,\lambda$" if model.plan.beta.relative else "$")


def _kind(model: AnalyzedModel) -> str:
    local = f" ({model.plan['local_beta']:g})" if model.plan["model"] == "beta2-vae" else ""
    name = {"beta-vae": "", "beta2-vae": "β²"}[model.plan["model"]]
    return f"{name} {model.plan['likelihood']}{local}".strip()


def _mean(points: Sequence[EnergyPoint]) -> EnergyPoint:
    """Over seeds; the data are the same for all, so that their sampling errors do not average out."""

    def over(estimates: Sequence[Estimate]) -> Estimate:
        values = np.array([e.value for e in estimates])
        between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
        error = sqrt(between + float(np.mean([e.error**2 for e in estimates])))
        return Estimate(float(values.mean()), error, estimates[0].samples, f"mean over {len(values)} seeds")

    return points[0]._replace(energy=over([p.energy for p in points]), heat=over([p.heat for p in points]))


def _curve(label: str, points: Sequence[EnergyPoint]) -> physics_figures.ThermalCurve:
    ordered = sorted(points, key=lambda point: point.temperature)
    return physics_figures.ThermalCurve(
        label, *(tuple(getattr(p, name) for p in ordered) for name in ("temperature", "energy", "heat"))
    )


def _exact(name: str, points: Sequence[EnergyPoint]) -> physics_figures.ExactCurve | None:
    """Exact values of a system over the temperatures of ``points``; None where it has none, or where the points differ
    in more than the temperature, so that they lie on several curves."""
    temperatures = [point.temperature for point in points]
    low, high = min(temperatures), max(temperatures)
    specs = {replace(point.spec, temperature=low) for point in points}
    if len(specs) > 1:
        return None
    temperature_T = np.linspace(low, high if high > low else 1.05 * low, GRID)
    system, (spec,) = contract.load(name), specs
    curve = [system.exact_energy(replace(spec, temperature=float(temperature))) for temperature in temperature_T]
    exact = [values for values in curve if values is not None]
    if len(exact) < len(curve):
        return None
    return physics_figures.ExactCurve(
        temperature_T, np.array([values.energy for values in exact]), np.array([v.specific_heat for v in exact])
    )


def trade_off(models: Sequence[AnalyzedModel], records: Sequence[Record], label: str) -> Iterator[Drawing]:
    """Order parameters and energy errors of one group and size against beta."""
    numbers = {model.plan.train_id: by_quantity(records, model) for model in models}
    names = dict.fromkeys(quantity for of_model in numbers.values() for quantity in of_model)
    quantities = {q: order_name(q[12:]) for q in names if q.startswith("correlation_")}
    is_thermal = models[0].plan["likelihood"] == "thermal"
    units = {f"kl_{unit}": name for unit, name in enumerate(models[0].latent_names)}
    panel_of = dict.fromkeys(units, "KL / nats") | dict.fromkeys(quantities, "|correlation|")
    panels: dict[str, list[physics_figures.BetaSeries]] = {}
    for quantity, text in [*units.items(), *quantities.items(), ("energy_error_posterior", "rms over points")]:
        with_it = [model for model in models if quantity in numbers[model.plan.train_id]]
        ratio = tuple(model.training.beta if is_thermal else model.ratio for model in with_it)
        values = tuple(numbers[model.plan.train_id][quantity] for model in with_it)
        series = physics_figures.BetaSeries(text, ratio, values)
        panels.setdefault(panel_of.get(quantity, "energy error per site"), []).append(series)
    caption = (
        f"What is traded for what, {label}, L = {models[0].plan.size}: KL per unit, |correlation| of the order "
        "parameters with their axes, and the error of the energy of drawn configurations (root mean square over "
        "parameter points, z of the posteriors), every seed."
    )
    xlabel = r"$\beta$" if is_thermal else r"$\beta\,/\,\lambda$"
    yield Drawing(f"trade-off-{label}", caption, physics_figures.against_beta(panels, xlabel))
