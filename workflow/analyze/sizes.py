"""Analysis of the data of one lattice size in input space: no model involved.

Axes: S samples, C channels, H rows, W columns, F features.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import encodings
from analysis.errors import Estimate
from analysis.latent_space import mmd
from analysis.orders import split
from workflow.analyze.context import generator
from workflow.analyze.held_out import (
    HeldOutSamples,
    branches,
    held_out_samples,
    isometries,
    neighbours,
    pairs,
    phases_of,
    subset,
    temperatures,
)
from workflow.dataset.inputs import Input
from workflow.dataset.origins import ShardTask
from workflow.dataset.reading import configurations, read_for
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import read_json, to_json
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import AnalyzeBlock


class SizeJob(NamedTuple):
    """The data of one lattice size to analyze in input space, as some models are given them."""

    system: str
    size: int
    fraction: float
    trained: tuple[str, ...]
    """Shards that some model trains on; all of these are read held-out."""
    tasks: tuple[ShardTask, ...]
    settings: AnalyzeBlock
    seed: int
    input_name: Input = "raw"
    kind: str = ""
    """Which of the size's shapes, where they are several."""

    @property
    def name(self) -> str:
        """Of the result."""
        parts = [f"{self.system}-L={self.size}", "" if self.input_name == "raw" else self.input_name, self.kind]
        return "-".join(filter(None, parts))


class InputBranch(NamedTuple):
    """Distances of neighbouring values of a scanned parameter."""

    branch: str
    """What these points share, such as ``coupling = 1.0``."""
    parameter: str
    """What is scanned."""
    order: str
    """The order parameter whose first phase all samples were turned into."""
    neighbours: mmd.Neighbours


@dataclass(frozen=True, kw_only=True)
class SizeAnalysis:
    """``analysis/<system>-L=<size>....json``."""

    system: str
    size: int
    input: str = "raw"
    """What models are given of a configuration."""
    phases: tuple[str, ...] | None = None
    """None here and below where no model was trained on these data."""
    isometry: dict[str, Estimate] | None = None
    distances: tuple[mmd.Distance, ...] | None = None
    thermal: list[InputBranch]


def analyze_size(job: SizeJob, root: str) -> float:
    """Analyze the data of one size in input space and write the results; returns the seconds it took."""
    start = time.monotonic()
    run = RunDirectory.at(root)
    rng, resamples = generator(job.seed, job.name), job.settings.resamples
    samples = held_out_samples(run, job.tasks, set(job.trained), job.fraction, job.input_name)
    x_SCHW = _configurations(run, job, samples.rows)
    is_trained_on = np.isin(np.array(samples.labelled.task_ids), job.trained)
    keep = is_trained_on[samples.labelled.shard[samples.rows]]
    phases, isometry, distances = None, None, None
    if keep.any():
        of_models = subset(samples, keep)
        labels = phases_of(of_models, job.settings.ordered_above)
        x_SF = encodings.features(x_SCHW[keep], samples.physics.variable).astype(float)
        sums = mmd.group_sums(x_SF, labels.label_S, of_models.chains)
        isometry = isometries(sums, labels, samples.orders, rng, resamples)
        distances = mmd.distances(sums, pairs(labels), rng, resamples)
        phases = labels.names
    result = SizeAnalysis(
        system=job.system,
        size=job.size,
        input=job.input_name,
        phases=phases,
        isometry=isometry,
        distances=distances,
        thermal=_thermal(x_SCHW, samples, resamples, rng),
    )
    write_whole(run.analysis_file(job.name), json.dumps(to_json(result), indent=1) + "\n")
    return time.monotonic() - start


def read_size(run: RunDirectory, name: str) -> SizeAnalysis:
    """The analysis called ``name``.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: the file is not what ``analyze_size`` writes.
    """
    return read_json(SizeAnalysis, run.analysis_file(name))


def read_sizes(run: RunDirectory) -> list[SizeAnalysis]:
    """Every analysis in input space, by file name."""
    return [read_size(run, path.stem) for path in sorted(run.analysis.glob("*-L=*.json"))]


def _configurations(run: RunDirectory, job: SizeJob, rows: NDArray[np.intp]) -> NDArray[Any]:
    """(S, C, H, W) chosen configurations, by their rows, in order, of all shards together; one shard in memory at a
    time."""
    parts, first = [], 0
    for task in job.tasks:
        shard = read_for(run.shard(task), job.input_name)
        count = len(shard.packed_SB)
        parts.append(configurations(shard, job.input_name, rows[(rows >= first) & (rows < first + count)] - first))
        first += count
    return np.concatenate(parts)


def _thermal(
    x_SCHW: NDArray[Any], samples: HeldOutSamples, resamples: int, rng: np.random.Generator
) -> list[InputBranch]:
    """Distances of neighbouring temperatures, each sample turned into the first phase of the strongest order parameter.

    A branch whose strongest order parameter no symmetry of single sites can turn is left out.
    """
    if not samples.physics.on_sites:
        return []
    variable, orders = samples.physics.variable, samples.orders
    results = []
    for label, mask in branches(samples).items():
        branch = subset(samples, mask)
        strongest = int(branch.lengths().mean(axis=0).argmax())
        order = orders[strongest]
        if len(np.unique(temperatures(branch))) < 2 or not encodings.can_fold(variable, order):
            continue
        order_SC = split(branch.order_SK, orders)[strongest]
        folded = encodings.folded(x_SCHW[mask], variable, order, order_SC)
        # Divided by sqrt(N): then the distance is the change of the order parameter (for states and angles up to a
        # factor that does not depend on the size), comparable between sizes.
        scaled = encodings.features(folded, variable) / np.sqrt(np.prod(folded.shape[1:]))
        steps = neighbours(scaled, branch, resamples, rng)
        results.append(InputBranch(label, samples.physics.parameter, order.name, steps))
    return results
