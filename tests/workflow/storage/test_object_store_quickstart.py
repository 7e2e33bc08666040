"""The whole quickstart in an object store, its driver killed in two stages and started again."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from object_store import give_keys, s3_server, uri
from studies import serial, start

from workflow.cli.main import main
from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.storage import places
from workflow.storage.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.ray]
SHARDS, TRAININGS = 40, 6
"""After so many of 132 and 24 the driver is killed."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    give_keys(monkeypatch)
    with s3_server() as port:
        yield uri(port, "runs/quickstart")


def count(address: str, ending: str) -> int:
    return sum(name.endswith(ending) for name in places.listing(RunDirectory.at(address).root).names)


def run_until(address: str, ending: str, number: int) -> str:
    """What a driver has printed that is killed when ``number`` objects have names with this ``ending``."""
    process = start("run", "quickstart", "--run-dir", address, "--workers", "2")
    while process.poll() is None and count(address, ending) < number:
        time.sleep(0.5)
    process.kill()
    printed, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed + errors
    return printed + errors


def test_the_quickstart_killed_and_resumed(address: str, tmp_path: Path) -> None:
    run_until(address, ".parquet", SHARDS)
    assert SHARDS <= count(address, ".parquet") < 132
    text = run_until(address, "result.json", TRAININGS)
    assert "is taken over" in text
    assert TRAININGS <= count(address, "result.json") < 24
    process = start("run", "quickstart", "--run-dir", address, "--workers", "2")
    printed, errors = process.communicate(timeout=900)
    assert process.returncode == 0, printed + errors
    assert sum(line.startswith("holds ") for line in printed.splitlines()) == 7, printed
    assert serial("simulate", "quickstart", tmp_path / "whole").exit_code == 0
    stored, local = RunDirectory.at(address), RunDirectory(tmp_path / "whole")
    assert manifest.digest(manifest.rebuild(stored)) == manifest.digest(load_records(local))
    assert CliRunner().invoke(main, ["verify", address]).exit_code == 0
