"""Bits become spins, and every sample is seen once per epoch."""

import numpy as np
import pytest
import torch

from models.data import PackedSamples, batches, shuffle


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
