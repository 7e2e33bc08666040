"""Settings refuse what cannot work, and say why."""

from typing import Any

import pytest

from models.config import ModelConfig, TrainConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (1, 6, 8), "network": "table-1"}, r"multiples of 4, got \(6, 8\)"),
        ({"shape": (1, 8, 8), "network": "table-1", "hidden": 64}, "hidden is not a setting of table-1"),
        ({"shape": (1, 8, 8), "padding": "same"}, "padding is a setting of table-1"),
        ({"shape": (1, 8, 8), "padding": "zeros"}, "padding must be"),
        ({"shape": (1, 8, 8), "network": "deep"}, "network must be one of shallow, table-1, convolutional, got 'deep'"),
        ({"shape": (1, 8, 8), "likelihood": "poisson"}, "likelihood must be"),
        ({"shape": (1, 8, 8), "latent": 0}, "latent must be at least 1, got 0"),
        ({"shape": (1, 8, 8), "hidden": 0}, "hidden must be at least 1, got 0"),
        ({"shape": (0, 8, 8)}, "shape must be channels, rows, columns"),
    ],
)
def test_bad_models_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0, "axes": "none"}, "epochs must be at least 1, got 0"),
        ({"epochs": 1}, 'epochs must be at least 2 with axes = "quartimax", got 1'),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive and finite, got inf"),
        ({"axes": "varimax"}, "axes must be"),
    ],
)
def test_bad_training_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


def test_sites_count_channels() -> None:
    assert ModelConfig(shape=(3, 4, 5)).sites == 60
