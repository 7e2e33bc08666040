"""``[cluster.*]``: what a study, or a file of the site, says about the machines to run on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
from pydantic import AfterValidator, ConfigDict, Strict

from workflow.study.checking import build
from workflow.study.grid import Problem

Target = Literal["slurm", "ray", "kubernetes"]
Whole = Annotated[int, Strict(), annotated_types.Ge(1)]
Count = Annotated[int, Strict(), annotated_types.Ge(0)]


def _like(pattern: str, expected: str) -> AfterValidator:
    """Check that all of a text matches ``pattern``, so that no part of it can end a line of a script."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {expected}")
        return text

    return AfterValidator(check)


Name = Annotated[str, Strict(), _like(r"[\w.,:@+-]+", "a name without spaces")]
Feature = Annotated[str, Strict(), _like(r"[\w.,:@+&|*()\[\]-]+", "an expression of features without spaces")]
Line = Annotated[str, Strict(), _like(r"[^\n\r]+", "one line")]
Directive = Annotated[str, Strict(), _like(r"--[a-z][^\n\r]*", "one option of sbatch, such as --exclusive")]
Duration = Annotated[
    str, Strict(), _like(r"\d+|\d+:\d\d(:\d\d)?|\d+-\d+(:\d\d){0,2}", "a time such as 04:00:00 or 1-12:00:00")
]
Megabytes = Annotated[str, Strict(), _like(r"\d+[KMGT]?", "an amount such as 64G")]
Quantity = Annotated[str, Strict(), _like(r"\d+(Mi|Gi|Ti)", "an amount such as 64Gi")]
Folder = Annotated[str, Strict(), _like(r"/[^\n\r]*|[a-z0-9]+://[^\n\r]+", "an absolute path or a URI")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slurm:
    """``[cluster.slurm]``: one allocation."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    nodes: Whole = 1
    cpus: Whole = 1
    """Per node."""
    gpus: Count = 0
    """Per node."""
    memory: Megabytes | None = None
    """Per node; the partition's default when left out."""
    time: Duration = "01:00:00"
    partition: Name | None = None
    account: Name | None = None
    qos: Name | None = None
    constraint: Feature | None = None
    signal: Annotated[int, Strict(), annotated_types.Ge(40)] = 120
    """Seconds before the time limit at which the run saves its state and the job goes back into the queue."""
    restarts: Count = 100
    """How often the job may go back into the queue by itself."""
    suffix: Name | None = None
    """Appended to the nodes' names to get those of another network, such as "-ib0"."""
    extra: list[Directive] = field(default_factory=list)
    setup: list[Line] = field(default_factory=list)
    """Shell lines before anything else, such as "module load python"."""
    python: Line | None = None
    """The interpreter on the nodes; the one that submits when left out."""
    runs: Folder | None = None
    """Where run folders are made; ``runs`` below the folder of the submission when left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ray:
    """``[cluster.ray]``: a cluster that is there already."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    cpus: Annotated[float, annotated_types.Ge(0)] = 0
    """Set aside for the driver; 0 lets it run on a head without CPUs."""
    address: Line | None = None
    """Of the dashboard, such as http://127.0.0.1:8265."""
    runs: Folder | None = None
    """Folder or URI that all nodes share, in which run folders are made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerGroup:
    """A group of equal Kubernetes workers."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    most: Whole
    """Workers at most; they are started when there is work for them."""
    cpus: Whole
    memory: Quantity
    gpus: Count = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubernetes:
    """``[cluster.kubernetes]``: a Ray cluster made by KubeRay for this run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    simulation: WorkerGroup = field(default_factory=lambda: WorkerGroup(most=4, cpus=8, memory="16Gi"))
    training: WorkerGroup = field(default_factory=lambda: WorkerGroup(most=1, cpus=8, memory="32Gi", gpus=1))
    head_memory: Quantity = "8Gi"
    retries: Count = 3
    """How often the whole job is started again on a new cluster; it goes on from what is finished."""
    keep: Count = 600
    """Seconds that the cluster stays after the end, for its logs."""
    namespace: Annotated[str, Strict(), _like(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a Kubernetes name")] = "default"
    image: Line | None = None
    """Container image with this checkout installed."""
    training_image: Line | None = None
    """The same with CUDA, for the training group; ``image`` when left out."""
    claim: Name | None = None
    """Persistent volume claim (ReadWriteMany) that all pods mount."""
    mount: Folder = "/shared"
    """Where they mount it; run folders are made in ``runs`` there."""


KINDS: dict[Target, type] = {"slurm": Slurm, "ray": Ray, "kubernetes": Kubernetes}
SITE_ONLY: dict[Target, tuple[str, ...]] = {
    "slurm": ("extra", "setup", "python", "runs"),
    "ray": ("address", "runs"),
    "kubernetes": ("image", "training_image", "claim", "mount"),
}
"""Entries that name code or places. Anybody may have written a study, so these belong in a site file."""


def parse_cluster(raw: Any, problems: list[Problem], site: bool = False) -> dict[str, dict[str, Any]]:
    """The tables below ``[cluster]`` with the keys that were given, checked.

    Args:
        raw: what the file has at ``cluster``.
        problems: every problem is added.
        site: this is a site file, which may say everything.
    """
    if not isinstance(raw, dict) or not all(isinstance(table, dict) for table in raw.values()):
        problems.append(Problem("cluster", f"must be written as tables [cluster.{'|'.join(KINDS)}]"))
        return {}
    for kind, table in raw.items():
        place = f"cluster.{kind}"
        if kind not in KINDS:
            problems.append(Problem(place, f"unknown target; there are {', '.join(KINDS)}"))
            continue
        build(KINDS[kind], table, place, problems)
        for key in SITE_ONLY[kind] if not site else ():
            if key in table:
                problems.append(Problem(f"{place}.{key}", "belongs in a site file (--site), not in a study"))
    return raw


def read_site(path: Path) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The tables of a site file, and what is wrong with it."""
    problems: list[Problem] = []
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [Problem("file", f"is not TOML: {error}")]
    problems += [Problem(key, "unknown key; a site file has [cluster.*] tables") for key in raw if key != "cluster"]
    return parse_cluster(raw.get("cluster", {}), problems, site=True), problems


def settings(kind: Target, tables: Iterable[dict[str, dict[str, Any]]]) -> Any:
    """Settings for ``kind`` (one of ``KINDS``) from checked tables, of which later ones win key by key."""
    merged: dict[str, Any] = {}
    for table in tables:
        merged |= table.get(kind, {})
    problems: list[Problem] = []
    made = build(KINDS[kind], merged, f"cluster.{kind}", problems)
    assert made is not None, problems
    return made
