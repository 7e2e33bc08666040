"""Places of a run folder: local paths, or objects below any URI that pyarrow.fs opens.

Every stage reads and writes the run folder itself, wherever it lies: a PUT is there whole or not at all, so that a kill
at any moment leaves one copy of everything and nothing to reconcile.  We decided against a
scratch folder per node that is copied to the store: it would need a record of what it has sent, and other nodes would
have to ask the store anyway.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from workflow.storage.errors import LITTLE_PATIENCE, StorageError, patience, retried

if TYPE_CHECKING:
    from workflow.storage.stores import Store

Result = TypeVar("Result")

LINES_SECONDS = 5.0
"""Files of lines in an object store are written anew at most this often, as objects cannot grow."""
LINES_SHARE = 20.0
"""And no sooner than this many times as long after as the last writing took."""


REQUESTS = 16
"""To a store at the same time."""


class Place(Protocol):
    """A file or folder in a run folder. The methods are those of ``pathlib.Path``, which is a ``Place``, too."""

    @property
    def name(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def parent(self) -> Place: ...
    def __truediv__(self, name: str, /) -> Place: ...
    def __lt__(self, other: Any, /) -> bool: ...
    def exists(self) -> bool: ...
    def read_text(self) -> str: ...
    def read_bytes(self) -> bytes: ...
    def glob(self, pattern: str, /) -> Iterable[Place]: ...
    def rglob(self, pattern: str, /) -> Iterable[Place]: ...
    def unlink(self, missing_ok: bool = False) -> None: ...
    def relative_to(self, other: Any, /) -> PurePath: ...


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A ``Place`` in an object store. Folders are beginnings of names there, and exist without being made."""

    store: Store
    path: str
    """Below the bucket, without slashes at its ends."""

    def __str__(self) -> str:
        """The URI; ``place`` makes the same path of it."""
        return self.store.uri(self.path)

    @property
    def key(self) -> str:
        """As pyarrow's file system names it."""
        return self.store.base + self.path

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def parent(self) -> ObjectPath:
        return ObjectPath(self.store, self.path.rpartition("/")[0])

    def __truediv__(self, name: str, /) -> ObjectPath:
        return ObjectPath(self.store, f"{self.path}/{name}")

    def __lt__(self, other: ObjectPath, /) -> bool:
        return self.path < other.path

    def relative_to(self, other: ObjectPath, /) -> PurePosixPath:
        return PurePosixPath(self.path).relative_to(other.path)

    def exists(self) -> bool:
        from pyarrow.fs import FileType

        info = retried(lambda: self.store.filesystem.get_file_info(self.key), str(self))
        return bool(info.type != FileType.NotFound)

    def read_bytes(self) -> bytes:
        return read_with(self, lambda file: bytes(file.read()))

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes) -> None:
        """Put the object whole: others see all of it or nothing."""
        retried(lambda: self._put(content), str(self))

    def _put(self, content: bytes) -> None:
        system = self.store.filesystem
        if self.store.scheme in ("hdfs", "viewfs"):
            # A file system after all: what is being written there can be seen.
            temporary = f"{self.key}.{os.getpid()}.tmp"
            with system.open_output_stream(temporary) as stream:
                stream.write(content)
            with contextlib.suppress(FileNotFoundError):
                system.delete_file(self.key)
            system.move(temporary, self.key)
            return
        kind = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        about = {"Content-Type": kind} if self.store.scheme == "s3" else None
        with system.open_output_stream(self.key, metadata=about) as stream:
            stream.write(content)

    def glob(self, pattern: str, /) -> Iterator[ObjectPath]:
        """Objects directly in this folder whose names fit."""
        return (path for path in self.rglob(pattern) if path.parent == self)

    def rglob(self, pattern: str, /) -> Iterator[ObjectPath]:
        """Objects below this folder whose names fit, from one listing."""
        below = listing(self)
        return (self / name for name in below.names if fnmatchcase(name.rpartition("/")[2], pattern))

    def unlink(self, missing_ok: bool = False) -> None:
        with contextlib.suppress(*[FileNotFoundError] if missing_ok else []):
            retried(lambda: self.store.filesystem.delete_file(self.key), str(self))


def place(text: str | Path) -> Path | ObjectPath:
    """A local path, or a folder below a URI.

    Raises:
        FolderError: a URI that cannot be used, or one with credentials in it.
    """
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    from workflow.storage.stores import parse

    parts = parse(text)
    return parts if isinstance(parts, Path) else ObjectPath(*parts)


class Listing:
    """The files below a folder with their sizes at one moment, from one request instead of one per file."""

    def __init__(self, root: Place, names: dict[str, int]) -> None:
        self.names = names
        """Sizes in bytes, by the file's name relative to the folder."""
        self._root = root

    def size(self, file: Place) -> int | None:
        """Bytes of the file, None if it was not there."""
        return self.names.get(file.relative_to(self._root).as_posix())

    def __contains__(self, file: Place) -> bool:
        return self.size(file) is not None


def listing(folder: Place) -> Listing:
    """The files below ``folder``; none where it does not exist."""
    if isinstance(folder, ObjectPath):
        return Listing(folder, retried(lambda: _objects(folder), str(folder)))
    names: dict[str, int] = {}
    start = len(str(folder)) + 1
    for root, _, files in os.walk(str(folder)):
        for name in files:
            full = os.path.join(root, name)  # noqa: PTH118  # A Path per file would take longer than the walk.
            with contextlib.suppress(FileNotFoundError):
                names[full[start:]] = os.stat(full).st_size  # noqa: PTH116
    return Listing(folder, names)


def _objects(folder: ObjectPath) -> dict[str, int]:
    from pyarrow.fs import FileSelector, FileType

    infos = folder.store.filesystem.get_file_info(FileSelector(folder.key, recursive=True, allow_not_found=True))
    start = len(folder.key) + 1
    return {info.path[start:]: info.size for info in sorted(infos, key=lambda i: i.path) if info.type == FileType.File}


def read_with(file: Place, work: Callable[[Any], Result]) -> Result:
    """What ``work`` returns for the open file (a ``pyarrow.NativeFile``); called again after errors that may pass."""
    import pyarrow as pa

    if not isinstance(file, ObjectPath):
        with pa.OSFile(str(file)) as stream:
            return work(stream)

    def read() -> Result:
        with file.store.filesystem.open_input_file(file.key) as stream:
            return work(stream)

    return retried(read, str(file))


def remove_tree(folder: Place) -> None:
    """Delete a folder and all that is in it, if it is there."""
    if not isinstance(folder, ObjectPath):
        shutil.rmtree(str(folder), ignore_errors=True)
        return
    with contextlib.suppress(FileNotFoundError):
        retried(lambda: folder.store.filesystem.delete_dir(folder.key), str(folder))


def each(function: Callable[[Place], Result], files: Iterable[Place]) -> Iterator[Result]:
    """``function`` of every file, in their order; several objects at a time, since most of their time is waiting."""
    listed = list(files)
    if not listed or not isinstance(listed[0], ObjectPath):
        yield from map(function, listed)
        return
    with ThreadPoolExecutor(REQUESTS) as pool:
        yield from pool.map(function, listed)


class Lines:
    """A file that grows by lines: ``with Lines(place) as lines: lines.add("...")``.

    A local file has each line at once.  An object is written whole, every few seconds and at the end.
    """

    def __init__(self, file: Place, seconds: float = LINES_SECONDS) -> None:
        self._file = file
        self._seconds = seconds
        self._content: bytes | None = None
        self._pending = False
        self._next = time.monotonic() + seconds

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.flush()
            return
        # The error that is being raised already says more than a second one of the same store.
        with contextlib.suppress(OSError), patience(LITTLE_PATIENCE):
            self.flush()

    def add(self, text: str) -> None:
        """Add a line; one that a crash cut short before it is ended first."""
        if isinstance(self._file, ObjectPath):
            if self._content is None:
                self._content = ended(_content(self._file))
            self._content += f"{text}\n".encode()
            self._pending = True
            if time.monotonic() >= self._next:
                self.flush()
            return
        with Path(str(self._file)).open("a+b") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(f"{text}\n".encode())

    def flush(self) -> None:
        """See that all lines so far are stored."""
        if self._pending and self._content is not None and isinstance(self._file, ObjectPath):
            start = time.monotonic()
            self._file.write_bytes(self._content)
            self._pending = False
            now = time.monotonic()
            self._next = now + max(self._seconds, LINES_SHARE * (now - start))


def _content(file: ObjectPath) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


def ended(content: bytes) -> bytes:
    """``content`` with a newline at its end, if it is not empty."""
    return content if not content or content.endswith(b"\n") else content + b"\n"


__all__ = [
    "Lines", "Listing", "ObjectPath", "Place", "StorageError", "listing", "place", "read_with", "remove_tree",
]  # fmt: skip
