"""What must hold of a run folder whatever was killed on the way to it, compared with one where nothing was.

Every function returns complaints, none where all is well, and reads the folder itself rather than asking the program
what it believes to be in it (only ``verify`` does that).
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import Study
from workflow.verify import verify_run

CIRCUMSTANCES = {"seconds", "samples_per_second", "loader_share", "stacked_runs"}
"""Keys of results that say how they were got: they differ from run to run."""
EVENTS = "training/tensorboard/"
"""Event files have the process and time in their names: as many per training as it was started."""


def complaints(run: RunDirectory, reference: RunDirectory, study: Study, tolerance: float) -> list[str]:
    """All that is wrong with ``run``.

    Args:
        run: the folder of a run in which processes were killed.
        reference: that of an undisturbed one.
        study: of both.
        tolerance: of trained weights and results, relative to the larger of 1 and their size; 0: the same bits.
    """
    return [
        *of_shards(run, reference, study),
        *of_files(run, reference),
        *of_trainings(run, reference, study, tolerance),
        *of_results(run, reference, tolerance),
        *of_verify(run),
    ]


def of_shards(run: RunDirectory, reference: RunDirectory, study: Study) -> Iterator[str]:
    """No shard lost or doubled: plan, lines of the manifest and files name the same, and the same bytes as before."""
    planned = [task.task_id for task in shard_tasks(study)]
    lines = [json.loads(text)["task_id"] for text in run.manifest.read_text().splitlines()]
    files = [path.stem for path in run.dataset.rglob("*.parquet")]
    for where, found in (("manifest", lines), ("dataset", files)):
        counted = Counter(found)
        yield from (f"{where}: shard {name} is lost" for name in planned if not counted[name])
        yield from (f"{where}: shard {name} is there {n} times" for name, n in counted.items() if n > 1)
        yield from (f"{where}: shard {name} is not in the plan" for name in counted if name not in planned)
    expected = manifest.digest(load_records(reference))
    for where, records in (("manifest", load_records(run)), ("files", manifest.rebuild(run))):
        if (digest := manifest.digest(records)) != expected:
            yield f"{where}: digest {digest[:16]} instead of {expected[:16]}"


def names(root: Path) -> set[str]:
    """All files of a run folder but TensorBoard's."""
    found = (path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    return {name for name in found if not name.startswith(EVENTS)}


def of_files(run: RunDirectory, reference: RunDirectory) -> Iterator[str]:
    """The same files: no half-written one, no checkpoint, state or lock that nobody needs any more."""
    mine, expected = names(Path(str(run.root))), names(Path(str(reference.root)))
    yield from (f"{name} is missing" for name in sorted(expected - mine))
    yield from (f"{name} was left behind" for name in sorted(mine - expected))


def of_trainings(run: RunDirectory, reference: RunDirectory, study: Study, tolerance: float) -> Iterator[str]:
    """Weights and metrics of every model, with one line per epoch."""
    for item in model_plans(study):
        mine, expected = run.training(item.train_id), reference.training(item.train_id)
        if not (mine.weights.exists() and mine.metrics.exists()):
            yield f"training {item.train_id} is lost"
            continue
        lines = [json.loads(text) for text in mine.metrics.read_text().splitlines()]
        if (epochs := [line["epoch"] for line in lines]) != list(range(1, int(item["epochs"]) + 1)):
            yield f"training {item.train_id}: epochs {epochs}"
        tensors = load_file(str(mine.weights))
        for name, values in load_file(str(expected.weights)).items():
            scale = max(1.0, float(np.abs(values).max()))
            if tensors[name].shape != values.shape:
                yield f"training {item.train_id}: {name} has the shape {tensors[name].shape}"
            elif (apart := float(np.abs(tensors[name] - values).max())) > tolerance * scale:
                yield f"training {item.train_id}: {name} is {apart:.2g} off"


def of_results(run: RunDirectory, reference: RunDirectory, tolerance: float) -> Iterator[str]:
    """Results of trainings and analyses, and the verdict."""
    for folder, pattern in ((reference.trainings, "*/result.json"), (reference.analysis, "*.json")):
        for expected in sorted(folder.glob(pattern)):
            path = Path(str(run.root)) / expected.relative_to(reference.root)
            if path.exists():
                found = differences(json.loads(path.read_text()), json.loads(expected.read_text()), tolerance)
                yield from (f"{path.relative_to(str(run.root))}: {text}" for text in first(found, 3))


def first(texts: Iterable[str], count: int) -> list[str]:
    """At most ``count`` of them, and how many more there are."""
    listed = list(texts)
    return listed[:count] + ([f"... and {len(listed) - count} more"] if len(listed) > count else [])


def differences(mine: Any, expected: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Where two JSON values differ by more than ``tolerance``, leaving ``CIRCUMSTANCES`` out."""
    if isinstance(expected, dict) and isinstance(mine, dict):
        for key in dict.fromkeys([*expected, *mine]):
            if key not in CIRCUMSTANCES:
                yield from differences(mine.get(key), expected.get(key), tolerance, f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(mine, list) and len(mine) == len(expected):
        for i, (one, other) in enumerate(zip(mine, expected, strict=True)):
            yield from differences(one, other, tolerance, f"{where}.{i}")
    elif isinstance(expected, float) and isinstance(mine, float | int):
        same = math.isclose(mine, expected, rel_tol=0, abs_tol=tolerance * max(1.0, abs(expected)))
        if not (same or (math.isnan(mine) and math.isnan(expected))):
            yield f"{where.lstrip('.')} is {mine!r} instead of {expected!r}"
    elif mine != expected:
        yield f"{where.lstrip('.')} is {mine!r} instead of {expected!r}"


def of_verify(run: RunDirectory) -> list[str]:
    """What ``latentphase verify`` objects to."""
    findings = verify_run(run.root)
    return [line for line in findings.lines if line.startswith("FAILED")] if findings.failed else []
