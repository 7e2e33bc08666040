"""The two kinds of Ray that runs are disturbed on."""

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from tests.chaos.processes import raylets

START_SECONDS = 120.0
"""Within which a node of Ray is up, on a busy machine."""


EQUAL = {"RAY_worker_niceness": "0"}
"""Ray's workers otherwise give way to everything else on the machine: with much of that they would take hours."""


class Rays(Protocol):
    """Where a run finds its Ray."""

    kind: str
    takes_driver_along: bool
    """Whether the loss of a node is the loss of the driver too."""

    def options(self) -> list[str]:
        """Of ``latentphase run``."""
        ...

    def environment(self) -> dict[str, str]:
        """Of the driver."""
        ...

    def roots(self, driver: int) -> list[int]:
        """Processes below which all of this run's Ray is."""
        ...

    def node(self, driver: int) -> int | None:
        """The raylet of the node that may be lost."""
        ...

    def mend(self) -> None:
        """Put another node in the place of one that was lost."""
        ...

    def close(self) -> None: ...


class OwnRay:
    """A Ray that every driver starts for itself on this machine: one node, which the driver is on."""

    kind = "own"
    takes_driver_along = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def options(self) -> list[str]:
        return ["--workers", "2"]

    def environment(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(self._folder)} | EQUAL

    def roots(self, driver: int) -> list[int]:
        return [driver]

    def node(self, driver: int) -> int | None:
        return next(iter(raylets(driver)), None)

    def mend(self) -> None:
        pass

    def close(self) -> None:
        pass


class TwoNodes:
    """A Ray of two nodes of one CPU that drivers join; the one that they are not on may be lost."""

    kind = "two nodes"
    takes_driver_along = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        self._environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_TMPDIR": str(folder)}
        self._environment |= EQUAL
        self._head = self._start(
            folder, "--head", f"--port={self._port}", "--include-dashboard=false", "--node-ip-address=127.0.0.1"
        )
        self._node = self._start_second()

    def _start(self, folder: Path, *options: str) -> subprocess.Popen[bytes]:
        """A node that keeps its files in ``folder``: in a common one, the end of one takes those of the other along."""
        folder.mkdir(exist_ok=True)
        words = ["--block", "--disable-usage-stats", "--num-cpus=1", f"--temp-dir={folder}"]
        words += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        environment = os.environ | self._environment | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
        with (self._folder / "ray.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *options, *words],
                env=environment,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_SECONDS
        while not self._is_up(process):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no node of Ray could be started; see {self._folder}/ray.log")
            time.sleep(0.2)
        return process

    def _start_second(self) -> subprocess.Popen[bytes]:
        """At another address than the head, so that drivers are never taken for processes of this node."""
        return self._start(self._folder / "2", f"--address=127.0.0.1:{self._port}", "--node-ip-address=127.0.0.2")

    def _is_up(self, process: subprocess.Popen[bytes]) -> bool:
        """The head answers before its raylet is there, and a node's raylet is there when it has joined."""
        with socket.socket() as probe:
            return bool(raylets(process.pid)) and not probe.connect_ex(("127.0.0.1", self._port))

    def options(self) -> list[str]:
        return ["--address", f"127.0.0.1:{self._port}"]

    def environment(self) -> dict[str, str]:
        return self._environment

    def roots(self, driver: int) -> list[int]:
        return [self._head.pid, self._node.pid]

    def node(self, driver: int) -> int | None:
        return next(iter(raylets(self._node.pid)), None)

    def mend(self) -> None:
        self._end(self._node)
        self._node = self._start_second()

    def close(self) -> None:
        for process in (self._node, self._head):
            self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
