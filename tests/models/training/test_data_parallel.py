"""Two and four workers train what one does: gradients of one step, the loss and the weights after 16 steps.

What is compared in float64 is the algorithm, since rounding stays far below the tolerances of assert_close (1e-7).
In float32 the workers sum in another order than one alone, and the tests say what that may come to.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.compute.group import Alone, TorchGroup
from models.networks.batch_norm import BatchNorm1d, BatchNorm2d, moments_of, synchronize

WORKER = Path(__file__).with_name("data_parallel_worker.py")
WORK = runpy.run_path(str(WORKER))
NETWORKS, SIZES, STEPS = tuple(WORK["STACKS"]), WORK["SIZES"], WORK["STEPS"]
EPS = float(np.finfo(np.float32).eps)


class Trained(NamedTuple):
    """What every worker of every group ends with, by size and rank, and the file of the bits they were trained on."""

    workers: dict[tuple[int, int], dict[str, Tensor]]
    bits: str

    def first(self, size: int, prefix: str) -> dict[str, Tensor]:
        """The tensors of worker 0 whose names begin with ``prefix.``, without it."""
        found = self.workers[size, 0].items()
        return {name.removeprefix(f"{prefix}."): t for name, t in found if name.startswith(f"{prefix}.")}


@pytest.fixture(scope="module")
def trained(phases: Callable, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("workers")
    bits = folder / "bits.npy"
    np.save(bits, phases(4, 300)[0])
    environment = os.environ | {"PYTHONPATH": str(WORKER.parents[3]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, WORKER, bits, folder]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr
    ranks = [(size, rank) for size in SIZES for rank in range(size)]
    workers = {(size, rank): safetensors.torch.load_file(folder / f"{size}-{rank}.safetensors") for size, rank in ranks}
    return Trained(workers, str(bits))


@pytest.fixture(params=["double", "single"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    """All that a training makes is of this type."""
    torch.set_default_dtype(WORK["DTYPES"][request.param])
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("size", SIZES)
def test_all_workers_end_with_the_same_numbers(trained: Trained, size: int) -> None:
    first, *others = [trained.workers[size, rank] for rank in range(size)]
    same = [name for name in first if not name.startswith(("apart.", "unsynchronized."))]
    assert all(torch.equal(first[name], other[name]) for other in others for name in same)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_of_one_step(trained: Trained, precision: str, network: str, size: int) -> None:
    """To rounding: a sum over the samples of a batch is, in any order, that of terms changed by a unit of the last
    place for each of them (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2).

    What that does to a gradient depends on how much cancels in it, and is what weights changed by one such unit do.
    """
    alone, changed = (
        WORK["gradients"](trained.bits, network, None, nudge)
        for nudge in (0.0, torch.finfo(torch.get_default_dtype()).eps)
    )
    theirs = trained.first(size, f"{precision}.{network}")
    by_digits, by_workers = (
        max(float((other[name] - gradient).abs().max()) for name, gradient in alone.items())
        for other in (changed, theirs)
    )
    assert by_workers <= WORK["BATCH"] * by_digits
    # The bound is of use: it stays far below the gradients.
    assert WORK["BATCH"] * by_digits < 1e-4 * max(float(gradient.abs().max()) for gradient in alone.values())


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_loss_and_weights_after_many_steps(trained: Trained, network: str, size: int) -> None:
    alone = WORK["train"](trained.bits, network, None)
    theirs = trained.first(size, f"double.{network}")
    for name, tensor in alone.items():
        torch.testing.assert_close(theirs[name], tensor)
    assert alone["psi4"].isfinite().all(), "the kicks have been part of it"


def loss(found: dict[str, Tensor]) -> Tensor:
    """Reconstruction of every run in the last epoch."""
    return found["metrics"][-1, ..., 0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", ["shallow", "convolutional"])
def test_loss_after_many_steps_in_single_precision(trained: Trained, network: str, size: int) -> None:
    """Every step may add an error of float32's unit in the last place."""
    alone = loss(WORK["train"](trained.bits, network, None))
    torch.testing.assert_close(loss(trained.first(size, f"single.{network}")), alone, rtol=STEPS * EPS, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_table_1_in_single_precision_differs_as_rounding_makes_it(trained: Trained, size: int) -> None:
    """Adam's first steps are the signs of the gradients, and of many components some are nothing but rounding.

    So float32 allows no tolerance as above: one worker with two threads differs from itself with one by as much as
    four workers do. What the workers differ by is compared with the effect of weights that are changed in the sixth
    digit before training, as the gradients of one step are.
    """
    alone = WORK["train"](trained.bits, "table-1", None)
    changed = WORK["train"](trained.bits, "table-1", None, nudge=1e-6)
    theirs = trained.first(size, "single.table-1")
    by_digits, by_workers = ((other["metrics"] - alone["metrics"])[..., 0].abs().max() for other in (changed, theirs))
    assert 0 < by_workers < 10 * by_digits
    # In the first epoch, before rounding has grown:
    torch.testing.assert_close(theirs["metrics"][0, ..., 0], alone["metrics"][0, ..., 0], rtol=1e-3, atol=0)


@pytest.mark.usefixtures("double_precision")
def test_without_averaged_gradients_it_is_noticed(trained: Trained) -> None:
    """Negative control: the first worker goes where its own share leads it."""
    alone = WORK["train"](trained.bits, "shallow", None)
    difference = (trained.first(2, "apart")["metrics"] / alone["metrics"] - 1).abs()
    assert difference[-1].max() > 1e-3


@pytest.mark.usefixtures("double_precision")
def test_batch_norm_of_each_share_is_noticed(trained: Trained) -> None:
    """Negative control: statistics of each worker's own share are another training."""
    alone = WORK["train"](trained.bits, "table-1", None)
    difference = (trained.first(2, "unsynchronized")["metrics"] / alone["metrics"] - 1).abs()
    assert difference[0].max() > 1e-3


def test_a_group_needs_torch_distributed() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        TorchGroup()


class Halves(Alone):
    """Two workers in one: both have the same share, so that means stay and gathering repeats."""

    size = 2

    def gather(self, tensor: Tensor) -> Tensor:
        return torch.stack([tensor, tensor])


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("kind", "shape"), [(BatchNorm1d, (7, 3)), (BatchNorm2d, (7, 3, 4, 2))])
def test_batch_norm_of_a_doubled_batch(kind: Any, shape: tuple[int, ...]) -> None:
    """The same batch on two workers, against torch's layer on both batches at once: values, gradients, statistics."""
    generator = torch.Generator().manual_seed(0)
    # Far from zero: variances that come from differences of squares would lose digits here.
    x = 100 + torch.randn(shape, generator=generator)
    slope = torch.randn(shape, generator=generator)
    ours, torchs = kind(3), kind(3)
    synchronize(torch.nn.Sequential(ours), Halves())
    for layer in (ours, torchs):
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
            layer.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    mine = x.clone().requires_grad_()
    both = torch.cat([x, x]).requires_grad_()
    (ours(mine) * slope).sum().backward()
    (torchs(both) * torch.cat([slope, slope])).sum().backward()
    assert mine.grad is not None and both.grad is not None
    torch.testing.assert_close(mine.grad, both.grad[: len(x)])
    for name, parameter in ours.named_parameters():
        # Of its own share: averaged over the workers with all other gradients.
        torch.testing.assert_close(2 * parameter.grad, torchs.get_parameter(name).grad)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, torchs.get_buffer(name))
    torch.testing.assert_close(ours.eval()(x), torchs.eval()(x))


@pytest.mark.usefixtures("double_precision")
def test_moments_of_unequal_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 2, 3, generator=generator)
    shares = x[:7], x[7:]

    class Unequal(Halves):
        def gather(self, tensor: Tensor) -> Tensor:
            others = [moments_of(share, share.dtype, Alone()) for share in shares]
            return torch.stack([torch.cat([one.mean_C, one.variance_C, one.total.view(1)]) for one in others])

    mean, variance, total = moments_of(shares[0], x.dtype, Unequal())
    torch.testing.assert_close(mean, x.mean((0, 2)))
    torch.testing.assert_close(variance, x.var((0, 2), correction=0))
    assert int(total) == 27
