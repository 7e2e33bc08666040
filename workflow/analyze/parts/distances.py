"""Distances between the first moments of all pairs of phases in latent space (arXiv:2110.08082, Eq. 9)."""

from __future__ import annotations

from analysis.latent_space import mmd
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import pairs
from workflow.analyze.part import Part
from workflow.analyze.parts import isometry


def analyze(context: ModelContext) -> tuple[mmd.Distance, ...]:
    """Of all phases that are present; in the units of the latents."""
    rng = context.stream("distances", after=isometry.PART)
    return mmd.distances(context.phase_sums, pairs(context.phases), rng, context.resamples)


PART = Part(name="distances", result=tuple[mmd.Distance, ...], analyze=analyze)
