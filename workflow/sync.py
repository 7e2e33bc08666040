"""Copying a run folder between places, file by file and checked; nothing is deleted, and it can be done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from workflow.dataset import manifest
from workflow.dataset.records import load_records
from workflow.dataset.shards import ShardError
from workflow.execution.run_folder import is_passing, load_run, opened
from workflow.storage import places
from workflow.storage.errors import FolderError
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole

LAST = ("manifest.jsonl", "result.json", "summary.json", "verdict.json", "index.html")
"""Files that promise others: copied after these, so that after a kill every promise holds."""


class FileCounts(NamedTuple):
    """Numbers of files."""

    copied: int
    replaced: int
    """Of the copied ones, those in place of another version."""
    same: int
    """Files that both folders had already."""


def sync(source: Place, target: Place, say: Callable[[str], None]) -> FileCounts:
    """Copy every file of the run folder ``source`` to ``target``; other files there stay.

    Args:
        source: a run folder.
        target: a run folder of the same study, or a place where there is nothing.
        say: takes a line per file that is copied.

    Raises:
        FolderError: the source is no run folder, or the target holds something else or is in use.
        ShardError: a shard of the source is not the one in its manifest.
    """
    run, study = load_run(source)
    if str(run.root) == str(_resolved(target)):
        raise FolderError(f"{source} and {target} are the same folder")
    with opened(study, target) as other:
        return _copy(run, other, say)


def _resolved(place: Place) -> Place:
    return place.resolve() if isinstance(place, Path) else place


def _copy(run: RunDirectory, other: RunDirectory, say: Callable[[str], None]) -> FileCounts:
    checksums = {record.path: record.sha256 for record in load_records(run).values()}
    source, target = places.listing(run.root), places.listing(other.root)
    names = [name for name in source.names if not _is_left_out(run, name)]
    for name in names:
        # Names of objects may be anything.
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise FolderError(f"{run.root} holds an object whose name leads out of a folder: {name!r}")
    names.sort(key=lambda name: (LAST.index(base) if (base := PurePosixPath(name).name) in LAST else -1, name))
    copied = replaced = same = 0
    for name in names:
        file, copy = run.root / name, other.root / name
        size = target.size(copy)
        expected = checksums.get(name) or manifest.sha256(file)
        if size == source.size(file) and manifest.sha256(copy) == expected:
            same += 1
            continue
        say(f"{name}{'' if size is None else ' (in place of another version)'}")
        _copy_file(file, copy, checksums.get(name))
        copied += 1
        replaced += size is not None
    return FileCounts(copied, replaced, same)


def _is_left_out(run: RunDirectory, name: str) -> bool:
    """Whether a file is not copied: locks, temporary files, and the state of Ray Train."""
    parts = PurePosixPath(name).parts
    return is_passing(run, parts[-1]) or ".ray" in parts


def _copy_file(file: Place, copy: Place, expected: str | None) -> None:
    content = file.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if expected is not None and actual != expected:
        raise ShardError(f"{file} was altered: its sha256 is not the one in the manifest; see `latentphase verify`")
    write_whole(copy, content)
    if manifest.sha256(copy) != actual:
        raise ShardError(f"{copy} is not what was written to it: its sha256 differs from that of {file}")
