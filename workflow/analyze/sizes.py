"""Analysis of the data of one lattice size in input space: no model involved."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import encodings
from analysis.latent_space import mmd
from analysis.orders import split
from workflow.analyze.held_out import (
    Samples,
    branches,
    held_out_samples,
    isometries,
    neighbours,
    pairs,
    phases_of,
    subset,
    temperatures,
)
from workflow.analyze.results import generator, plain
from workflow.dataset.inputs import Input
from workflow.dataset.origins import ShardTask
from workflow.dataset.reading import configurations, read_for
from workflow.storage.run_directory import RunDirectory
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
    given_as: Input = "raw"
    kind: str = ""
    """Which of the size's shapes, where they are several."""

    @property
    def name(self) -> str:
        """Of the result."""
        parts = [f"{self.system}-L={self.size}", "" if self.given_as == "raw" else self.given_as, self.kind]
        return "-".join(filter(None, parts))


def analyze_size(job: SizeJob, root: str) -> float:
    """Analyze the data of one size in input space and write the results; returns the seconds it took."""
    start = time.monotonic()
    run = RunDirectory.at(root)
    rng = generator(job.seed, job.name)
    samples = held_out_samples(run, job.tasks, set(job.trained), job.fraction, job.given_as)
    given_SCHW = _given(run, job, samples.rows)
    trained = np.isin(np.array(samples.labelled.task_ids), job.trained)
    keep = trained[samples.labelled.shard[samples.rows]]
    content: dict[str, Any] = {"system": job.system, "size": job.size, "input": job.given_as}
    if keep.any():
        some = subset(samples, keep)
        found = phases_of(some, job.settings.ordered_above)
        x_SF = encodings.features(given_SCHW[keep], samples.physics.variable).astype(float)
        sums = mmd.group_sums(x_SF, found.label_S, some.chains)
        content["phases"] = list(found.names)
        content["isometry"] = isometries(sums, found, samples.orders, rng, job.settings.resamples)
        content["distances"] = mmd.distances(sums, pairs(found), rng, job.settings.resamples)
    content["thermal"] = _thermal(given_SCHW, samples, job.settings.resamples, rng)
    write_whole(run.analysis / f"{job.name}.json", json.dumps(plain(content), indent=1) + "\n")
    return time.monotonic() - start


def _given(run: RunDirectory, job: SizeJob, rows: NDArray[np.intp]) -> NDArray[Any]:
    """(S, C, H, W) chosen configurations, by their rows, in order, of all shards together; one shard in memory at a
    time."""
    parts, first = [], 0
    for task in job.tasks:
        shard = read_for(run.shard(task.system, task.size, task.task_id), job.given_as)
        count = len(shard.packed_SB)
        parts.append(configurations(shard, job.given_as, rows[(rows >= first) & (rows < first + count)] - first))
        first += count
    return np.concatenate(parts)


def _thermal(
    given_SCHW: NDArray[Any], samples: Samples, resamples: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Distances of neighbouring temperatures, each sample turned into the first phase of the strongest order parameter.

    A branch whose strongest order parameter no symmetry of single sites can turn is left out.
    """
    content: list[dict[str, Any]] = []
    if not samples.physics.on_sites:
        return content
    variable, orders = samples.physics.variable, samples.orders
    for label, mask in branches(samples).items():
        branch = subset(samples, mask)
        strongest = int(branch.lengths().mean(axis=0).argmax())
        order = orders[strongest]
        if len(np.unique(temperatures(branch))) < 2 or not encodings.can_fold(variable, order):
            continue
        order_SC = split(branch.order_SK, orders)[strongest]
        folded = encodings.folded(given_SCHW[mask], variable, order, order_SC)
        # Divided by sqrt(N): then the distance is the change of the order parameter (for states and angles up to a
        # factor that does not depend on the size), comparable between sizes.
        scaled = encodings.features(folded, variable) / np.sqrt(np.prod(folded.shape[1:]))
        steps = neighbours(scaled, branch, resamples, rng)
        content.append(
            {"branch": label, "parameter": samples.physics.parameter, "order": order.name, "neighbours": steps}
        )
    return content
