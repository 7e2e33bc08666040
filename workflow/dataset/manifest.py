"""The manifest: one line per finished shard, appended by the driver, and its rebuilding from the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from workflow.dataset.origins import ShardTask
from workflow.dataset.records import ShardRecord, load_records, record_line
from workflow.dataset.shards import ShardError, read_metadata
from workflow.storage import places
from workflow.storage.places import Lines, Listing, Place, read_with
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole

MOST_AT_ONCE = 64
"""Shards that a thread checks before it takes the next ones."""


def sha256(path: Place) -> str:
    """Checksum of a file's bytes."""
    return read_with(path, lambda stream: hashlib.file_digest(stream, "sha256").hexdigest())


def appending(run: RunDirectory) -> Lines:
    """The manifest, to append lines to.

    A killed driver loses the last line, in an object store those of the last seconds; the next driver then finds the
    shards by their files.
    """
    return Lines(run.manifest)


def store(run: RunDirectory, records: Mapping[str, ShardRecord], order: Iterable[str]) -> None:
    """Write the manifest whole, one line per task, in the order of the plan; not where it holds these lines already."""
    text = "".join(record_line(records[task_id]) + "\n" for task_id in order if task_id in records)
    if not run.manifest.exists() or run.manifest.read_text() != text:
        write_whole(run.manifest, text)


def describe(run: RunDirectory, path: Place) -> ShardRecord:
    """The record of a shard from its file alone.

    Raises:
        ShardError: the file is no whole shard, or its name is not its task's.
    """
    metadata = read_metadata(path)
    if metadata.get("task_id") != path.stem:
        raise ShardError(f"{path} holds task {metadata.get('task_id')}, not the one in its name")
    return ShardRecord(
        task_id=path.stem,
        path=path.relative_to(run.root).as_posix(),
        rows=read_with(path, pq.read_metadata).num_rows,
        bytes=read_with(path, lambda stream: int(stream.size())),
        sha256=sha256(path),
        seconds=None,
        node=None,
    )


def rebuild(run: RunDirectory) -> dict[str, ShardRecord]:
    """The manifest from the files: every whole shard below ``dataset/``; how long each took is not in the files."""
    records = {}
    for path in sorted(run.dataset.rglob("*.parquet")):
        try:
            record = describe(run, path)
        except ShardError:
            continue
        records[record.task_id] = record
    return records


def damaged(
    run: RunDirectory, records: Iterable[ShardRecord], listing: Listing, contents: bool = True
) -> dict[str, str]:
    """Task id and complaint of every recorded shard that is missing or whose bytes are not the recorded ones.

    Args:
        run: the folder.
        records: of the shards that it should hold.
        listing: the files that it holds.
        contents: whether to read every shard and compare its checksum; if not, sizes alone are compared.
    """

    def complaint(record: ShardRecord) -> str | None:
        size = listing.names.get(record.path)
        if size is None:
            return f"{record.path} is missing"
        if size != record.bytes:
            return f"{record.path} is truncated or altered: {size} bytes instead of {record.bytes}"
        if contents and sha256(run.root / record.path) != record.sha256:
            return f"{record.path} was altered: its sha256 is not the one in the manifest"
        return None

    listed = list(records)
    # hashlib releases the GIL, so threads use every core; many small shards are handed out together.
    part = min(MOST_AT_ONCE, len(listed) // 64 + 1)
    parts = [listed[first : first + part] for first in range(0, len(listed), part)]
    with ThreadPoolExecutor() as pool:
        complaints = pool.map(lambda part: [(record.task_id, complaint(record)) for record in part], parts)
        return {task_id: text for part in complaints for task_id, text in part if text}


def digest(records: Mapping[str, ShardRecord]) -> str:
    """One sha256 over all shards: equal when and only when every shard is equal, byte for byte."""
    text = "".join(f"{task_id} {records[task_id].sha256}\n" for task_id in sorted(records))
    return hashlib.sha256(text.encode()).hexdigest()


def finished(run: RunDirectory, tasks: Iterable[ShardTask]) -> tuple[dict[str, ShardRecord], dict[str, str]]:
    """Records of the tasks whose shards are there and whole, and complaints about those that are not.

    A shard that was written but not recorded (the driver was killed in between) counts as there.
    """
    by_id = {task.task_id: task for task in tasks}
    records = {task_id: record for task_id, record in load_records(run).items() if task_id in by_id}
    listing = places.listing(run.root)
    # A store keeps checksums of its own; to read all shards again would take longer than many a stage.
    complaints = damaged(run, records.values(), listing, contents=isinstance(run.root, Path))
    for task_id in complaints:
        del records[task_id]
    for task_id, task in by_id.items():
        if task_id in records or task_id in complaints:
            continue
        path = run.shard(task)
        if path in listing:
            try:
                records[task_id] = describe(run, path)
            except ShardError as error:
                complaints[task_id] = str(error)
    return records, complaints
