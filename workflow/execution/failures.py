"""Work that failed: noted, forgotten when it is done after all, and counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from workflow.storage import places
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole


class StageFailed(RuntimeError):
    """Some of a stage's work failed; what succeeded is kept."""

    def __init__(self, stage: str, failures: dict[str, str], logs: Place, total: int) -> None:
        first, reason = next(iter(failures.items()))
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        where = f"\n  tracebacks are in {logs}" if _exists(logs) else ""
        super().__init__(f"{stage}: {len(failures)} of {total} failed: {first}: {reason}{more}{where}")


def _exists(logs: Place) -> bool:
    with contextlib.suppress(OSError):
        return logs.exists()
    return False


def require(stage: str, before: str, what: str, missing: Sequence[object]) -> None:
    """Refuse to begin ``stage`` without what an earlier stage, ``before``, makes.

    Raises:
        FileNotFoundError: ``missing`` is not empty.
    """
    if missing:
        count = f"{len(missing)} {what}{'' if len(missing) == 1 else 's'}"
        raise FileNotFoundError(f"{stage} needs {count} not there, first {missing[0]}; carry out {before} first")


def forget_failures(run: RunDirectory, names: Iterable[str]) -> None:
    """Delete notes of earlier failures, under the names that ``note_failure`` got, before the work is done again."""
    files = places.listing(run.failures).names
    for name in names:
        if f"{name}.txt" in files:
            (run.failures / f"{name}.txt").unlink(missing_ok=True)


def note_failure(run: RunDirectory, name: str, text: str) -> None:
    """Keep a failed task's traceback in the run folder."""
    write_whole(run.failures / f"{name}.txt", text)
