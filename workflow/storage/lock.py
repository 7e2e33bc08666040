"""One driver per run folder: a lock file with its owner, refreshed as long as that works, taken over when it is dead.

A local file is made with O_EXCL, which one of two drivers wins.  pyarrow offers no conditional PUT, so an object is
written and read back after a pause: the last of several writers has it, and one that was stopped in between finds the
other's nonce at its next refresh and ends.  The age of a lock is taken from the clock of the storage, never from those
of two hosts: the lock's time of modification is compared with that of a file written now.  A task gives the same bytes
whoever does it, so that two drivers at the same moment cost work, but no data.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workflow.storage.errors import LITTLE_PATIENCE, FolderError, patience
from workflow.storage.places import ObjectPath, Place
from workflow.storage.stores import PROBE
from workflow.storage.whole_files import write_whole
from workflow.terminal import duration, say

REFRESH = 15.0
"""Seconds between two refreshes."""
STALE = 180.0
"""Seconds without a refresh after which an owner on another host counts as dead."""
SETTLE = 1.0
"""Seconds between writing a lock object and reading it back."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock."""

    host: str
    machine: str
    """Boot and process namespace: where it is the same, ``pid`` means the same."""
    pid: int
    process_start: str
    """When the process started, in the kernel's ticks: the kernel gives a process number to another process later."""
    since: str
    nonce: str
    held: float = 0.0
    """Seconds for which it has been held, by the owner's clock."""
    beat: int = 0
    """Counts the refreshes."""

    @property
    def is_here(self) -> bool:
        return self.machine == _machine()

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; only where ``is_here``."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _process_start(self.pid) == self.process_start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, which has held it since {self.since} ({duration(self.held)})"


@contextmanager
def held(file: Place) -> Iterator[None]:
    """Hold the lock ``file`` as long as the body runs.

    Raises:
        FolderError: another driver holds it, or has taken it over while this one was stopped.
    """
    owner = acquire(file)
    keeper = _Keeper(file, owner)
    keeper.start()
    try:
        yield
    except KeyboardInterrupt:
        if keeper.lost is not None:
            raise FolderError(f"{file} was taken over by {keeper.lost}; this driver has stopped") from None
        raise
    finally:
        keeper.stop()
        release(file, owner)


def acquire(file: Place) -> Owner:
    """Take the lock, from a dead owner if need be.

    Raises:
        FolderError: another driver holds it; names the owner and for how long.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    owner = Owner(platform.node(), _machine(), os.getpid(), _process_start(os.getpid()), now, secrets.token_hex(16))
    if not _create(file, owner):
        _take_over(file, owner)
    return owner


def _create(file: Place, owner: Owner) -> bool:
    """Whether the lock was free; then ``owner`` holds it now."""
    if isinstance(file, ObjectPath):
        return read(file) is None and not file.exists() and _put(file, owner)
    try:
        handle = os.open(str(file), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise FolderError(f"{file} cannot be written: {error}") from None
    with os.fdopen(handle, "w") as stream:
        stream.write(json.dumps(asdict(owner)))
    return True


def _take_over(file: Place, owner: Owner) -> None:
    theirs, age = read(file), _age(file)
    if theirs is None and age < REFRESH:
        # Another driver is just writing it.
        raise FolderError(f"{file}: another driver has just begun here")
    if theirs is not None and theirs.is_here and theirs.is_alive:
        raise _refusal(file, theirs, age)
    if theirs is not None and not theirs.is_here:
        _watch(file, theirs, age)
    say(f"  the lock {file} is taken over: {_epitaph(theirs, age)}")
    ours = _put(file, owner) if isinstance(file, ObjectPath) else _replace(Path(str(file)), theirs, owner)
    if not ours:
        raise FolderError(f"{file}: another driver was faster: {read(file)}")


def _watch(file: Place, theirs: Owner, age: float) -> None:
    """Wait until an owner on another host has not refreshed the lock for ``STALE`` seconds, or has released it.

    Even an old lock is watched for a while: after a clock was set, a living owner may look dead.

    Raises:
        FolderError: it has refreshed the lock.
    """
    say(f"  {file} belongs to {theirs}: waiting for a sign of life")
    end = time.monotonic() + min(max(STALE - age, 2 * REFRESH), STALE)
    while time.monotonic() < end and file.exists():
        time.sleep(REFRESH / 3)
        if (again := read(file)) is not None and again != theirs:
            raise _refusal(file, again, 0.0)


def _replace(file: Path, theirs: Owner | None, owner: Owner) -> bool:
    """Put the lock of ``owner`` in the place of a dead owner's; whether it was the fastest of several drivers.

    The lock file exists all the time, so that no other driver takes the folder for free.
    """
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not file.exists():
            return _create(file, owner)
        if read(file) != theirs:
            return False
        write_whole(file, json.dumps(asdict(owner)))
        return True
    finally:
        os.close(folder)


def _epitaph(theirs: Owner | None, age: float) -> str:
    if theirs is None:
        return "it is damaged"
    if theirs.is_here:
        return f"process {theirs.pid} has ended"
    return f"{theirs} has not refreshed it for {duration(max(age, STALE))}"


def _refusal(file: Place, theirs: Owner, age: float) -> FolderError:
    return FolderError(
        f"{file.parent} is in use by {theirs}, refreshed {duration(max(age, 0.0))} ago; wait for its end or stop it"
        " (`latentphase status` needs no lock)"
    )


def _put(file: ObjectPath, owner: Owner) -> bool:
    """Write the lock object; whether it is that of ``owner`` after all writers have written theirs."""
    file.write_bytes(json.dumps(asdict(owner)).encode())
    time.sleep(SETTLE)
    current = read(file)
    return current is not None and current.nonce == owner.nonce


def read(file: Place) -> Owner | None:
    """Who holds the lock; None if nobody does or it is damaged."""
    try:
        return Owner(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def release(file: Place, owner: Owner) -> None:
    """Delete the lock if ``owner`` still holds it. If that fails, the next driver takes it over."""
    with contextlib.suppress(OSError), patience(LITTLE_PATIENCE):
        current = read(file)
        if current is not None and current.nonce == owner.nonce:
            file.unlink(missing_ok=True)


class _Keeper(threading.Thread):
    """A thread that refreshes the lock, and interrupts this program when another one has taken the lock over."""

    def __init__(self, file: Place, owner: Owner) -> None:
        super().__init__(daemon=True)
        self.lost: Owner | None = None
        self._file, self._owner = file, owner
        self._end = threading.Event()

    def run(self) -> None:
        start, beat = time.monotonic(), 0
        while not self._end.wait(REFRESH):
            beat += 1
            # The next refresh may succeed; if none does for long, the lock may go to another driver.
            with contextlib.suppress(OSError), patience(LITTLE_PATIENCE):
                current = read(self._file)
                if current is not None and current.nonce != self._owner.nonce:
                    self.lost = current
                    # As Ctrl-C, which ends what the main thread waits for.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    return
                content = asdict(self._owner) | {"held": round(time.monotonic() - start, 1), "beat": beat}
                write_whole(self._file, json.dumps(content))

    def stop(self) -> None:
        self._end.set()
        self.join(REFRESH)


def _age(file: Place) -> float:
    """Seconds since the lock was written, by the clock of the storage."""
    probe = file.parent / f"{PROBE}{secrets.token_hex(8)}"
    try:
        write_whole(probe, "x")
        return _modified(probe) - _modified(file)
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _modified(file: Place) -> float:
    if not isinstance(file, ObjectPath):
        return Path(str(file)).stat().st_mtime
    info: Any = file.store.filesystem.get_file_info(file.key)
    if info.mtime is None:
        raise FileNotFoundError(str(file))
    return float(info.mtime.timestamp())


def _machine() -> str:
    """Boot and process namespace: process numbers mean the same where both agree; each container has its own."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()


def _process_start(pid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        # The name of the program, in brackets, may hold spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
