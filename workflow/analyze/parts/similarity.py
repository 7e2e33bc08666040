"""Cosines between latents of samples of the same phase and of others, as in arXiv:2110.08082, Figs. 5 and 6."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.latent_space.similarity import Similarity, similarity
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity


def analyze(context: ModelContext) -> Similarity | None:
    """None of a single phase, or with a phase of a single sample."""
    phases = context.phases
    if len(phases.present) < 2 or np.bincount(phases.label_S)[list(phases.present)].min() < 2:
        return None
    mean_SZ, std_SZ, _ = context.posteriors
    rng = context.generator("similarity")
    return similarity(mean_SZ, std_SZ, phases, context.samples.chains, rng, context.resamples)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    if (result := analysis[PART]) is not None:
        # The control first: cosines mean nothing where it vanishes.
        yield "kl_total", result.divergence
        yield from (("cosine_same", result.same), ("cosine_other", result.other), ("cosine_contrast", result.contrast))


PART = Part(
    name="similarity",
    result=Similarity,
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("kl_total", "KL of all units", unit="nat", where="classes"),
        Quantity("cosine_same", "cosine, same", column="cosine, same", where="classes", against_size=False),
        Quantity("cosine_other", "cosine, other", column="cosine, other", where="classes", against_size=False),
        Quantity("cosine_contrast", "cosine, contrast", against_size=False),
    ),
)
