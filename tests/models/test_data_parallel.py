"""Several workers train what one does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.group import TorchGroup

WORKER = Path(__file__).with_name("data_parallel_worker.py")
ROOT = WORKER.parents[2]


@pytest.fixture
def bits(phases: Callable, tmp_path: Path) -> Path:
    path = tmp_path / "bits.npy"
    np.save(path, phases(4, 300)[0])
    return path


def train(network: str, workers: int, bits: Path) -> list[dict[str, Tensor]]:
    """What each of ``workers`` processes ends with."""
    results = [bits.with_name(f"{network}-{workers}-{rank}.safetensors") for rank in range(workers)]
    meeting = bits.with_name(f"meeting-{network}-{workers}")
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, network, str(rank), str(workers), meeting, result, bits],
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, result in enumerate(results)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    return [safetensors.torch.load_file(result) for result in results]


def test_two_workers_agree_with_one(bits: Path) -> None:
    """In float64, where rounding stays below the tolerances of assert_close."""
    (alone,), (first, second) = train("shallow", 1, bits), train("shallow", 2, bits)
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor)
    assert alone["psi4"].isfinite().all()


def test_workers_with_batch_norm_stay_together(bits: Path) -> None:
    """Each takes batch statistics of its own share, so that two are not one; but they end with the same network."""
    first, second = train("table-1", 2, bits)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_group_needs_torch_distributed() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        TorchGroup()
