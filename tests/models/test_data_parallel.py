"""Several workers train what one does."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.group import TorchGroup

WORKER = Path(__file__).with_name("data_parallel_worker.py")
ROOT = WORKER.parents[2]


class Trained(NamedTuple):
    """What each of two workers ends with, and the file of the bits that it was trained on."""

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    bits: Path


@pytest.fixture(scope="module")
def trained(phases: Callable, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("workers")
    bits = folder / "bits.npy"
    np.save(bits, phases(4, 300)[0])
    results = [folder / f"{rank}.safetensors" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, str(rank), folder / "meeting", bits, result],
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, result in enumerate(results)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    return Trained(*map(safetensors.torch.load_file, results), bits)


def train_alone(bits: Path, network: str) -> dict[str, Tensor]:
    return runpy.run_path(str(WORKER))["train"](bits, network, None)


def test_workers_end_with_the_same_networks(trained: Trained) -> None:
    assert all(torch.equal(trained.first[name], trained.second[name]) for name in trained.first)


@pytest.mark.usefixtures("double_precision")
def test_two_workers_agree_with_one(trained: Trained) -> None:
    """In float64, where rounding stays below the tolerances of assert_close."""
    alone = train_alone(trained.bits, "shallow")
    for name, tensor in alone.items():
        torch.testing.assert_close(trained.first[f"shallow.{name}"], tensor)
    assert alone["psi4"].isfinite().all(), "the kick has been part of it"


@pytest.mark.usefixtures("double_precision")
def test_with_batch_norm_they_do_not(trained: Trained) -> None:
    """Negative control: each takes batch statistics of its own share, which is another training."""
    alone = train_alone(trained.bits, "table-1")
    assert not torch.allclose(trained.first["table-1.metrics"], alone["metrics"])


def test_a_group_needs_torch_distributed() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        TorchGroup()
