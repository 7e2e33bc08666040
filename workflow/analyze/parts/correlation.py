"""Which latent is which order parameter, of those that change sign: correlations, matched one to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.latent_space.correlation import Correlation, correlate
from analysis.orders import columns
from analysis.phases import DISORDERED
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import canonical, geometry, information


def orders(context: ModelContext) -> list[int]:
    """Columns of the order parameters that change sign, of those that order some sample; one of several components has
    no axis of its own that a latent could be."""
    orders = context.samples.orders
    names = columns(orders)
    by_sign = [orders[k].components[0] for k in context.phases.orders if orders[k].kind == "sign"]
    return [names.index(name) for name in by_sign]


def analyze(context: ModelContext) -> Correlation | None:
    """None without an order parameter that changes sign."""
    rng = context.stream("correlation", after=information.PART)
    units, chosen_orders = information.units(context), orders(context)
    if not chosen_orders:
        return None
    samples = context.samples
    return correlate(
        context.mean_SZ[:, units], samples.order_SK[:, chosen_orders], samples.thermal, rng, context.resamples
    )


def latent_of(analysis: ModelAnalysis) -> dict[str, int]:
    """The latent of each order parameter that was matched with one."""
    return matched_latents(analysis[PART], analysis.order_parameters, analysis.orders, analysis.units)


def matched_latents(
    matched: Correlation | None, names: Sequence[str], orders: Sequence[int], units: Sequence[int]
) -> dict[str, int]:
    """The latent of each order parameter that was matched with one.

    Args:
        matched: the result of this part; None: nothing is matched.
        names: all order parameters.
        orders, units: those of ``names`` and the latents that were matched, which the pairs count.
    """
    return {} if matched is None else {names[orders[pair.order]]: units[pair.latent] for pair in matched.pairs}


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    divergence = information.of(analysis).divergence
    if (matched := analysis[PART]) is not None:
        latents = latent_of(analysis)
        for order, latent in latents.items():
            yield f"kl_of_{order}", divergence[latent]
        for order, pair in zip(latents, matched.pairs, strict=True):
            yield f"correlation_{order}", pair.own
        yield from (("cross_correlation", matched.cross), ("angle", matched.angle), ("cosine", matched.cosine))
        if matched.rotated is not None:
            for order, own in zip(latents, matched.rotated.own, strict=True):
                yield f"rotated_correlation_{order}", own
            yield "rotation_angle", matched.rotated.angle
    # A vector has no latent of its own: as many units as it has independent components, taken by KL, largest first.
    largest = sorted(divergence, key=lambda estimate: -estimate.value)
    for name, count in _needed(analysis).items():
        yield f"kl_of_{name}", largest[min(count, len(largest)) - 1]


def _needed(analysis: ModelAnalysis) -> dict[str, int]:
    """How many units the vectors, or the classes, need."""
    needed = {
        order: len(result.squared)
        for order, result in (analysis[canonical.PART] or {}).items()
        if len(analysis.components(order)) > 1
    }
    if not analysis.order_parameters and (classes := (analysis[geometry.PART] or {}).get("classes")) is not None:
        # Classes about one without order span a dimension less than they are.
        needed["classes"] = max(1, len(classes.phases) - 1 - (DISORDERED in classes.phases))
    return needed


PART = Part(
    name="correlation",
    result=Correlation,
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("kl_of_", "KL of the unit(s) of", unit="nat"),
        Quantity("correlation_", "|corr| with", column="|corr| own axis"),
        Quantity("cross_correlation", "cross correlation", column="across"),
        Quantity("angle", "angle", unit="deg", column="angle / deg"),
        Quantity("rotated_correlation_", "|corr| after rotation with", column="|corr| rotated"),
        Quantity("rotation_angle", "rotation angle", unit="deg"),
        # A number of information.py: quantities stand in the order of the table's columns, and psi4 belongs beside the
        # angles.
        Quantity("psi4", "psi4", column="psi4"),
        Quantity("cosine", "|cos| between directions", column="|cos| of directions"),
    ),
)
