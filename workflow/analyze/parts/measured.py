"""What latents hold of numbers that are no order parameters: energy, and whatever else a system measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Estimate
from analysis.latent_space.canonical import canonical
from analysis.latent_space.covariance import closest
from simulators.contract import SIGN
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.bonds import bond_sums
from workflow.analyze.columns import columns_of
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import HeldOutSamples
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import information
from workflow.dataset.origins import DataTask


class MeasuredCorrelation(NamedTuple):
    """Squared correlations of latents with one measured number.

    A collapsed network correlates, too, since correlations have no scale: check the KL first.
    """

    together: Estimate
    """Squared multiple correlation with all latents."""
    alone: Estimate
    """Squared correlation with the latent that correlates most."""
    unit: int
    """That latent."""


def analyze(context: ModelContext) -> dict[str, MeasuredCorrelation]:
    """Correlations of the latents with every column of a simulated shard that is not an order parameter.

    Where couplings of several strengths or signs are mixed, also with ``bonds``, -energy / coupling: the sum over
    bonds, per site, that the energy is made of. It is all that a configuration says of coupling / temperature.
    """
    samples, task = context.samples, context.tasks[0]
    if isinstance(task, DataTask):
        return {}
    value_SV, names = columns_of(context.run, task, samples)
    values = dict(zip(names, value_SV.T, strict=True))
    if (coupling_S := _couplings(task.system, samples)) is not None:
        values["bonds"] = -values["energy"] / coupling_S
    return {column: _correlation(context, column, value_S) for column, value_S in values.items() if np.ptp(value_S) > 0}


def _correlation(context: ModelContext, column: str, value_S: NDArray[np.float64]) -> MeasuredCorrelation:
    samples, units, mean_SZ = context.samples, information.units(context), context.mean_SZ
    # The average of a sign is no thermal one.
    chains = samples.chains if column == SIGN else samples.thermal
    unit = units[closest(mean_SZ[:, units], value_S, chains)]
    rng = context.generator(f"measured-{column}")
    together, alone = (
        canonical(mean_SZ[:, chosen], value_S[:, None], chains, rng, context.resamples).smallest
        for chosen in (units, [unit])
    )
    return MeasuredCorrelation(together, alone, unit)


def _couplings(system: str, samples: HeldOutSamples) -> NDArray[np.float64] | None:
    """(S,) the coupling of each sample; None where there is only one, or where it is not all of the energy."""
    bonds = bond_sums(system, samples.labelled.points)
    if bonds is None:
        return None
    coupling_S = np.array([point.coupling for point in bonds])[samples.labelled.shard[samples.rows]]
    return coupling_S if np.ptp(coupling_S) > 0 and np.all(coupling_S != 0) else None


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for column, result in (analysis[PART] or {}).items():
        yield f"measured_{column}", result.together
        yield f"measured_by_one_{column}", result.alone


PART = Part(
    name="measured",
    result=dict[str, MeasuredCorrelation],
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("measured_", "multiple corr² with"),
        Quantity("measured_by_one_", "corr² of one unit with"),
    ),
)
