"""The groups gpu and scaling: what they make of their measurements, and that they run; no test measures a speed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from workflow.bench import gpu, run_bench, scaling
from workflow.bench._figure import Figure, SkippedFigure
from workflow.cli.main import main

CPU = torch.device("cpu")


def macs_of_table1(size: int) -> tuple[int, int]:
    """Multiplications of one sample's forward pass through table-1, and those of the first layer, by hand.

    Convolutions: positions of the coarser lattice x 16 sites of the kernel x channels in x channels out.
    """
    coarse, middle = (size // 4) ** 2, (size // 2) ** 2
    first = middle * 16 * 64
    convolution = coarse * 16 * 64 * 128
    connected = coarse * 128 * 1024
    heads = 1024 * 2
    return 2 * (first + convolution + connected) + 3 * heads, first


@pytest.mark.parametrize("size", [8, 16])
def test_operations_of_table_1(size: int) -> None:
    """Forward, and backward twice as many: both factors of every product, but not the gradient of the spins."""
    forward, first = macs_of_table1(size)
    assert gpu._operations(gpu.GpuCase("table-1", size, 4), CPU) == 2 * (3 * forward - first)


@pytest.mark.parametrize("runs", [1, 3])
def test_operations_of_a_stack_are_those_of_one_run(runs: int) -> None:
    forward = 2 * 64 * 128 + 3 * 128 * 2
    assert gpu._operations(gpu.GpuCase("shallow", 8, 4, runs), CPU) == 2 * (3 * forward - 64 * 128)


def test_what_does_not_fit_is_left_out_with_numbers() -> None:
    """4.3e9 parameters of 16 bytes at L = 512."""
    large, small = gpu.GpuCase("table-1", 512, 16), gpu.GpuCase("table-1", 32, 128)
    assert gpu.too_large(small, 2**34) is None
    assert gpu.too_large(large, 80 * 2**30) is None
    reason = gpu.too_large(large, 40 * 2**30)
    assert reason == "parameters, gradients and moments take 64 GiB, of 40 that there are"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_without_a_gpu_the_group_says_so(device: str) -> None:
    (skipped,) = gpu.measure(quick=False, device=device)
    assert isinstance(skipped, SkippedFigure)
    assert "no GPU" in skipped.reason


def test_the_group_runs_on_a_cpu(tmp_path: Path) -> None:
    """The code that a GPU will run, but for what is compiled."""
    output = tmp_path / "bench.json"
    result = CliRunner().invoke(main, ["bench", "--quick", "--only", "gpu", "--device", "cpu", "--output", str(output)])
    assert result.exit_code == 0, result.output
    figures = {figure["name"]: figure for figure in json.loads(output.read_text())["figures"]}
    expected = {f"peak {precision}" for precision in gpu.PRECISIONS}
    for case in gpu.QUICK:
        for precision in gpu.PRECISIONS:
            expected |= {f"{case.name} {precision}", f"{case.name} {precision} / peak"}
    assert set(figures) == expected
    assert all(figure["value"] > 0 for figure in figures.values())
    name = f"{gpu.QUICK[0].name} float32"
    share = figures[name]["value"] * gpu._operations(gpu.QUICK[0], CPU) / (1e12 * figures["peak float32"]["value"])
    assert figures[f"{name} / peak"]["value"] == pytest.approx(100 * share)


def test_a_device_is_for_groups_that_can_be_told() -> None:
    result = CliRunner().invoke(main, ["bench", "--only", "scaling", "--device", "cpu"])
    assert result.exit_code == 2
    assert "--device is for the group gpu alone: add --only gpu" in result.output
    with pytest.raises(ValueError, match="device is not a setting of the group scaling"):
        run_bench(["scaling"], quick=True, output=None, say=print, device="cpu")


def test_two_workers_are_compared_with_one_and_with_two_apart() -> None:
    slower = np.array([4.0, 2.0, 1.0])
    rates = scaling.Rates(alone=100 * slower, apart=180 * slower, together=135 * slower)
    gain, left = scaling.compared(scaling.CASES[0], rates)
    assert isinstance(gain, Figure) and isinstance(left, Figure)
    assert (gain.value, gain.spread) == (1.35, (1.35, 1.35))
    assert left.value == pytest.approx(75)
    assert "1.80 times" in gain.note


@pytest.mark.slow
def test_two_workers_train_side_by_side() -> None:
    rates = scaling._rates(scaling.ScalingCase("shallow", 8, 2), rounds=2)
    for rate in rates:
        assert rate.shape == (2,)
        assert (np.isfinite(rate) & (rate > 0)).all()
