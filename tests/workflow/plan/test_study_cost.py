"""What a study would take: sums over its tasks, memory of its workers, and a warning where that is too much."""

import re
import tracemalloc
from typing import Any

import pytest
from studies import TINY, changed, small

from workflow.plan import costs
from workflow.plan import table as plan_table
from workflow.plan.data_costs import shard_cost
from workflow.plan.study_cost import study_cost
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.study.loading import load, parse


def run_of(network: str, size: int, **settings: Any) -> ModelPlan:
    """One training of a lattice size that nothing is simulated for."""
    raw = small()
    raw["simulate"][0]["size"] = size
    raw["train"][0] |= {"network": network, **settings}
    return model_plans(parse(raw))[0]


def test_shards_are_summed() -> None:
    study = parse(TINY)
    tasks = shard_tasks(study)
    found = study_cost(study).shards
    estimates = [shard_cost(task) for task in tasks]
    assert (found.count, found.samples) == (8, 2048)
    assert found.core_seconds == pytest.approx(sum(cost.core_seconds for cost in estimates))
    assert found.disk_bytes == sum(cost.disk_bytes for cost in estimates)
    assert found.memory_bytes == max(cost.memory_bytes for cost in estimates)
    assert sum(found.algorithms["ising", 8].values()) == 4


def test_every_model_reads_every_shard_of_its_size() -> None:
    found = study_cost(parse(TINY)).models
    assert (len(found.models), found.files) == (8, 32)
    # Two latents of a mean and a spread, and about as much again for the row.
    assert found.latent_bytes == 8 * 1024 * 32
    again = study_cost(parse(changed("train", 0, "restarts", to=3))).models
    assert (len(again.models), again.files) == (24, 32), "one restart of each seed goes on"
    assert again.core_seconds == pytest.approx(3 * found.core_seconds)


def test_nothing_to_train_holds_no_task() -> None:
    """A task takes about a kilobyte: 2,000 of them would be seen."""
    raw = small(train=[])
    raw["simulate"][0]["temperature"] = {"start": 1.0, "stop": 5.0, "count": 1000}
    study = parse(raw)
    study_cost(study)
    tracemalloc.start()
    try:
        assert study_cost(study).shards.count == 2000
        _, peak = tracemalloc.get_traced_memory()
        tasks = shard_tasks(study)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(tasks) == 2000
    assert peak < 200_000 < held


# Peaks of resident memory in GB of two or three steps of one epoch (getrusage), with the number of runs in the stack;
# PyTorch 2.13 on an x86-64 CPU. The estimate has a worker of the program around it and what follows training.
MEASURED = [
    ("convolutional", 512, 4, 1, 0.587),
    ("convolutional", 512, 16, 1, 1.157),
    ("convolutional", 256, 32, 1, 0.777),
    ("convolutional", 64, 128, 1, 0.508),
    ("table-1", 64, 32, 1, 1.558),
    ("table-1", 32, 128, 1, 0.771),
    ("shallow", 64, 128, 8, 0.578),
    ("shallow", 512, 32, 1, 1.559),
]


@pytest.mark.parametrize(("network", "size", "batch", "stacked", "gigabytes"), MEASURED)
def test_memory_of_training_is_what_was_measured(
    network: str, size: int, batch: int, stacked: int, gigabytes: float
) -> None:
    estimate = costs.training_memory(run_of(network, size, batch=batch), 0.0, stacked) / 1e9
    assert gigabytes < estimate < 1.6 * gigabytes + 0.7


def test_memory_of_training_grows_with_the_batch_and_not_with_its_workers() -> None:
    one = costs.training_memory(run_of("convolutional", 512, batch=64), 0.0)
    assert costs.training_memory(run_of("convolutional", 512, batch=128), 0.0) - one == pytest.approx(one, rel=0.2)
    assert costs.training_memory(run_of("convolutional", 512, batch=128, workers=2), 0.0) == one


def test_table_1_of_a_large_lattice_does_not_fit_anywhere() -> None:
    """Two layers of 2 x 10^9 weights, each with its gradient and two moments: 64 GiB."""
    assert costs.training_memory(run_of("table-1", 512, batch=8), 0.0) > 64 * 2**30


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_table, "machine_memory", lambda: 2**30)
    text = plan_table.plan_table(parse(TINY), 4)
    pattern = r"simulate: 4 workers of 429\.\d MiB may take 1\.7 GiB, but this machine has 1\.0 GiB: take --workers 2\n"
    assert re.search(pattern, text)
    monkeypatch.setattr(plan_table, "machine_memory", lambda: 2**28)
    text = plan_table.plan_table(parse(TINY), 4)
    assert "this machine has 256.0 MiB: take fewer chains or samples per point" in text
    assert "this machine has 256.0 MiB: take a smaller batch" in text
    monkeypatch.setattr(plan_table, "machine_memory", lambda: 2**40)
    assert "may take" not in plan_table.plan_table(parse(TINY), 4)


def test_the_large_preset_fits_two_cores_and_24_gib() -> None:
    found = study_cost(load("ising-large"), 2)
    assert found.shards.count == 3
    assert max(found.shards.memory_bytes, found.models.memory_bytes) * 2 < 24 * 2**30
