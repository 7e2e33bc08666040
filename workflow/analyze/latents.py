"""What latents hold of order parameters of several components and of classes: one set of results per trained model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Chains, index_chains
from analysis.latent_space import canonical, geometry, probe, similarity
from analysis.orders import split
from analysis.phases import Phases
from workflow.analyze.held_out import Samples
from workflow.analyze.results import generator

PROBE_ROWS = 10_000
"""Training samples that a linear probe is trained on, drawn at random."""


class Latents(NamedTuple):
    """Posterior of samples, with their phases; S samples, Z latents."""

    mean_SZ: NDArray[np.float64]
    std_SZ: NDArray[np.float64]
    phases: Phases

    def rows(self, keep: NDArray[Any]) -> Latents:
        """Those of chosen samples."""
        return Latents(self.mean_SZ[keep], self.std_SZ[keep], self.phases._replace(label_S=self.phases.label_S[keep]))


def describe(
    held_out: Latents, samples: Samples, training: Latents, units: list[int], resamples: int, seed: int, name: str
) -> dict[str, Any]:
    """Canonical correlations, alignment, geometry of the phases, cosines and linear probes.

    Args:
        held_out: of the held-out samples.
        samples: the same samples.
        training: of training samples, for the probes.
        units: latents that correlations are made with.
        resamples: of the bootstrap.
        seed: of the study.
        name: of the model; every result has a random stream of its own, so that none depends on which others are made.
    """
    phases, chains = held_out.phases, samples.chains
    parts = split(samples.order_SK, samples.orders)
    content: dict[str, Any] = {"canonical": {}, "aligned": {}, "geometry": {}, "similarity": None, "probe": None}
    for k in phases.orders:
        order = samples.orders[k]
        rng = generator(seed, f"{name}-canonical-{order.name}")
        content["canonical"][order.name] = canonical.canonical(
            held_out.mean_SZ[:, units], parts[k], samples.thermal, rng, resamples
        )
        if order.kind in ("continuous", "angles"):
            rng = generator(seed, f"{name}-aligned-{order.name}")
            content["aligned"][order.name] = canonical.align(
                held_out.mean_SZ[:, units], parts[k], samples.thermal, rng, resamples
            )
        keep = geometry.among(phases, k)
        if len(np.unique(phases.label_S[keep])) > 2:
            rng = generator(seed, f"{name}-geometry-{order.name}")
            content["geometry"][order.name] = _geometry(held_out.rows(keep), samples, keep, resamples, rng)
    if not samples.orders and len(phases.present) > 2:
        rng = generator(seed, f"{name}-geometry")
        content["geometry"]["classes"] = geometry.geometry(held_out.mean_SZ, phases, chains, rng, resamples)
    if len(phases.present) > 1 and np.bincount(phases.label_S)[list(phases.present)].min() > 1:
        rng = generator(seed, f"{name}-similarity")
        content["similarity"] = similarity.similarity(held_out.mean_SZ, held_out.std_SZ, phases, chains, rng, resamples)
    if len(training.phases.present) > 1:
        rng = generator(seed, f"{name}-probe")
        content["probe"] = _probes(held_out, training, chains, resamples, rng)
    return content


def _geometry(
    latents: Latents, samples: Samples, keep: NDArray[np.bool_], resamples: int, rng: np.random.Generator
) -> geometry.Geometry:
    rows = samples.rows[keep]
    chains = index_chains(samples.labelled.chain[rows], samples.labelled.shard[rows])
    return geometry.geometry(latents.mean_SZ, latents.phases, chains, rng, resamples)


def _probes(
    held_out: Latents, training: Latents, chains: Chains, resamples: int, rng: np.random.Generator
) -> dict[str, probe.Probe]:
    """Probes of the means, and of draws from the posterior as the control that sees the latents' scale."""
    few = training.rows(np.sort(rng.permutation(len(training.mean_SZ))[:PROBE_ROWS]))
    sets = {
        "means": (few.mean_SZ, held_out.mean_SZ),
        "draws": tuple(part.mean_SZ + part.std_SZ * rng.standard_normal(part.std_SZ.shape) for part in (few, held_out)),
    }
    return {
        kind: probe.probe(train_SZ, few.phases.label_S, test_SZ, held_out.phases.label_S, chains, rng, resamples)
        for kind, (train_SZ, test_SZ) in sets.items()
    }
