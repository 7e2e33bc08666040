"""Random masks: the probability is exact, lanes are independent, and nothing depends on how it is cut."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from simulators.discrete import multispin
from simulators.discrete.multispin import BLOCK, LEADING
from simulators.rng.lanes import LANES

FALSE_ALARM = 1e-6  # per comparison; the seeds are fixed
EXPONENTS = [
    Decimal(x) for x in ("0", "1e-30", "0.3", "1.7627471740390860504652186499596", "14.5", "44", "45", "1e300")
]
MASKS = (multispin.MASK_0, multispin.MASK_1, multispin.MASK_2, multispin.MASK_3, multispin.MASK_4)


def lanes(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(..., 64) bits of words, lane 0 first."""
    return (words[..., None] >> np.arange(LANES).astype(np.uint64) & np.uint64(1)).astype(bool)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_thresholds_are_the_first_64_bits_of_the_probability(exponent: Decimal) -> None:
    with localcontext() as context:
        context.prec = 120
        expected = min(int((-exponent).exp() * 2**64), 2**64 - 1)
    threshold = multispin.thresholds([exponent])
    assert int(threshold.bits_P[0]) == expected
    changes = (threshold.leading_X != 0).astype(int)
    bits = np.bitwise_xor.accumulate(changes[:LEADING])
    assert "".join(map(str, bits)) == f"{expected:064b}"[:LEADING]
    assert changes[LEADING] == bits[-1]


def test_probabilities_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be negative, got \[-0.1\]"):
        multispin.thresholds([Decimal("-0.1")])


@pytest.mark.parametrize(("fill", "count"), [(multispin.fill_two, 2), (multispin.fill_five, 5)])
def test_masks_follow_their_definition_word_by_word(fill: Callable[..., None], count: int) -> None:
    """Every lane takes the probability's bit at the first zero of its random bits, by numpy's own SFC64."""
    threshold = multispin.thresholds([Decimal(x) for x in ("0.05", "1.2", "3", "0.6", "7")[:count]])
    stream = multispin.streams(np.random.default_rng(1), 1)[0]
    generators = [numpy_sfc64(stream[j : 4 * BLOCK : BLOCK]) for j in range(BLOCK)]
    spare = numpy_sfc64(stream[multispin.SPARE : multispin.SPARE + 4])
    for _ in range(3):
        fill(stream, *threshold)
        for j in range(BLOCK):
            expected = reference_masks(generators[j], spare, [int(bits) for bits in threshold.bits_P])
            assert [int(stream[mask + j]) for mask in MASKS[:count]] == expected


def numpy_sfc64(state: NDArray[np.uint64]) -> np.random.SFC64:
    generator = np.random.SFC64(0)
    generator.state = {**generator.state, "state": {"state": state.copy()}}
    return generator


def reference_masks(generator: Any, spare: Any, thresholds: list[int]) -> list[int]:
    """One word of each mask, bit by bit and lane by lane; random bits count from the most significant."""
    drawn = [int(y) for y in generator.random_raw(LEADING)][::-1]
    while len(drawn) < 64 and any(all(y >> lane & 1 for y in drawn) for lane in range(LANES)):
        drawn.append(int(spare.random_raw()))
    masks = [0] * len(thresholds)
    for lane in range(LANES):
        first_zero = next((k for k, y in enumerate(drawn) if not y >> lane & 1), None)
        for number, threshold in enumerate(thresholds):
            if first_zero is not None and threshold >> (63 - first_zero) & 1:
                masks[number] |= 1 << lane
    return masks


def counted(fill: Callable[..., None], exponents: list[Decimal], blocks: int) -> NDArray[np.int64]:
    """True lanes of each mask in ``blocks`` blocks of 64 words."""
    threshold = multispin.thresholds(exponents)
    stream = multispin.streams(np.random.default_rng(2), 1)[0]
    total = np.zeros(len(exponents), dtype=np.int64)
    for _ in range(blocks):
        fill(stream, *threshold)
        total += [int(np.bitwise_count(stream[mask : mask + BLOCK]).sum()) for mask in MASKS[: len(exponents)]]
    return total


@pytest.mark.parametrize(
    ("fill", "probabilities"),
    [(multispin.fill_two, (3e-4, 0.03)), (multispin.fill_five, (3e-4, 0.03, 0.5, 0.9, 1 - 3e-5))],
)
def test_frequencies_are_exact_beyond_the_leading_bits(
    fill: Callable[..., None], probabilities: tuple[float, ...]
) -> None:
    """3e-4 is 1.2 units of the last leading bit: cut off there it would be 2.4e-4 or 4.9e-4."""
    blocks = 2000
    trials = blocks * BLOCK * LANES
    found = counted(fill, [-Decimal(p).ln() for p in probabilities], blocks)
    for p, successes in zip(probabilities, found, strict=True):
        assert two_sided(successes, trials, p) > FALSE_ALARM
    truncated = np.floor(3e-4 * 2**LEADING) / 2**LEADING
    assert two_sided(found[0], trials, truncated) < FALSE_ALARM, "negative control: no repair of undecided lanes"


def two_sided(successes: int, trials: int, p: float) -> float:
    return 2 * min(binom.cdf(successes, trials, p), binom.sf(successes - 1, trials, p))


def test_lanes_and_words_are_uncorrelated() -> None:
    threshold = multispin.thresholds([-Decimal("0.3").ln(), -Decimal("0.5").ln()])
    streams = multispin.streams(np.random.default_rng(3), 2)
    samples = []
    for _ in range(1000):
        for stream in streams:
            multispin.fill_two(stream, *threshold)
        samples.append(lanes(streams[:, multispin.MASK_0 : multispin.MASK_0 + BLOCK]).reshape(2, -1))
    bits = np.array(samples)  # (time, stream, word * 64 + lane)
    # Correlations of n samples have standard deviation 1 / sqrt(n); the largest of 2080 stays below 5.5 of them
    # with probability 1 - 8e-5.
    lane = np.corrcoef(bits[:, 0, :LANES].T) - np.eye(LANES)
    assert np.abs(lane).max() * np.sqrt(1000) < 5.5
    for one, other in (
        (bits[:, 0], bits[:, 1]),
        (bits[:-1, 0], bits[1:, 0]),
        (bits[:, 0, LANES:], bits[:, 0, :-LANES]),
    ):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) * np.sqrt(one.size) < 5.5


def test_popcount() -> None:
    for word in (0, 1, 2**63, 2**64 - 1, 0xDEADBEEF12345678):
        assert int(multispin.popcount(np.uint64(word))) == word.bit_count()
