"""In which numbers a network is trained, and what the device must offer for that."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

import torch
from torch import Tensor

from models.config import Precision

AUTOCAST: dict[Precision, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16}
"""The type of products and convolutions, where it is not that of the parameters."""


def mixed(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager[object]:
    """Products and convolutions in ``dtype`` within the body; None: as they are."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def full(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``layer`` of ``x`` in single precision where those around it are computed in another; else as it is."""
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def exact_products() -> None:
    """float32 means float32 in this process: on a GPU, torch would else round convolutions to TF32's 10 bits."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raises ValueError where ``device`` cannot compute in ``precision``."""
    if (
        precision == "bfloat16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise ValueError(
            f'precision "bfloat16" needs a GPU that computes in it, which {torch.cuda.get_device_name(device)} does'
            ' not (compute capability 8.0 does); take precision = "float32"'
        )


def check_compiler(device: torch.device) -> None:
    """Raises ValueError where torch.compile has nothing to compile with for ``device``."""
    if device.type == "cuda":
        if find_spec("triton") is None:
            raise ValueError("compile needs the package triton on a GPU, which comes with PyTorch for CUDA on Linux")
    elif shutil.which(os.environ.get("CXX", "g++")) is None:
        raise ValueError("compile needs a C++ compiler on a CPU: install g++, name another in CXX, or leave it out")
