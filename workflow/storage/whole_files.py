"""Files that exist whole or not at all, and the removal of what killed processes leave of them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from workflow.storage.places import ObjectPath, Place


def write_whole(place: Place, content: bytes | str) -> None:
    """Write a file so that it exists whole or not at all: under a temporary name, then renamed; an object by one PUT.

    Raises:
        OSError: it could not be written; the file that was there before is unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    if isinstance(place, ObjectPath):
        place.write_bytes(data)
        return
    path = Path(str(place))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_half_written(name: str) -> bool:
    """Whether this is a temporary name of ``write_whole``."""
    return name.startswith(".") and name.endswith(".tmp")


def remove_half_written(root: Place) -> None:
    """Delete the temporary files of killed writers below a folder; an object store has none.

    A worker of a killed driver that still lives then fails to rename its file; the task is carried out again.
    """
    if isinstance(root, ObjectPath):
        return
    for folder, _, names in os.walk(str(root)):
        for name in filter(is_half_written, names):
            (Path(folder) / name).unlink(missing_ok=True)
