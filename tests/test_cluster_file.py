"""cluster.yaml against Ray's own schema, and against the labels that the workflow asks for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture
def content() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def validate(content: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(content))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_file_follows_the_schema_of_ray(content: dict[str, Any]) -> None:
    validate(content)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_misspelt_key_would_be_noticed(content: dict[str, Any]) -> None:
    """Negative control."""
    from jsonschema import ValidationError

    with pytest.raises(ValidationError, match="max_worker"):
        validate(content | {"max_worker": 3})


def test_groups_have_the_labels_that_the_workflow_asks_for(content: dict[str, Any]) -> None:
    groups = content["available_node_types"]
    assert {group["labels"]["workload"] for group in groups.values()} == {"head", "simulation", "training"}
    assert groups["head"]["resources"]["CPU"] == 0
    assert groups["training"]["resources"]["GPU"] >= 1
