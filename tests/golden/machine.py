"""What rounding depends on: the processor, the code that libraries choose for it, and their releases."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from llvmlite.binding import get_host_cpu_name
from numba.core import config
from threadpoolctl import threadpool_info

RELEASES = ("numpy", "scipy", "numba", "torch", "pyarrow", "safetensors")


def machine() -> dict[str, str]:
    """``processor`` and ``releases``; on two machines where both are equal, files are the same byte for byte."""
    compiled = (
        f"numba for {config.CPU_NAME or get_host_cpu_name()}, torch for {torch.backends.cpu.get_cpu_capability()}"
    )
    blas = sorted({info["architecture"] for info in threadpool_info() if "architecture" in info})
    features = np.lib.introspect.opt_func_info(func_name="^exp$", signature="float64")
    exponential = [by["current"] for kinds in features.values() for by in kinds.values()]
    chosen = f"{compiled}, BLAS for {', '.join(blas)}, numpy for {', '.join(exponential)}"
    releases = [f"{name} {version(name)}" for name in RELEASES]
    return {
        "processor": f"{_model_name()}: {chosen}",
        "releases": ", ".join([f"Python {platform.python_version()}", *releases, _c_library()]),
    }


def _model_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _c_library() -> str:
    return " ".join(platform.libc_ver())
