"""Processes of a run by their place in the tree of processes, and how they are killed (Linux: /proc)."""

import contextlib
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

GONE_SECONDS = 30.0
"""Within which a killed process has ended."""


def parents() -> dict[int, int]:
    """The parent of every process that has not ended."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # The name of the program, in brackets, may hold spaces.
            with contextlib.suppress(OSError, IndexError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    found[int(folder.name)] = int(parent)
    return found


def descendants(root: int) -> list[int]:
    """All processes below ``root``, without itself."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        for pid in children.get(queue.pop(), []):
            found.append(pid)
            queue.append(pid)
    return found


def title(pid: int) -> str:
    """How a process is called in lists of processes; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


NO_WORKERS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Beginnings of titles: workers without work, parts of a node."""


def workers(root: int) -> list[int]:
    """Ray's workers below ``root`` that have work: tasks, actors of Ray Train."""
    names = {pid: title(pid) for pid in descendants(root)}
    return [pid for pid, name in names.items() if name.startswith("ray::") and not name.startswith(NO_WORKERS)]


def raylets(root: int) -> list[int]:
    """What makes nodes below ``root``: when it dies, the node is lost with all workers on it."""
    return [pid for pid in descendants(root) if title(pid).partition(" ")[0].endswith("/raylet")]


def kill(pid: int, belongs: Callable[[], bool]) -> bool:
    """Send SIGKILL to a process; whether it was hit.

    Args:
        pid: its number.
        belongs: whether the process of that number is still the one that is meant.

    Raises:
        TimeoutError: it has not ended.
    """
    try:
        # The handle holds on to this very process, should its number be used again in between.
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not belongs():
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], GONE_SECONDS)[0]:
            raise TimeoutError(f"process {pid} ({title(pid)}) outlives SIGKILL by {GONE_SECONDS} s")
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def kill_all(mark: str) -> None:
    """End what is left of processes whose environment has ``mark`` in it."""
    for pid in parents():
        with contextlib.suppress(OSError):
            if pid != os.getpid() and mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)
