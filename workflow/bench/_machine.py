"""What the benchmark ran on: without it, absolute numbers mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workflow import ROOT
from workflow.dataset.gathered import machine_memory

PACKAGES = ("latentphase", "numpy", "numba", "torch", "ray", "pyarrow", "mcising", "peapods", "pythae")


def facts() -> dict[str, Any]:
    """Processor, cores, load, memory, versions (None where not installed) and the checkout's commit, for JSON."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "memory_gib": round(machine_memory() / 2**30, 1),
        "system": platform.platform(),
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def headline(machine: dict[str, Any]) -> str:
    """``facts`` as the lines above the table."""
    loads = " ".join(f"{load:g}" for load in machine["load_average"])
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    return (
        f"{machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores, "
        f"{machine['memory_gib']:g} GiB, load average {loads}\n"
        f"{machine['system']}, commit {machine['commit'] or 'unknown'}\n"
        f"{versions}"
    )


def _processor() -> str:
    """The processor's name as Linux knows it; elsewhere what Python knows, often only the architecture."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout this runs from, marked where files differ from it; None outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
