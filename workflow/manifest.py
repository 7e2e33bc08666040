"""The manifest: one line per finished shard, appended by the driver, and its rebuilding from the files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from workflow.layout import RunDirectory, write_whole
from workflow.shards import ShardError, ShardRecord, read_metadata


def sha256(path: Path) -> str:
    """Checksum of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def line(record: ShardRecord) -> str:
    return json.dumps(record._asdict()) + "\n"


def load(run: RunDirectory) -> dict[str, ShardRecord]:
    """The manifest by task id; the last of several lines for a task counts, a line cut short by a crash does not."""
    records: dict[str, ShardRecord] = {}
    if run.manifest.exists():
        for text in run.manifest.read_text().splitlines():
            try:
                record = ShardRecord(**json.loads(text))
            except (json.JSONDecodeError, TypeError):
                continue
            records[record.task_id] = record
    return records


def append(run: RunDirectory, record: ShardRecord) -> None:
    """Add one line; a killed driver loses at most that line, and the shard is found again from its file."""
    with run.manifest.open("a+b") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            # A line that a crash cut short must not spoil this one.
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(line(record).encode())


def store(run: RunDirectory, records: Mapping[str, ShardRecord], order: Iterable[str]) -> None:
    """Write the manifest whole, one line per task, in the plan's order; one that says the same is left alone."""
    text = "".join(line(records[task_id]) for task_id in order if task_id in records)
    if not run.manifest.exists() or run.manifest.read_text() != text:
        write_whole(run.manifest, text)


def describe(run: RunDirectory, path: Path) -> ShardRecord:
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
        rows=pq.read_metadata(path).num_rows,
        bytes=path.stat().st_size,
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


def damaged(run: RunDirectory, records: Iterable[ShardRecord]) -> dict[str, str]:
    """Task id and complaint of every recorded shard that is missing or whose bytes are not the recorded ones."""

    def complaint(record: ShardRecord) -> str | None:
        path = run.root / record.path
        if not path.exists():
            return f"{record.path} is missing"
        if path.stat().st_size != record.bytes:
            return f"{record.path} is truncated or altered: {path.stat().st_size} bytes instead of {record.bytes}"
        if sha256(path) != record.sha256:
            return f"{record.path} was altered: its sha256 is not the one in the manifest"
        return None

    listed = list(records)
    # hashlib releases the GIL, so threads use every core.
    with ThreadPoolExecutor() as pool:
        return {r.task_id: text for r, text in zip(listed, pool.map(complaint, listed), strict=True) if text}


def digest(records: Mapping[str, ShardRecord]) -> str:
    """One sha256 over all shards: equal when and only when every shard is equal, byte for byte."""
    text = "".join(f"{task_id} {records[task_id].sha256}\n" for task_id in sorted(records))
    return hashlib.sha256(text.encode()).hexdigest()
