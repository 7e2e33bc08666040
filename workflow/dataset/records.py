"""Lines of the manifest: what it knows of each shard.

This file imports no library that reads shards, so that ``status`` starts fast.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from workflow.storage.run_directory import RunDirectory


class ShardRecord(NamedTuple):
    """What the manifest knows of one shard. ``seconds`` and ``node`` are None when rebuilt from files."""

    task_id: str
    path: str
    """Relative to the run folder."""
    rows: int
    bytes: int
    sha256: str
    seconds: float | None
    node: str | None


def record_line(record: ShardRecord) -> str:
    """The record's line of the manifest, without the end of line."""
    return json.dumps(record._asdict())


def load_records(run: RunDirectory) -> dict[str, ShardRecord]:
    """The manifest by task id. Of several lines for a task the last counts; a line that a crash cut short does not."""
    records: dict[str, ShardRecord] = {}
    if run.manifest.exists():
        for text in run.manifest.read_text().splitlines():
            try:
                record = ShardRecord(**json.loads(text))
            except (json.JSONDecodeError, TypeError):
                continue
            records[record.task_id] = record
    return records
