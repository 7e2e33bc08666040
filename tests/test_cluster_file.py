"""The files of the cluster launcher against Ray's own schema, and against what the workflow and SECURITY.md ask for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = ("cluster.yaml", "deploy/cluster-onprem.yaml")


@pytest.fixture(params=FILES)
def content(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


def validate(content: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(content)
    validate_config(prepared)
    return prepared


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_file_follows_the_schema_of_ray(content: dict[str, Any]) -> None:
    validate(content)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_misspelt_key_would_be_noticed(content: dict[str, Any]) -> None:
    """Negative control."""
    from jsonschema import ValidationError

    with pytest.raises(ValidationError, match="max_worker"):
        validate(content | {"max_worker": 3})


def test_groups_have_the_labels_that_the_workflow_asks_for() -> None:
    groups = read("cluster.yaml")["available_node_types"]
    assert {group["labels"]["workload"] for group in groups.values()} == {"head", "simulation", "training"}
    assert groups["head"]["resources"]["CPU"] == 0
    assert groups["training"]["resources"]["GPU"] >= 1


def test_simulations_run_on_spot_nodes_that_are_stopped_when_idle() -> None:
    content = read("cluster.yaml")
    assert content["idle_timeout_minutes"] <= 10
    spot = content["available_node_types"]["simulation"]
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert spot["min_workers"] == 0 < spot["max_workers"] <= content["max_workers"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_machine_of_ones_own_is_used() -> None:
    content = read("deploy/cluster-onprem.yaml")
    machines = content["provider"]["worker_ips"]
    prepared = validate(content)
    (kind,) = prepared["available_node_types"].values()
    assert kind["max_workers"] == kind["min_workers"] == prepared["max_workers"] == len(machines)
    assert content["provider"]["head_ip"] not in machines


def test_no_port_is_open_without_the_token(content: dict[str, Any]) -> None:
    starts = [
        command
        for where in ("head", "worker")
        for command in content[f"{where}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "~/.ray/auth_token" in content["file_mounts"]
