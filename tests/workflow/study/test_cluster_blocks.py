"""``[cluster.*]`` of a study and of a site file: checked with everything else, and part of no identity."""

from pathlib import Path
from typing import Any

import pytest
from studies import small, write_study

from workflow.execution.run_folder import begin_run
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.errors import FolderError
from workflow.study.cluster_blocks import KINDS, SITE_ONLY, read_site, settings
from workflow.study.loading import StudyError, parse


def problems(cluster: Any) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse(small(cluster=cluster))
    return [str(problem) for problem in caught.value.problems]


def test_every_problem_at_once_with_its_place() -> None:
    raw = small(cluster={"slurm": {"nodes": 0, "tyme": "1"}, "pbs": {}}, seed=-1)
    with pytest.raises(StudyError) as caught:
        parse(raw)
    text = str(caught.value)
    assert "cluster.slurm.nodes: should be greater than or equal to 1, got 0" in text
    assert "cluster.slurm.tyme: unknown key" in text
    assert "cluster.pbs: unknown target; there are slurm, ray, kubernetes" in text
    assert "seed: " in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", "tomorrow"),
        ("partition", "gpu\n#SBATCH --wrap=evil"),
        ("partition", "$(evil)"),
        ("constraint", "a b"),
        ("memory", "lots"),
        ("gpus", -1),
        ("cpus", 1.5),
        ("signal", 10),
    ],
)
def test_bad_values_are_named(key: str, value: Any) -> None:
    (problem,) = problems({"slurm": {key: value}})
    assert problem.startswith(f"cluster.slurm.{key}: ") and repr(value) in problem


@pytest.mark.parametrize("time", ["30", "90:00", "04:00:00", "1-12", "1-12:30", "2-00:00:00"])
def test_times_as_slurm_takes_them(time: str) -> None:
    assert parse(small(cluster={"slurm": {"time": time}})).cluster["slurm"]["time"] == time


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in SITE_ONLY.items() for key in keys])
def test_a_study_names_no_code_and_no_place(kind: Any, key: str, tmp_path: Path) -> None:
    """A study may come from anybody; the site's file is one's own."""
    value = ["--exclusive"] if key in ("extra", "setup") else "python" if key == "claim" else "/opt/python"
    assert f"cluster.{kind}.{key}: belongs in a site file (--site), not in a study" in problems({kind: {key: value}})
    site = tmp_path / "site.toml"
    write_study(site, {"cluster": {kind: {key: value}}})
    tables, found = read_site(site)
    assert not found
    assert getattr(settings(kind, [tables]), key) == value


def test_the_study_wins_over_the_site() -> None:
    site = {"slurm": {"partition": "long", "nodes": 4}, "ray": {"cpus": 1}}
    made = settings("slurm", [site, {"slurm": {"nodes": 2}}])
    assert (made.partition, made.nodes, made.cpus) == ("long", 2, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_table_there_are_defaults(kind: Any) -> None:
    assert settings(kind, [{}, parse(small()).cluster]) == KINDS[kind]()


def test_a_wrong_site_file(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[slurm]\nnodes = 2\n[cluster.slurm]\nnodes = 'two'\n")
    _, found = read_site(site)
    assert [problem.place for problem in found] == ["slurm", "cluster.slurm.nodes"]
    site.write_text("nodes = ")
    assert "is not TOML" in str(read_site(site)[1][0])


def test_machines_are_part_of_no_identity(tmp_path: Path) -> None:
    plain, placed = parse(small()), parse(small(cluster={"slurm": {"nodes": 2}}))
    assert [task.task_id for task in shard_tasks(plain)] == [task.task_id for task in shard_tasks(placed)]
    assert [item.train_id for item in model_plans(plain)] == [item.train_id for item in model_plans(placed)]
    for first, second in ((plain, placed), (placed, plain)):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        assert begin_run(first, root) == begin_run(second, root)
        assert ("[cluster.slurm]" in begin_run(second, root).study.read_text()) == (second is placed)
    with pytest.raises(FolderError):
        begin_run(parse(small(seed=1, cluster={"slurm": {"nodes": 2}})), root)


def test_a_saved_study_is_read_again() -> None:
    placed = parse(
        small(cluster={"slurm": {"nodes": 2}, "kubernetes": {"simulation": {"most": 2, "cpus": 4, "memory": "8Gi"}}})
    )
    assert parse(placed.resolved).resolved == placed.resolved
