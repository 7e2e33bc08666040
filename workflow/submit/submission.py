"""A study handed to a cluster: which settings apply, and which module hands it over."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import tomli_w

from workflow.study.blocks import Study
from workflow.study.cluster_blocks import Kubernetes, Ray, Slurm, Target, read_site, settings
from workflow.study.loading import StudyError, load

Site = TypeVar("Site", bound=Slurm | Ray | Kubernetes)
"""Settings of one kind of cluster."""


@dataclass(frozen=True, kw_only=True)
class Submission(Generic[Site]):
    """A study, and how one kind of cluster is to run it."""

    study: Study
    source: str
    """Its file or preset, as the user named it."""
    site: Site
    run_dir: str | None
    """Of the command line."""
    device: str
    seed: int | None
    address: str | None

    def folder(self, runs: str) -> str:
        """The run folder: that of the command line, else one in ``runs`` with the study's name."""
        return self.run_dir or f"{runs.rstrip('/')}/{self.study.name}"

    def arguments(self, study: str, folder: str) -> list[str]:
        """What follows ``latentphase`` on the cluster, where the study is called ``study``."""
        words = ["run", study, "--run-dir", folder, "--device", self.device]
        return words if self.seed is None else [*words, "--seed", str(self.seed)]

    def study_text(self) -> str:
        """The study with every default filled in and its seed, for machines that do not see its file."""
        return tomli_w.dumps({key: value for key, value in self.study.resolved.items() if key != "cluster"})


class TargetModule(Protocol):
    """What a module offers that hands submissions to one kind of cluster."""

    def preview(self, job: Submission[Any]) -> str:
        """What would be handed over, as text; raises Unavailable where something is not known."""

    def reservation(self, job: Submission[Any]) -> str:
        """What the cluster sets aside for the job, in a line."""

    def submit(self, job: Submission[Any], say: Callable[[str], None]) -> int:
        """Hand the job over; its exit code where it is followed to its end, else 0. Raises Unavailable."""


MODULES: dict[Target, str] = {
    "slurm": "workflow.submit.slurm",
    "ray": "workflow.submit.ray_job",
    "kubernetes": "workflow.submit.kubernetes",
}
"""Imported when they are needed: each takes libraries of its own."""


def prepare(
    source: str,
    target: Target,
    site: Path | None = None,
    run_dir: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    address: str | None = None,
) -> Submission[Any]:
    """The study called ``source`` with the settings for ``target``: the site file's, then the study's own.

    Raises:
        StudyError: everything wrong with the study, or with the site file.
    """
    study = load(source, seed)
    tables: dict[str, dict[str, Any]] = {}
    if site is not None:
        tables, problems = read_site(site)
        if problems:
            raise StudyError(str(site), problems)
    made = settings(target, [tables, study.cluster])
    return Submission(study=study, source=source, site=made, run_dir=run_dir, device=device, seed=seed, address=address)


def submit(job: Submission[Any], target: Target, dry_run: bool, say: Callable[[str], None]) -> int:
    """Hand ``job`` over, or print what would be handed over.

    Returns:
        The exit code: of the job where it is followed to its end, else 0.

    Raises:
        Unavailable: the target is not there or refuses; the message says what to change.
    """
    module = cast(TargetModule, importlib.import_module(MODULES[target]))
    if dry_run:
        say(module.preview(job))
        say(cost_text(job, module.reservation(job)))
        return 0
    return module.submit(job, say)


def cost_text(job: Submission[Any], reservation: str) -> str:
    """Core-hours from ``plan``, and what is set aside for them, as lines that a shell takes for comments."""
    from workflow.plan.study_cost import study_cost

    cost = study_cost(job.study)
    simulate, train = cost.shards.core_seconds / 3600, cost.models.core_seconds / 3600
    return (
        f"# plan: {simulate:.4f} core-hours to simulate, {train:.4f} core-hours to train on CPUs (estimates)\n"
        f"# {reservation}"
    )
