"""A simulation that dies goes on from where it was saved, and its shard has the same bytes; ladders run as one."""

from pathlib import Path
from typing import Any

import pytest
from studies import serial, small, write_study

from simulators.sampling.sampler import Sampler
from workflow.dataset import manifest, shards
from workflow.plan.tasks import simulation_jobs, simulation_tasks
from workflow.simulate import worker
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

TEMPERATURES = [1.8, 2.3, 3.0]


def study(algorithm: str) -> dict[str, Any]:
    block = {"system": "ising", "size": 8, "coupling": [1.0, -1.0], "temperature": TEMPERATURES, "samples": 128}
    return small(simulate=[{**block, "algorithm": algorithm}], train=[])


def digest(run: RunDirectory) -> str:
    return manifest.digest(manifest.rebuild(run))


def whole(folder: Path, algorithm: str) -> RunDirectory:
    path = write_study(folder / "study.toml", study(algorithm))
    assert serial("simulate", path, folder / "whole").exit_code == 0
    return RunDirectory(folder / "whole")


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.run_sampler, "__defaults__", (-1.0,))


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("algorithm", ["auto", "wolff", "tempering"])
def test_after_every_death_it_goes_on(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = whole(tmp_path, algorithm)
    steps, lives = Sampler.step, iter([3, 1, 20, 15, 25])
    left = {"steps": next(lives), "done": 0}

    def mortal(self: Sampler) -> None:
        if left["steps"] == 0:
            left["steps"] = next(lives, -1)
            raise RuntimeError("the power is gone")
        left["steps"] -= 1
        left["done"] += 1
        steps(self)

    monkeypatch.setattr(Sampler, "step", mortal)
    (first, *_) = simulation_jobs(simulation_tasks(parse(study(algorithm))))
    run = RunDirectory(tmp_path / "whole")
    root = str(tmp_path / "mortal")
    deaths = 0
    while True:
        try:
            worker.run_job(first, root)
            break
        except RuntimeError:
            deaths += 1
            assert deaths == 1 or RunDirectory(Path(root)).unfinished(first.job_id).exists()
    assert deaths == 5
    died = RunDirectory(Path(root))
    for task in first.tasks:
        one, other = (r.shard(task).read_bytes() for r in (died, run))
        assert one == other
    assert not died.unfinished(first.job_id).exists()
    assert reference.root == run.root


@pytest.mark.usefixtures("every_step")
def test_a_damaged_state_is_said_and_begun_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = whole(tmp_path, "metropolis")
    (job, *_) = simulation_jobs(simulation_tasks(parse(study("metropolis"))))
    run = RunDirectory(tmp_path / "other")
    path = run.unfinished(job.job_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    capsys.readouterr()
    worker.run_job(job, str(run.root))
    assert f"{path} is damaged" in capsys.readouterr().err
    (task,) = job.tasks
    one, other = (r.shard(task).read_bytes() for r in (run, reference))
    assert one == other


def test_no_state_of_a_finished_simulation_stays(tmp_path: Path) -> None:
    """A worker that is killed after its last shard leaves one that nobody would ask for any more."""
    run = whole(tmp_path, "metropolis")
    (job, *_) = simulation_jobs(simulation_tasks(parse(study("metropolis"))))
    run.unfinished(job.job_id).parent.mkdir()
    run.unfinished(job.job_id).write_bytes(b"state")
    assert serial("simulate", str(tmp_path / "study.toml"), run.root).exit_code == 0
    assert not run.unfinished_jobs.exists()


def test_a_ladder_is_one_job_and_gives_a_shard_per_temperature(tmp_path: Path) -> None:
    tasks = simulation_tasks(parse(study("tempering")))
    jobs = simulation_jobs(tasks)
    assert [len(job.tasks) for job in jobs] == [3, 3]
    assert all([dict(task.spec)["temperature"] for task in job.tasks] == TEMPERATURES for job in jobs)
    assert len({task.task_id for task in tasks}) == 6 and len({job.job_id for job in jobs}) == 2
    run = whole(tmp_path, "tempering")
    for task in tasks:
        shard = shards.read(run.shard(task))
        assert len(shard.packed_SB) == 128
        assert (shard.columns["temperature"] == dict(task.spec)["temperature"]).all()
        assert len(shard.metadata["certificate"]["tempering"]["exchange_rates"]) == 2


def test_a_lost_shard_of_a_ladder_comes_back_the_same(tmp_path: Path) -> None:
    run = whole(tmp_path, "tempering")
    before = digest(run)
    first = next(run.dataset.rglob("*.parquet"))
    first.unlink()
    result = serial("simulate", str(tmp_path / "study.toml"), run.root)
    assert result.exit_code == 0
    assert digest(run) == before


def test_another_temperature_makes_another_ladder() -> None:
    """Unlike without tempering: all its points exchange with each other."""
    raw = study("tempering")
    raw["simulate"][0]["temperature"] = [*TEMPERATURES, 4.0]
    ids = {task.task_id for task in simulation_tasks(parse(study("tempering")))}
    assert not ids & {task.task_id for task in simulation_tasks(parse(raw))}


def test_a_ladder_of_one_temperature_is_refused(tmp_path: Path) -> None:
    raw = study("tempering")
    raw["simulate"][0]["temperature"] = 2.0
    result = serial("simulate", write_study(tmp_path / "study.toml", raw), tmp_path / "run")
    assert result.exit_code == 2
    assert "simulate.0.temperature: parallel tempering needs at least two values, got 2.0 alone" in result.stderr
    assert not (tmp_path / "run").exists()
