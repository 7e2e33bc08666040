"""Figures of what decoders draw and hold: energies, specific heats, fields, and the price of order parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from analysis.errors import Estimate
from analysis.figures import decoder as decoder_figures
from analysis.figures import physics as physics_figures
from simulators import contract
from workflow.report.models import Analyzed, Drawing, best, by_quantity, estimate, groups, latent_names, order_name
from workflow.verdict.judging import Record

GRID = 80
"""Temperatures of an exact curve."""
MOST_CURVES = 6
"""Series in one figure."""


class Drawn(NamedTuple):
    """What models of one kind draw at one parameter point, and the data there."""

    label: str
    size: int
    coupling: float
    temperature: float
    energy: Estimate
    heat: Estimate
    spec: Any
    """The parameter point, as its system has it."""


def energies(models: Sequence[Analyzed]) -> Drawing:
    """Energy and specific heat against temperature: data, every kind of decoder, and the exact lattice."""
    data, drawn = _collected(models)
    places = sorted({(point.size, point.coupling) for point in data})
    if not any(model.is_one_point or model.plan["likelihood"] == "thermal" for model in models):
        # Nothing here was made to draw energies: one size shows that.
        places = [place for place in places if place[0] == places[-1][0]]
    for size, coupling in places:
        here = [point for point in (*data, *drawn) if (point.size, point.coupling) == (size, coupling)]
        by_label: dict[str, list[Drawn]] = {}
        for point in here:
            by_label.setdefault(point.label, []).append(point)
        series = [_curve(label, points) for label, points in list(by_label.items())[: 1 + MOST_CURVES]]
        system = models[0].plan.system
        known = _exact(system, here)
        caption = (
            f"Energy and specific heat per site of what decoders draw, {system}, L = {size}, J = {coupling:g}, mean "
            "over seeds; z of the posteriors of held-out samples, or of the prior where a model knows a single "
            "temperature." + (" Line: the exact finite lattice, for comparison only." if known else "")
        )
        figure = physics_figures.energy_and_heat(series, known)
        yield f"energies-{system}-L={size}-J={coupling:g}", caption, figure


def _collected(models: Sequence[Analyzed]) -> tuple[list[Drawn], list[Drawn]]:
    """Points of the data, and those that each kind of model draws, over its seeds."""
    data: dict[tuple[Any, ...], Drawn] = {}
    found: dict[tuple[Any, ...], list[Drawn]] = {}
    for label, model in _chosen(models):
        system = contract.load(model.plan.system)
        for point in model.content["energies"]["points"]:
            place = (model.plan.size, float(point["point"]["coupling"]), float(point["point"]["temperature"]))
            spec = system.spec(**point["point"])
            data.setdefault(place, Drawn("data", *place, *_pair(point["data"]), spec))
            source = model.content["energies"]["prior"] if model.is_one_point else point["posterior"]
            found.setdefault((label, *place), []).append(Drawn(label, *place, *_pair(source), spec))
    return list(data.values()), [_mean(points) for points in found.values()]


def _chosen(models: Sequence[Analyzed]) -> list[tuple[str, Analyzed]]:
    """Models with energies and the name of their series: one beta of each group, and of single points all."""
    several = [model for model in models if not model.is_one_point]
    chosen = [
        (f"{label}, {_beta(model)}", model)
        for label, mine in groups(several).items()
        for size in sorted({model.plan.size for model in mine})
        for model in best([m for m in mine if m.plan.size == size])
    ]
    chosen += [(f"{_kind(model)}, {_beta(model)}, one point each", model) for model in models if model.is_one_point]
    return [(label, model) for label, model in chosen if model.content.get("energies") is not None]


def _beta(model: Analyzed) -> str:
    return rf"$\beta={model.plan.beta.value:g}" + (r"\,\lambda$" if model.plan.beta.relative else "$")


def _kind(model: Analyzed) -> str:
    local = f" ({model.plan['local_beta']:g})" if model.plan["model"] == "beta2-vae" else ""
    name = {"beta-vae": "", "beta2-vae": "β²"}[model.plan["model"]]
    return f"{name} {model.plan['likelihood']}{local}".strip()


def _pair(found: dict[str, Any]) -> tuple[Estimate, Estimate]:
    return estimate(found["energy"]), estimate(found["specific_heat"])


def _mean(points: Sequence[Drawn]) -> Drawn:
    """Over seeds; the data are the same for all, so that their sampling errors do not average out."""

    def over(estimates: Sequence[Estimate]) -> Estimate:
        values = np.array([e.value for e in estimates])
        between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
        error = sqrt(between + float(np.mean([e.error**2 for e in estimates])))
        return Estimate(float(values.mean()), error, estimates[0].samples, f"mean over {len(values)} seeds")

    return points[0]._replace(energy=over([p.energy for p in points]), heat=over([p.heat for p in points]))


def _curve(label: str, points: Sequence[Drawn]) -> physics_figures.ThermalCurve:
    ordered = sorted(points, key=lambda point: point.temperature)
    return physics_figures.ThermalCurve(
        label, *(tuple(getattr(p, name) for p in ordered) for name in ("temperature", "energy", "heat"))
    )


def _exact(name: str, points: Sequence[Drawn]) -> physics_figures.ExactCurve | None:
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
    known = [values for values in curve if values is not None]
    if len(known) < len(curve):
        return None
    return physics_figures.ExactCurve(
        temperature_T, np.array([values.energy for values in known]), np.array([v.specific_heat for v in known])
    )


def trade_off(models: Sequence[Analyzed], records: Sequence[Record], label: str) -> Drawing:
    """Order parameters and energy errors of one group and size against beta."""
    found = {model.plan.train_id: by_quantity(records, model) for model in models}
    known = dict.fromkeys(quantity for values in found.values() for quantity in values)
    quantities = {q: order_name(q[12:]) for q in known if q.startswith("correlation_")}
    is_thermal = models[0].plan["likelihood"] == "thermal"
    units = {f"kl_{unit}": name for unit, name in enumerate(latent_names(models[0]))}
    panel_of = dict.fromkeys(units, "KL / nats") | dict.fromkeys(quantities, "|correlation|")
    panels: dict[str, list[physics_figures.BetaSeries]] = {}
    for quantity, text in [*units.items(), *quantities.items(), ("energy_error_posterior", "rms over points")]:
        mine = [model for model in models if quantity in found[model.plan.train_id]]
        ratio = tuple(model.result["beta"] if is_thermal else model.ratio for model in mine)
        series = physics_figures.BetaSeries(text, ratio, tuple(found[m.plan.train_id][quantity] for m in mine))
        panels.setdefault(panel_of.get(quantity, "energy error per site"), []).append(series)
    caption = (
        f"What is traded for what, {label}, L = {models[0].plan.size}: KL per unit, |correlation| of the order "
        "parameters with their axes, and the error of the energy of drawn configurations (root mean square over "
        "parameter points, z of the posteriors), every seed."
    )
    xlabel = r"$\beta$" if is_thermal else r"$\beta\,/\,\lambda$"
    yield f"trade-off-{label}", caption, physics_figures.against_beta(panels, xlabel)


def readings(model: Analyzed, label: str) -> Drawing:
    """The decoder along the latents that stand for order parameters."""
    found = model.content.get("readings")
    if not found:
        return
    latents = latent_names(model)
    pairs = {
        model.content["order_parameters"][model.content["orders"][pair["order"]]]: model.content["units"][
            pair["latent"]
        ]
        for pair in model.content["correlation"]["pairs"]
    }
    panels = []
    for order, reading in found.items():
        columns = (
            tuple(estimate(b[name]) for b in reading["bins"])
            for name in ("order", "decoded", "field", "conditional_field", "weiss_field")
        )
        place = tuple(float(b["latent"]) for b in reading["bins"])
        panels.append(decoder_figures.ReadingPanel(latents[pairs[order]], order_name(order), place, *columns))
    caption = (
        f"The decoder read as a mean-field Hamiltonian (Eqs. 10, 11), {label}, L = {model.plan.size}, "
        f"seed {model.plan.seed}, in bins of the latent that stands for each order parameter. Above: its mean field "
        "m(z) against the mean order parameter of the samples encoded there, E[o | z]. Below: its field h(z) against "
        "the field of independent spins with that mean, and Weiss's field 2 · 4|J| o / T of the neighbours; logits, so "
        "in units of T. Conditional fields beyond the scale are not shown."
    )
    yield f"readings-{label}", caption, decoder_figures.readings(panels)
