"""The Bernoulli decoder read as a mean-field Hamiltonian (arXiv:2110.08082, Eqs. 10, 11).

Along the latent of each order parameter: m(z) and h(z) against E[sigma | z] and Weiss's field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.decoder import mean_fields
from analysis.decoder.reading import DecoderReading, read
from analysis.orders import columns
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel, best
from workflow.analyze.naming import order_name
from workflow.analyze.part import Drawing, Number, Part, Quantity
from workflow.analyze.parts import correlation, energies, information, local_temperatures
from workflow.storage.run_directory import RunDirectory


def analyze(context: ModelContext) -> dict[str, DecoderReading] | None:
    """By order parameter that a latent was matched with; None for other likelihoods, and without a temperature or a
    coupling.

    Latents are drawn from the posteriors: the best decoder gives the mean of the spins that are encoded at z, and a
    posterior as wide as beta makes it spreads every sample over many z.
    """
    from models import inference

    rng = context.stream("readings", after=local_temperatures.PART)
    samples, network = context.samples, context.network
    names, points = columns(samples.orders), samples.labelled.points
    matched, orders, units = context.result(correlation.PART), correlation.orders(context), information.units(context)
    latents = correlation.matched_latents(matched, names, orders, units)
    latents = {name: unit for name, unit in latents.items() if name in mean_fields.PATTERNS}
    has_ratio = all({"temperature", "coupling"} <= set(point) for point in points)
    if network.config.likelihood != "bernoulli" or not latents or not has_ratio:
        return None
    z_SZ = energies.posterior_draws(context, rng, slice(None))
    mean = 2 * inference.decode(network, z_SZ).astype(float) - 1
    field = inference.fields(network, z_SZ).astype(float)
    ratio = np.array([abs(float(p["coupling"])) / float(p["temperature"]) for p in points])
    ratio_S = ratio[samples.labelled.shard[samples.rows]]
    results = {}
    for name, unit in latents.items():
        pattern = mean_fields.PATTERNS[name](mean.shape[1:]) * context.sign_HW
        results[name] = read(
            z_SZ[:, unit],
            samples.order_SK[:, names.index(name)],
            (mean * pattern).mean(axis=(1, 2, 3)),
            (field * pattern).mean(axis=(1, 2, 3)),
            ratio_S,
            samples.chains,
            rng,
            context.resamples,
        )
    return results


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for order, reading in (analysis[PART] or {}).items():
        yield f"reading_deviation_{order}", reading.deviation


def figures(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """The decoder along the latents that stand for order parameters."""
    from analysis.figures import decoder

    model = best(models)[0]
    readings = model.analysis[PART]
    if not readings:
        return
    latents = correlation.latent_of(model.analysis)
    panels = []
    for order, reading in readings.items():
        columns = (
            tuple(getattr(part, name) for part in reading.bins)
            for name in ("order", "decoded", "field", "conditional_field", "weiss_field")
        )
        place = tuple(part.latent for part in reading.bins)
        panels.append(decoder.ReadingPanel(model.latent_names[latents[order]], order_name(order), place, *columns))
    caption = (
        f"The decoder read as a mean-field Hamiltonian (Eqs. 10, 11), {label}, L = {model.plan.size}, "
        f"seed {model.plan.seed}, in bins of the latent that stands for each order parameter. Above: its mean field "
        "m(z) against the mean order parameter of the samples encoded there, E[o | z]. Below: its field h(z) against "
        "the field of independent spins with that mean, and Weiss's field 2 · 4|J| o / T of the neighbours; logits, so "
        "in units of T. Conditional fields beyond the scale are not shown."
    )
    yield Drawing(f"readings-{label}", caption, decoder.readings(panels))


PART = Part(
    name="readings",
    result=dict[str, DecoderReading],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("reading_deviation_", "deviation of m(z) from E[o | z],"),),
    figures=figures,
)
