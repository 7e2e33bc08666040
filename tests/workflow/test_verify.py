"""The verify command: what it accepts, and everything it must not."""

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from studies import serial, small, write_study

from simulators import contract
from simulators.sampling.sampler import sample
from workflow.cli.main import main
from workflow.dataset import codec, manifest, shards
from workflow.dataset.origins import SimulationTask
from workflow.dataset.records import load_records
from workflow.plan.tasks import SimulationJob, simulation_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

# Off T_c and large enough that a 3 % wrong temperature is 15 standard errors of the energy.
STUDY = small(
    train=[], simulate=[{"system": "ising", "size": 8, "coupling": 1.0, "temperature": [2.5, 3.5], "samples": 4096}]
)
TASKS = simulation_tasks(parse(STUDY))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    assert serial("simulate", write_study(tmp_path / "study.toml", STUDY), tmp_path / "run").exit_code == 0
    return RunDirectory(tmp_path / "run")


def verify(run: RunDirectory, *options: str) -> Result:
    return CliRunner().invoke(main, ["verify", str(run.root), *options])


def path_of(run: RunDirectory, task: SimulationTask) -> Path:
    return run.shard(task)


def replace(run: RunDirectory, task: SimulationTask, temperature: float) -> None:
    """Put samples of another temperature under the name of ``task``, and into the manifest."""
    system = contract.load(task.system)
    samples = sample(
        system,
        system.spec(**dict(task.spec) | {"temperature": temperature}),
        chains=task.chains,
        samples=task.samples,
        algorithm=task.algorithm,
        thermalization="auto",
        spacing="auto",
        rng=SimulationJob((task,)).generator(),
        encode=partial(codec.encode, encoding=system.encoding),
    )
    shards.write(task, samples, path_of(run, task))
    verify(run, "--rebuild-manifest")


def test_a_good_run_passes(run: RunDirectory) -> None:
    result = verify(run)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert lines[0].startswith("ok      2 shards, every checksum as recorded; digest ")
    assert "2 shards follow format 1" in lines[1]
    assert lines[2].startswith("ok      2 certificates")
    assert lines[3].startswith("ok      2 energies agree with the exact finite-lattice values")
    assert manifest.digest(load_records(run))[:16] in lines[0]


def test_the_right_samples_put_back_pass(run: RunDirectory) -> None:
    """Negative control of the next test: it is the temperature that is noticed."""
    replace(run, TASKS[0], 2.5)
    assert verify(run).exit_code == 0


def test_a_three_percent_wrong_temperature_is_noticed(run: RunDirectory) -> None:
    replace(run, TASKS[0], 2.5 * 1.03)
    result = verify(run)
    assert result.exit_code == 1
    (failed,) = [line for line in result.output.splitlines() if line.startswith("FAILED")]
    assert f"{TASKS[0].task_id} ({TASKS[0]}): energy is" in failed
    assert "standard errors from its exact value" in failed


def test_too_short_a_thermalization_is_noticed(tmp_path: Path) -> None:
    """Hot and ordered starts that have not met: the certificate says so, and verify repeats it."""
    block = {**STUDY["simulate"][0], "temperature": 2.3, "size": 16, "thermalization": 0, "spacing": 1, "samples": 64}
    study = write_study(tmp_path / "study.toml", small(train=[], simulate=[block]))
    assert serial("simulate", study, tmp_path / "run").exit_code == 0
    result = verify(RunDirectory(tmp_path / "run"))
    assert result.exit_code == 1
    assert "is not certified: " in result.output


def test_truncated_altered_and_missing_shards_are_named(run: RunDirectory) -> None:
    first, second = (path_of(run, task) for task in TASKS)
    content = bytearray(first.read_bytes())
    content[200] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-50])
    result = verify(run)
    assert result.exit_code == 1
    assert f"{first.name} was altered: its sha256 is not the one in the manifest" in result.output
    assert f"{second.name} is truncated or altered" in result.output
    first.unlink()
    assert f"{first.name} is missing; `latentphase simulate` makes it again" in verify(run).output


def test_an_unfinished_run_does_not_pass(run: RunDirectory) -> None:
    run.manifest.write_text(run.manifest.read_text().splitlines(keepends=True)[0])
    result = verify(run)
    assert result.exit_code == 1
    assert f"1 of 2 shards are not in the manifest, first {TASKS[1]}" in result.output


def test_the_manifest_is_rebuilt_from_the_files(run: RunDirectory) -> None:
    before = load_records(run)
    run.manifest.unlink()
    assert verify(run).exit_code == 1
    assert verify(run, "--rebuild-manifest").exit_code == 0
    rebuilt = load_records(run)
    assert {key: record._replace(seconds=None, node=None) for key, record in before.items()} == rebuilt
    assert list(rebuilt) == list(before)


def test_a_shard_under_another_name_is_not_taken(run: RunDirectory) -> None:
    first, second = (path_of(run, task) for task in TASKS)
    second.write_bytes(first.read_bytes())
    result = verify(run, "--rebuild-manifest")
    assert result.exit_code == 1
    assert "1 of 2 shards are not in the manifest" in result.output


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no run folder: it has no study.toml" in result.stderr
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "nowhere")]).exit_code == 2


def test_a_saved_study_that_is_damaged(run: RunDirectory) -> None:
    run.study.write_text("name = ")
    result = verify(run)
    assert result.exit_code == 2
    assert "study.toml is damaged" in result.stderr


def test_records_hold_what_the_contract_names(run: RunDirectory) -> None:
    for text in run.manifest.read_text().splitlines():
        assert set(json.loads(text)) == {"task_id", "path", "rows", "bytes", "sha256", "seconds", "node"}
