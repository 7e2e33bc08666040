"""``submit --to ray`` on a Ray cluster of its own, with dashboard and token: the log, the exit code, the same bytes."""

import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import free_ports
from studies import serial, small, start, wait_for, write_study

from workflow.dataset import manifest
from workflow.execution.interruption import INTERRUPTED
from workflow.storage.run_directory import RunDirectory

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Cluster:
    """A head without nodes beside it."""

    address: str
    environment: dict[str, str]

    def submit(self, study: str, run_dir: Path) -> subprocess.Popen[str]:
        words = (study, "--to", "ray", "--address", self.address, "--run-dir", run_dir)
        return start("submit", *words, **self.environment)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """With a token in a file, as clusters are to have one."""
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip('needs the dashboard of Ray (pip install "latentphase[cluster]")')
    folder = Path(tempfile.mkdtemp(prefix="ray."))
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    port, dashboard = free_ports(2)
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = [f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={folder}", "--num-cpus=2"]
    options += ["--dashboard-host=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"]
    with (folder / "out").open("wb") as out:
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options],
            env=os.environ | environment | {"PATH": path, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
            cwd=folder,
            stdout=out,
            stderr=out,
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(lambda: status(f"{address}/api/version", token.read_text()) == 200 or head.poll() is not None)
        yield Cluster(address, environment)
    finally:
        head.terminate()
        head.wait(timeout=60)


def status(url: str, token: str) -> int | None:
    """Of a request to the dashboard."""
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


def digest(root: Path) -> str:
    return manifest.digest(manifest.rebuild(RunDirectory(root)))


def test_the_dashboard_wants_the_token(cluster: Cluster) -> None:
    token = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    assert status(f"{cluster.address}/api/jobs/", token) == 200
    assert status(f"{cluster.address}/api/jobs/", "x" * 64) == 403


def test_a_job_is_followed_to_its_end(cluster: Cluster, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    process = cluster.submit(study, tmp_path / "run")
    text, errors = process.communicate(timeout=400)
    assert process.returncode == 0, text + errors
    assert "simulate  4/4 shards" in text and f"report: {tmp_path}/run/report/index.html" in text
    assert serial("simulate", study, tmp_path / "whole").exit_code == 0
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_the_exit_code_is_that_of_the_job(cluster: Cluster, tmp_path: Path) -> None:
    """The run folder holds another study."""
    other: dict[str, Any] = small(seed=1)
    assert serial("simulate", write_study(tmp_path / "other.toml", other), tmp_path / "run").exit_code == 0
    process = cluster.submit(write_study(tmp_path / "study.toml", small()), tmp_path / "run")
    text, errors = process.communicate(timeout=200)
    assert process.returncode == 2, text + errors
    assert "holds another study" in text


def test_the_job_goes_on_without_its_follower(cluster: Cluster, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small(train=[]))
    process = cluster.submit(study, tmp_path / "run")
    wait_for(lambda: (tmp_path / "run").exists() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, text + errors
    assert "the job goes on; ray job logs --follow --address" in text
    wait_for(lambda: len(list((tmp_path / "run").rglob("*.parquet"))) == 4, 200)


def test_another_token_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(secrets.token_hex(32))
    stranger = Cluster(cluster.address, cluster.environment | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})
    process = stranger.submit(write_study(tmp_path / "study.toml", small()), tmp_path / "run")
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 2, text + errors
    assert f"no job could be submitted to the Ray dashboard at {cluster.address}" in errors
    assert not (tmp_path / "run").exists()
