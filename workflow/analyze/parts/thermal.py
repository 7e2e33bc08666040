"""Latents and order parameters along a scan: |.| against temperature, and how far latents move from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import scans
from analysis.latent_space import mmd
from analysis.orders import columns, split
from analysis.scans import Scan
from workflow.analyze.context import ModelContext
from workflow.analyze.held_out import HeldOutSamples, branches, neighbours, subset, temperatures
from workflow.analyze.models import AnalyzedModel, best
from workflow.analyze.naming import axis_label, branch_label, order_name
from workflow.analyze.part import Drawing, Part
from workflow.analyze.parts import canonical, distances, information
from workflow.storage.run_directory import RunDirectory

MOST_LATENTS = 4
"""Latents drawn against temperature one by one; beyond, those that carry most."""
LENGTH = "length_"
"""Begins the columns of lengths of vectors."""


class ScanBranch(NamedTuple):
    """Parameter points that differ in the scanned parameter alone."""

    branch: str
    """What they share, such as ``coupling = 1.0``."""
    parameter: str
    """What is scanned."""
    columns: tuple[str, ...]
    scan: Scan
    """Mean |.| of these columns."""
    order: int
    """The strongest order parameter of the branch."""
    neighbours: mmd.Neighbours | None
    """Distances of latents of neighbouring points, where they can be turned into one phase."""


def analyze(context: ModelContext) -> list[ScanBranch]:
    """Every branch of all shards that the model can read, also those between what it was trained on."""
    rng = context.stream("thermal", after=distances.PART)
    return thermal_curves(context.readable_posteriors.mean_SZ, context.readable, context.resamples, rng)


def thermal_curves(
    mean_SZ: NDArray[np.float64], samples: HeldOutSamples, resamples: int, rng: np.random.Generator
) -> list[ScanBranch]:
    """|latents| and |order parameters| against temperature, and latent distances of neighbouring temperatures.

    A vector has no sign to fold latents by, how its symmetry acts on them is not known, nor how a sign acts on those of
    what is not on a lattice's sites: then there are no distances. A vector's length and that of the latents are what to
    compare.
    """
    curves = []
    for label, mask in branches(samples).items():
        branch = subset(samples, mask)
        if len(np.unique(temperatures(branch))) > 1:
            curves.append(_branch(label, mean_SZ[mask], branch, resamples, rng))
    return curves


def _branch(
    label: str, mean_SZ: NDArray[np.float64], branch: HeldOutSamples, resamples: int, rng: np.random.Generator
) -> ScanBranch:
    orders = branch.orders
    vectors = [k for k, order in enumerate(orders) if order.kind != "sign"]
    lengths_SO = branch.lengths()
    values = [mean_SZ, branch.order_SK, lengths_SO[:, vectors]]
    names = [f"latent_{unit}" for unit in range(mean_SZ.shape[1])] + list(columns(orders))
    names += [f"{LENGTH}{orders[k].name}" for k in vectors]
    if vectors:
        values.append(np.linalg.norm(mean_SZ, axis=1, keepdims=True))
        names.append(f"{LENGTH}latent")
    scan = scans.thermal_scan(np.hstack(values), temperatures(branch), branch.thermal, rng, resamples)
    strongest = int(lengths_SO.mean(axis=0).argmax())
    steps = None
    if orders[strongest].kind == "sign" and branch.physics.on_sites:
        folded_SZ = mmd.folded(mean_SZ, split(branch.order_SK, orders)[strongest][:, 0])
        steps = neighbours(folded_SZ, branch, resamples, rng)
    return ScanBranch(label, branch.physics.parameter, tuple(names), scan, strongest, steps)


def figures(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """Order parameters and latents against temperature, or what was scanned in its place."""
    from analysis.figures import curves

    model = best(models)[0]
    drawn = [branch for branch in model.analysis[PART] or [] if branch.scan.temperature]
    if not drawn:
        return
    orders, latents = _scanned(model, drawn[0].columns)
    labels = [branch.branch for branch in drawn]
    panels = {
        branch_label(branch.branch, labels): (_select(branch, list(orders)), _select(branch, list(latents)))
        for branch in drawn
    }
    parameter = drawn[0].parameter
    has_vectors = bool(canonical.vectors(model.analysis))
    lengths = "lengths of order parameter and latents" if has_vectors else "|order parameter| and |latent|"
    caption = (
        f"Mean {lengths} against {parameter}, {label}, L = {model.plan.size}, seed {model.plan.seed}"
        f"{'; points between the training sets were never trained on' if _is_wider(model, drawn) else ''}."
    )
    figure = curves.thermal_scan(panels, list(orders.values()), list(latents.values()), axis_label(parameter))
    yield Drawing(f"thermal-{label}", caption, figure)


def _scanned(model: AnalyzedModel, names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Columns of order parameters and of latents to draw, with their names for people."""
    analysis = model.analysis
    if f"{LENGTH}latent" in names and canonical.vectors(analysis):
        present = [f"{LENGTH}{name}" for name in canonical.ordered(analysis)]
        lengths = [name for name in names if name in present]
        return {name: order_name(name.removeprefix(LENGTH)) for name in lengths}, {f"{LENGTH}latent": "$z$"}
    latents = dict(zip((f"latent_{unit}" for unit in range(model.latents)), model.latent_names, strict=True))
    if model.latents > MOST_LATENTS:
        divergence = [unit.value for unit in information.of(analysis).divergence]
        most = sorted(np.argsort(divergence)[::-1][:MOST_LATENTS].tolist())
        latents = {f"latent_{unit}": latents[f"latent_{unit}"] for unit in most}
    signs = [name for name in analysis.order_parameters if len(analysis.components(name)) == 1]
    return {name: order_name(name) for name in signs if name in names}, latents


def _is_wider(model: AnalyzedModel, drawn: Sequence[ScanBranch]) -> bool:
    trained = {float(dict(point)[drawn[0].parameter]) for point in model.points}
    return any(set(branch.scan.temperature) - trained for branch in drawn)


def _select(branch: ScanBranch, names: Sequence[str]) -> Scan:
    """The scan of some columns."""
    place = [branch.columns.index(name) for name in names]
    return Scan(branch.scan.temperature, tuple(tuple(row[at] for at in place) for row in branch.scan.mean_TF))


PART = Part(name="thermal", result=list[ScanBranch], analyze=analyze, figures=figures)
