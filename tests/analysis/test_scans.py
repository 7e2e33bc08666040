"""Tables against size and curves against temperature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis.errors import Estimate
from analysis.scans import Record, across_sizes, thermal_scan

Diamond = Callable[..., Any]


def record(size: int, seed: int, value: float, quantity: str = "own") -> Record:
    return Record(quantity, "ising", size, 17.0, seed, Estimate(value, 0.03, 100, "test"))


def test_rows_hold_mean_and_extremes_over_seeds() -> None:
    records = [record(32, 0, 0.9), record(16, 1, 0.8), record(16, 0, 0.6), record(16, 0, 5.0, "angle")]
    rows = across_sizes(records)
    assert [(row.quantity, row.size, row.seeds) for row in rows] == [("own", 16, 2), ("own", 32, 1), ("angle", 16, 1)]
    first = rows[0]
    assert (first.lowest.value, first.highest.value) == (0.6, 0.8)
    assert first.mean.value == pytest.approx(0.7)
    # Variance over the two seeds .02, halved, and the error that both share.
    assert first.mean.error == pytest.approx(np.sqrt(0.01 + 0.03**2))
    assert rows[1].mean.error == pytest.approx(0.03)


def test_an_undefined_value_is_the_worst_in_both_directions() -> None:
    row = across_sizes([record(16, 0, 2.0), record(16, 1, float("nan")), record(16, 2, 1.0)])[0]
    assert np.isnan(row.lowest.value)
    assert np.isnan(row.highest.value)


def test_two_models_of_one_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="seed 0"):
        across_sizes([record(16, 0, 1.0), record(16, 0, 2.0)])


def test_thermal_scan_averages_sizes_of_values(make_diamond: Diamond) -> None:
    held = make_diamond(np.random.default_rng(0))
    scan = thermal_scan(held.order_SK, held.temperature_S, held.chains, np.random.default_rng(1))
    assert scan.temperature == (1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
    for temperature, row in zip(scan.temperature, scan.mean_TF, strict=True):
        of_temperature = np.abs(held.order_SK[held.temperature_S == temperature])
        np.testing.assert_allclose([e.value for e in row], of_temperature.mean(0))
        assert row[0].samples == len(of_temperature)
        assert row[0].error > 0
    with pytest.raises(ValueError, match="per row"):
        thermal_scan(held.order_SK, held.temperature_S[1:], held.chains, np.random.default_rng(1))
