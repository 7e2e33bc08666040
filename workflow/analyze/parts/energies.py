"""Energy and specific heat of what a decoder draws, at every parameter point, beside those of the data.

Axes: S samples, Z latents, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.decoder.thermodynamics import Thermodynamics, thermodynamics
from analysis.errors import Chains, Estimate, index_chains
from simulators.contract import BondSum
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.bonds import bond_sums
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import subset
from workflow.analyze.part import Number, Part, Quantity
from workflow.dataset import shards
from workflow.storage.typed_json import Parameters

AT_ONCE = 1000
"""Configurations that are drawn at a time."""


class PointEnergies(NamedTuple):
    """Of one parameter point."""

    point: Parameters
    data: Thermodynamics
    posterior: Thermodynamics
    """Of configurations drawn from latents of the posteriors of the samples."""


class Energies(NamedTuple):
    """Of one model."""

    points: list[PointEnergies]
    prior: Thermodynamics | None = None
    """Of configurations drawn from latents of the prior, which is that of all points together: for a model of one."""


def analyze(context: ModelContext) -> Energies | None:
    """None for systems without a formula for their energy, and for a Gaussian decoder, which draws real numbers instead
    of states of a site."""
    rng = context.stream("energies", begins="decoder")
    bonds = bond_sums(context.model.system, context.samples.labelled.points)
    if bonds is None or context.network.config.likelihood == "gaussian":
        return None
    drawing = _Drawing(context, bonds, rng)
    shards_drawn = np.unique(drawing.shard_S)
    points = [drawing.at(int(shard)) for shard in shards_drawn]
    if len(points) > 1:
        return Energies(points)
    z_SZ = rng.standard_normal((context.settings.generated, context.mean_SZ.shape[1]))
    # Drawn independently: each is a chain of its own.
    chains = index_chains(np.arange(len(z_SZ)), np.zeros(len(z_SZ), dtype=int))
    return Energies(points, drawing.drawn(int(shards_drawn[0]), z_SZ, chains))


class _Drawing:
    """Configurations drawn by one decoder, and their energies."""

    def __init__(self, context: ModelContext, bonds: Sequence[BondSum], rng: np.random.Generator) -> None:
        self._context, self._bonds, self._rng = context, bonds, rng
        self.shard_S = context.samples.labelled.shard[context.samples.rows]

    def at(self, shard: int) -> PointEnergies:
        """Data, and what is drawn from the posteriors of the samples, at the point of a shard."""
        context, is_of_shard = self._context, self.shard_S == shard
        of_point = subset(context.samples, is_of_shard)
        labelled = of_point.labelled
        parameters = labelled.points[shard]
        path = context.run.shard_file(context.model.system, int(parameters["size"]), labelled.task_ids[shard])
        energy_A = shards.read(path, columns=("energy",)).columns["energy"]
        z_SZ = posterior_draws(context, self._rng, is_of_shard)
        data = self._thermodynamics(shard, energy_A[of_point.rows - labelled.first(shard)], of_point.chains)
        return PointEnergies(parameters, data, self.drawn(shard, z_SZ, of_point.chains))

    def drawn(self, shard: int, z_SZ: NDArray[np.float64], chains: Chains) -> Thermodynamics:
        """Of one configuration per latent vector, with the coupling and at the temperature of a shard."""
        from models import inference

        bonds, seed = self._bonds[shard], int(self._rng.integers(2**62))
        sign_HW = self._context.sign_HW
        energy_S = np.concatenate(
            [
                -bonds.coupling * bonds.per_site(inference.sample(self._context.network, part, seed + i) * sign_HW)
                for i, part in enumerate(np.array_split(z_SZ, max(1, len(z_SZ) // AT_ONCE)))
            ]
        )
        return self._thermodynamics(shard, energy_S, chains)

    def _thermodynamics(self, shard: int, energy_S: NDArray[np.float64], chains: Chains) -> Thermodynamics:
        context = self._context
        temperature = float(context.samples.labelled.points[shard]["temperature"])
        sites = context.network.config.sites
        return thermodynamics(energy_S, sites, temperature, chains, self._rng, context.resamples)


def posterior_draws(
    context: ModelContext, rng: np.random.Generator, rows: NDArray[np.bool_] | slice
) -> NDArray[np.float64]:
    """(S, Z) a latent vector from the posterior of each of these samples."""
    mean_SZ, std_SZ, _ = context.posteriors
    return mean_SZ[rows] + std_SZ[rows] * rng.standard_normal(std_SZ[rows].shape)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    if (energies := analysis[PART]) is None:
        return
    differences = [_difference(point.posterior, point.data) for point in energies.points]
    yield "energy_error_posterior", _root_mean_square(differences)
    if (prior := energies.prior) is not None:
        data = energies.points[0].data
        yield "energy_error_prior", _root_mean_square([_difference(prior, data)])
        yield "heat_prior", prior.specific_heat
        yield "heat_data", data.specific_heat
        yield "heat_ratio_prior", _ratio(prior.specific_heat, data.specific_heat)


def _ratio(first: Estimate, second: Estimate) -> Estimate:
    """With the error that theirs propagate to; undefined where the second is not positive."""
    method = "ratio of specific heats per site"
    if not second.value > 0:
        return Estimate(nan, nan, first.samples, method)
    value = first.value / second.value
    return Estimate(value, abs(value) * sqrt(_relative(first) ** 2 + _relative(second) ** 2), first.samples, method)


def _relative(estimate: Estimate) -> float:
    """The relative error, 0 where it is unknown."""
    return estimate.error / estimate.value if estimate.value and not isnan(estimate.error) else 0.0


def _difference(drawn: Thermodynamics, data: Thermodynamics) -> Estimate:
    first, second = drawn.energy, data.energy
    return Estimate(first.value - second.value, sqrt(first.error**2 + second.error**2), first.samples, "")


def _root_mean_square(differences: list[Estimate]) -> Estimate:
    """Over parameter points, with the error that theirs propagate to."""
    count = len(differences)
    value = sqrt(sum(d.value**2 for d in differences) / count)
    spread = sqrt(sum((d.value * d.error) ** 2 for d in differences))
    method = f"root mean square over {count} parameter point(s) of drawn minus simulated energy per site"
    error = spread / (count * value) if value > 0 else 0.0
    return Estimate(value, error, sum(d.samples for d in differences), method)


PART = Part(
    name="energies",
    result=Energies,
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity(
            "energy_error_posterior", "energy error, z of the posteriors", column="energy error", of_one_point=True
        ),
        Quantity(
            "energy_error_prior", "energy error, z of the prior", column="energy error, prior", of_one_point=True
        ),
        Quantity("heat_prior", "specific heat, prior", against_size=False),
        Quantity("heat_data", "specific heat, data", against_size=False),
        Quantity(
            "heat_ratio_prior", "specific heat / that of the data, prior", column="heat / data's, prior",
            against_size=False, of_one_point=True,
        ),
    ),
)  # fmt: skip
