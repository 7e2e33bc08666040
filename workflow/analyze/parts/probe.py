"""How well a linear classifier tells phases apart by their latents, trained on the latents of training samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.latent_space.probe import Probe, probe
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity

PROBE_ROWS = 10_000
"""Training samples that a probe is trained on, drawn at random."""


def analyze(context: ModelContext) -> dict[str, Probe] | None:
    """Probes of the ``means``, and of ``draws`` from the posteriors as the control that sees the latents' scale; None
    where training saw a single phase."""
    if len(context.training_phases.present) < 2:
        return None
    rng = context.generator("probe")
    label_S = context.training_phases.label_S
    few = np.sort(rng.permutation(len(label_S))[:PROBE_ROWS])
    train, test = context.training_posteriors.rows(few), context.posteriors
    train_draws, test_draws = (
        part.mean_SZ + part.std_SZ * rng.standard_normal(part.std_SZ.shape) for part in (train, test)
    )
    sets = {"means": (train.mean_SZ, test.mean_SZ), "draws": (train_draws, test_draws)}
    chains, test_label_S = context.samples.chains, context.phases.label_S
    return {
        kind: probe(train_SZ, label_S[few], test_SZ, test_label_S, chains, rng, context.resamples)
        for kind, (train_SZ, test_SZ) in sets.items()
    }


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for kind, result in (analysis[PART] or {}).items():
        yield f"probe_accuracy_{kind}", result.accuracy


PART = Part(
    name="probe",
    result=dict[str, Probe],
    analyze=analyze,
    numbers=numbers,
    quantities=(
        Quantity("probe_accuracy_means", "linear probe of means", column="linear probe", where="classes"),
        Quantity("probe_accuracy_draws", "linear probe of draws", column="probe of draws", where="classes"),
    ),
)
