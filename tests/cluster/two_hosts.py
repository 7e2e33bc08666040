"""Two hosts on one machine: network namespaces with names and addresses of their own, joined by a cable (veth).

They share disk and processors, as hosts share a file system; what goes over the network can be cut off, which no kill
of a process is.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from studies import CHECKOUT, wait_for

from tests.chaos import processes

PORT = 6399
"""Of the head: nobody else is on the network of the two."""
START_SECONDS = 240
"""Within which a node is up, on a busy machine."""
ONCE = 'echo "$0" > /proc/sys/kernel/hostname; exec "$@"'
AGAIN = 'echo "$0" > /proc/sys/kernel/hostname; for attempt in 1 2 3; do "$@"; done'
"""As our SLURM script does: a node that was lost for a while joins again."""


def missing() -> str | None:
    """Why there can be no two hosts here."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    if absent := [name for name in ("ip", "unshare") if shutil.which(name) is None]:
        return f"needs {' and '.join(absent)} (Debian: apt-get install iproute2 util-linux)"
    probe = f"lp{os.getpid()}probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if done.returncode:
        return f"needs network namespaces: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


@dataclass
class Host:
    """One of the two."""

    name: str
    address: str
    folder: Path
    environment: dict[str, str]
    log: Path = field(init=False)
    ray: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.log = self.folder / "log"

    def start(self, *words: str | Path, how: str = ONCE, log: Path | None = None) -> subprocess.Popen[bytes]:
        """A command on this host, under its name."""
        with (log or self.log).open("ab") as out:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", how, self.name, *map(str, words)],
                cwd=CHECKOUT,
                env=os.environ | self.environment,
                stdout=out,
                stderr=out,
            )

    def start_ray(self, *options: str) -> None:
        """Its node of Ray, with one CPU."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        command += [f"--temp-dir={self.folder}", "--num-cpus=1", f"--node-ip-address={self.address}"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        self.ray = ray = self.start(*command, *options, how=AGAIN)
        wait_for(lambda: processes.raylets(ray.pid) or ray.poll() is not None, START_SECONDS)

    def end_ray(self) -> None:
        if self.ray is not None:
            for pid in [self.ray.pid, *processes.descendants(self.ray.pid)]:
                processes.kill(pid, lambda: True)
            self.ray.wait(60)

    def workers(self, name: str) -> list[int]:
        """Processes of Ray's tasks or actors ``name`` on this host."""
        assert self.ray is not None
        return [pid for pid in processes.workers(self.ray.pid) if name in processes.title(pid)]

    def cut(self) -> None:
        """Pull the cable."""
        subprocess.run(["ip", "-n", self.name, "link", "set", "cable", "down"], check=True)

    def plug(self) -> None:
        subprocess.run(["ip", "-n", self.name, "link", "set", "cable", "up"], check=True)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts whose names resolve, as those of a cluster do, without Ray."""
    # Short: Ray puts sockets there.
    folder = Path(tempfile.mkdtemp(prefix="two."))
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # Workers otherwise give way to everything else on the machine.
        "RAY_worker_niceness": "0",
    }
    names = [f"lp{os.getpid()}{letter}" for letter in "ab"]
    addresses = ["10.77.9.1", "10.77.9.2"]
    hosts = [
        Host(name, address, folder / name[-1], environment) for name, address in zip(names, addresses, strict=True)
    ]
    try:
        for host in hosts:
            subprocess.run(["ip", "netns", "add", host.name], check=True)
            # `ip netns exec` mounts what lies here over /etc.
            own = Path("/etc/netns") / host.name
            own.mkdir(parents=True)
            lines = [f"{a} {n}" for a, n in zip(addresses, names, strict=True)]
            (own / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
        first, second = hosts
        cable = ["ip", "link", "add", "cable", "netns", first.name, "type", "veth"]
        subprocess.run([*cable, "peer", "name", "cable", "netns", second.name], check=True)
        for host in hosts:
            command = ["ip", "-n", host.name]
            subprocess.run([*command, "addr", "add", f"{host.address}/24", "dev", "cable"], check=True)
            for device in ("lo", "cable"):
                subprocess.run([*command, "link", "set", device, "up"], check=True)
        yield first, second
    finally:
        for host in reversed(hosts):
            host.end_ray()
            subprocess.run(["ip", "netns", "del", host.name], check=False)
            shutil.rmtree(Path("/etc/netns") / host.name, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
