"""Analysis of the data of one lattice size in input space: no model involved."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis import mmd, phases
from workflow import shards
from workflow.blocks import AnalyzeBlock
from workflow.held_out import (
    branches,
    generator,
    held_out_samples,
    isometries,
    neighbours,
    pairs,
    plain,
    subset,
    temperatures,
)
from workflow.layout import RunDirectory, write_whole
from workflow.plan import ShardTask


class SizeJob(NamedTuple):
    """The data of one lattice size to analyze in input space."""

    system: str
    size: int
    fraction: float
    trained: tuple[str, ...]
    """Shards that some model trains on; all of these are read held-out."""
    tasks: tuple[ShardTask, ...]
    settings: AnalyzeBlock
    seed: int

    @property
    def name(self) -> str:
        return f"{self.system}-L={self.size}"


def analyze_size(job: SizeJob, root: str) -> float:
    """Analyze the data of one size in input space and write the results; returns the seconds it took."""
    start = time.monotonic()
    run = RunDirectory(Path(root))
    rng = generator(job.seed, job.name)
    names = job.tasks[0].names.order_parameters
    samples = held_out_samples(run, job.tasks, set(job.trained), job.fraction)
    parts = [shards.read(run.shard(t.system, t.size, t.task_id), columns=()).configurations() for t in job.tasks]
    x_SF = np.concatenate([part.reshape(len(part), -1) for part in parts])[samples.rows].astype(float)
    trained = np.isin(np.array(samples.labelled.task_ids), job.trained)
    keep = trained[samples.labelled.shard[samples.rows]]
    content: dict[str, Any] = {"system": job.system, "size": job.size}
    if keep.any():
        some = subset(samples, keep)
        strata = some.labelled.shard[some.rows]
        found = phases.label(some.order_SK, names, strata, job.settings.ordered_above)
        sums = mmd.group_sums(x_SF[keep], found.label_S, some.chains)
        content["phases"] = list(found.names)
        content["isometry"] = isometries(sums, found, rng, job.settings.resamples)
        content["distances"] = mmd.distances(sums, pairs(found), rng, job.settings.resamples)
    content["thermal"] = []
    for label, mask in branches(samples).items():
        branch = subset(samples, mask)
        if len(np.unique(temperatures(branch))) > 1:
            strongest = int(np.abs(branch.order_SK).mean(axis=0).argmax())
            # Divided by sqrt(N): then the distance is the change of the order parameter, comparable between sizes.
            scaled = x_SF[mask] / np.sqrt(x_SF.shape[1])
            steps = neighbours(scaled, branch, strongest, job.settings.resamples, rng)
            content["thermal"].append({"branch": label, "order": names[strongest], "neighbours": steps})
    write_whole(run.analysis / f"{job.name}.json", json.dumps(plain(content), indent=1) + "\n")
    return time.monotonic() - start
