"""A real SLURM of two nodes on this machine, in folders of its own; skipped where its programs are missing.

Both nodes share the host, so that what runs on them must not count on ports and folders of its own.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from studies import CHECKOUT

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo", "squeue")
DEFAULT_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=1
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldPort={ports[0]}
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
SlurmUser=root
SlurmdUser=root
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
KillWait=5
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n1 MaxTime=1 State=UP
"""
"""cred_expire decides how long a requeued job has to wait."""


@dataclass(frozen=True)
class Slurm:
    """The running site."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *words: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def latentphase(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A command of ours, on the login node."""
        python = str(CHECKOUT / ".venv" / "bin" / "python") if (CHECKOUT / ".venv").exists() else "python"
        command = [python, "-m", "workflow", *map(str, words)]
        return subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True)

    def private(self) -> list[str]:
        """What jobs have left on the disk of their nodes."""
        return [path.name for path in (self.folder / "tmp").glob("lp.*")]

    def state(self, job: str) -> str:
        """PENDING, RUNNING, COMPLETED, ..."""
        return self.job(job)["JobState"]

    def job(self, job: str) -> dict[str, str]:
        """What scontrol knows of a job."""
        words = self("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, condition: Callable[[], Any], seconds: float, logs: Path) -> Any:
        """What ``condition`` returns as soon as that is true; else fails with what the logs in ``logs`` say."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.5)
        texts = "\n".join(path.read_text()[-3000:] for path in logs.glob("*.log"))
        raise AssertionError(f"nothing within {seconds} s; squeue: {self('squeue')}\n{texts}")


def missing() -> str | None:
    """Why there can be no SLURM here."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{DEFAULT_PATH}") is None]
    if absent:
        return f"needs {', '.join(absent)} (Debian: apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "needs root, as which slurmd starts jobs"


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """munged, slurmctld and two slurmd, stopped at the end."""
    if reason := missing():
        pytest.skip(reason)
    # Not one of pytest's: munge wants a socket that others can reach.
    folder = Path(tempfile.mkdtemp(prefix="slurm."))
    folder.chmod(0o755)
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(3)))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (folder / "gres.conf").write_text("NodeName=n2 Name=gpu File=/dev/null\n")
    for name in ("state", "tmp"):
        (folder / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RAY_"))}
    environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:{DEFAULT_PATH}"}
    environment["TMPDIR"] = str(folder / "tmp")
    site = Slurm(folder, environment)
    site("mungekey", "--create", f"--keyfile={folder}/munge.key")
    daemons: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        with (folder / f"{name}.out").open("wb") as out:
            daemons.append(subprocess.Popen(words, env=environment, stdout=out, stderr=out))

    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "seed", "log")]
    start("munged", "munged", "--foreground", f"--socket={folder}/munge.socket", *files)
    start("slurmctld", "slurmctld", "-D", "-f", str(folder / "slurm.conf"))
    for node in ("n1", "n2"):
        start(node, "slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", node)
    try:
        site.wait(lambda: idle(site) == 2, 60, folder)
        yield site
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            daemon.wait(timeout=60)
        shutil.rmtree(folder)


def idle(site: Slurm) -> int:
    """Nodes that are idle."""
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--partition=debug", "--format=%T"],
        env=site.environment,
        capture_output=True,
        text=True,
    )
    return done.stdout.split().count("idle")
