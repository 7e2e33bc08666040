"""Configurations become features, and every sample is seen once per epoch."""

import numpy as np
import pytest
import torch

from models.config import Variable
from models.data.samples import PackedSamples, batches, samples_of, shuffle


def numbered(n: int) -> PackedSamples:
    """Sample i spells the number i in its 16 spins."""
    bits = np.arange(n, dtype=">u2").view(np.uint8).reshape(n, 2)
    return PackedSamples(bits, (1, 4, 4))


def numbers(x_RBN: torch.Tensor) -> torch.Tensor:
    return ((x_RBN > 0) * 2 ** torch.arange(15, -1, -1)).sum(-1)


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 3, 5), (2, 3, 3), (1, 16, 16)])
def test_unpacking_agrees_with_numpy(shape: tuple[int, int, int]) -> None:
    sites = int(np.prod(shape))
    bits = np.random.default_rng(0).integers(0, 256, size=(20, -(-sites // 8)), dtype=np.uint8)
    expected = np.unpackbits(bits, axis=1)[:, :sites] * 2.0 - 1.0
    rows = torch.tensor([3, 19, 0, 3])
    unpacked = PackedSamples(bits, shape).unpack(rows)
    assert unpacked.dtype == torch.float32
    np.testing.assert_array_equal(unpacked.numpy(), expected[rows])


def test_each_run_sees_each_sample_once_in_an_order_of_its_own() -> None:
    seen = torch.cat([numbers(x) for x in batches(numbered(24), [0, 1, 2], 5, 8)], dim=1)
    assert seen.shape == (3, 24)
    for order, seed in zip(seen, [0, 1, 2], strict=True):
        assert sorted(order.tolist()) == list(range(24))
        assert torch.equal(order, shuffle(24, seed, 5))
    assert not torch.equal(seen[0], seen[1])


def test_the_order_is_that_of_seed_and_epoch() -> None:
    assert torch.equal(shuffle(50, 3, 1), shuffle(50, 3, 1))
    assert not torch.equal(shuffle(50, 3, 1), shuffle(50, 3, 2))
    assert not torch.equal(shuffle(50, 3, 1), shuffle(50, 1, 3))


def test_the_ragged_batch_is_left_out() -> None:
    seen = torch.cat([numbers(x) for x in batches(numbered(21), [0], 0, 8)], dim=1)
    assert len(set(seen.flatten().tolist())) == 16


def test_workers_share_each_batch() -> None:
    whole = [numbers(x) for x in batches(numbered(22), [0, 4], 2, 7)]
    shares = [[numbers(x) for x in batches(numbered(22), [0, 4], 2, 7, rank, 3)] for rank in range(3)]
    for step, batch in enumerate(whole):
        for rank in range(3):
            assert torch.equal(shares[rank][step], batch[:, rank::3])


def test_read_only_bits_are_accepted() -> None:
    bits = np.zeros((2, 2), dtype=np.uint8)
    bits.flags.writeable = False
    assert len(PackedSamples(bits, (1, 4, 4))) == 2


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (np.zeros((2, 3), dtype=np.uint8), "rows? of 2 bytes"),
        (np.zeros((0, 2), dtype=np.uint8), "at least one row"),
        (np.zeros((2, 2), dtype=np.int8), "uint8"),
        (np.zeros(2, dtype=np.uint8), "1-d"),
    ],
)
def test_other_arrays_are_refused(bits: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PackedSamples(bits, (1, 4, 4))


def test_states_become_one_hot_channels() -> None:
    states = np.array([[0, 2, 1, 1, 2, 0], [1, 1, 0, 2, 2, 2]])
    samples = samples_of(states, (2, 1, 3), "states", 3)
    x = samples.unpack(torch.tensor([1, 0])).view(2, 2, 3, 3)  # samples, channels, states, sites
    np.testing.assert_array_equal(x.argmax(2).flatten(1).numpy(), states[[1, 0]])
    assert torch.equal(x.sum(2), torch.ones(2, 2, 3))
    shifted = samples_of(states - 1, (2, 1, 3), "states", 3, lowest=-1)
    assert torch.equal(shifted.unpack(torch.tensor([1, 0])).view_as(x), x)


def test_angles_become_vectors_and_values_stay() -> None:
    angles = np.random.default_rng(0).uniform(0, 7, size=(5, 8))
    x = samples_of(angles, (2, 2, 2), "angles").unpack(torch.arange(5)).view(5, 2, 2, 4)
    by_channel = angles.reshape(5, 2, 4)
    # Angles below 8 are stored to half a unit of the last place, 2.4e-7; cosine and sine round by another 6e-8.
    np.testing.assert_allclose(x[:, :, 0], np.cos(by_channel), atol=1e-6)
    np.testing.assert_allclose(x[:, :, 1], np.sin(by_channel), atol=1e-6)
    values = samples_of(angles, (2, 2, 2), "values")
    np.testing.assert_array_equal(values.unpack(torch.tensor([3])).numpy(), angles[[3]].astype(np.float32))
    assert (values.width, values.shape) == (1, (2, 2, 2))


@pytest.mark.parametrize(
    ("configurations", "variable", "message"),
    [
        (np.array([[0, 3, 1, 0]]), "states", "states must be 0 to 2, got 0 to 3"),
        (np.array([[0, -1, 1, 0]]), "states", "states must be 0 to 2, got -1 to 1"),
        (np.zeros((1, 3)), "values", r"at least one row of 4 numbers for shape \(1, 2, 2\), got \(1, 3\)"),
        (np.array([[0.0, np.nan, 0.0, 0.0]]), "values", "must be finite, got nan"),
        (np.array([[0.0, np.inf, 0.0, 0.0]]), "angles", "must be finite, got nan or infinity"),
    ],
)
def test_configurations_that_are_not_what_they_are_called(
    configurations: np.ndarray, variable: Variable, message: str
) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        samples_of(configurations, (1, 2, 2), variable, 3 if variable == "states" else 2)
