"""Opening a run folder: made for a study, refused to another one, set aside on request."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from workflow.plan import planned
from workflow.storage import lock, places
from workflow.storage.errors import FolderError
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.stores import PROBE, check_access
from workflow.storage.whole_files import is_half_written, remove_half_written, write_whole
from workflow.study.blocks import VERDICT_ENTRIES, Study
from workflow.study.loading import StudyError, parse
from workflow.study.train_settings import Taker, entries_of

MOST_DIFFERENCES = 10
"""Of two studies, in a message."""


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Where two studies differ, as ``place: the run folder has X, the study has Y``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(x, dict) for x in old + new):
        for i in range(max(len(old), len(new))):
            first, second = (items[i] if i < len(items) else None for items in (old, new))
            yield from differences(first, second, f"{place}.{i}")
    elif old != new:
        yield f"{place}: the run folder has {_short(old)}, the study has {_short(new)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def begin_run(study: Study, root: Place, fresh: bool = False) -> RunDirectory:
    """The run folder of ``study`` at ``root``, made if it is not there; for one who is alone with it.

    Args:
        study: the study to be run.
        root: the folder.
        fresh: set a folder that exists aside (renamed, nothing is deleted) and begin again.

    Raises:
        FolderError: it cannot be written, or holds another study (which fields differ is said).
    """
    run = _prepared(root, fresh)
    if fresh:
        _set_aside(run.root)
    _begin(study, run)
    return run


@contextmanager
def opened(study: Study, root: Place, fresh: bool = False) -> Iterator[RunDirectory]:
    """The same, locked against other drivers as long as the body runs.

    Raises:
        FolderError: as ``begin_run``, or another driver is at work there.
    """
    run = _prepared(root, fresh)
    with lock.held(run.lock):
        if fresh:
            _set_aside(run.root)
        _begin(study, run)
        remove_half_written(run.root)
        yield run
        # Also workers may have been killed meanwhile.
        remove_half_written(run.root)


def _prepared(root: Place, fresh: bool) -> RunDirectory:
    """The folder, which is there then and may be written; refused if it is something else than a run folder."""
    if not isinstance(root, Path):
        if fresh:
            raise FolderError(f"--fresh renames a folder, which {root} cannot be: choose another --run-dir")
        check_access(root)
        run = RunDirectory(root)
    else:
        run = RunDirectory(root.resolve())
        try:
            if fresh and root.exists() and not (root / "study.toml").exists():
                raise FolderError(f"--fresh: {root} holds no study.toml, so it is no run folder to set aside")
            root.mkdir(parents=True, exist_ok=True)
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError("no permission to write there")
        except OSError as error:
            raise FolderError(f"the run folder {root} cannot be written: {error}") from None
        refuse_links(run.root)
    if not run.study.exists() and any(not is_passing(run, name) for name in _names(run.root)):
        raise FolderError(f"{root} is not empty and holds no study.toml; choose another --run-dir")
    return run


def is_passing(run: RunDirectory, name: str) -> bool:
    """Whether a file is a lock or what a kill may leave of it or of a file that was being written."""
    lock_name = run.lock.name
    return name.startswith((lock_name, PROBE)) or is_half_written(name)


def _names(root: Place) -> Iterable[str]:
    """What lies directly in a folder."""
    if isinstance(root, Path):
        return (path.name for path in root.iterdir())
    return (name.partition("/")[0] for name in places.listing(root).names)


def refuse_links(root: Place) -> None:
    """Raises FolderError where a link in the run folder ``root`` leads out of it: what is written must stay inside."""
    if not isinstance(root, Path):
        return
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                # The kind of an entry comes with the listing: no request per file.
                if entry.is_symlink():
                    _refuse_outside(Path(entry.path), root)
                elif entry.is_dir():
                    folders.append(entry.path)


def _refuse_outside(link: Path, root: Path) -> None:
    if not link.resolve().is_relative_to(root.resolve()):
        raise FolderError(
            f"{link} is a link to {link.resolve()}, outside the run folder: nothing is written through it; "
            "put the whole run folder there with --run-dir"
        )


def _begin(study: Study, run: RunDirectory) -> None:
    if run.study.exists():
        _same_study(run, study)
    try:
        if not run.study.exists():
            write_whole(run.study, tomli_w.dumps(study.resolved))
        planned.note(run, study)
    except OSError as error:
        raise FolderError(f"the run folder {run.root} cannot be written: {error}") from None


def _same_study(run: RunDirectory, study: Study) -> None:
    text = tomli_w.dumps(study.resolved)
    try:
        old_text = run.study.read_text()
        if old_text == text:
            return
        old = tomllib.loads(old_text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FolderError(f"{run.study} is damaged: {error}; use --fresh to begin again beside it") from None
    # What an older program did not know to write down is at its default.
    with contextlib.suppress(StudyError):
        old = parse(old).resolved
    lines = list(differences(_identity(old), _identity(study.resolved)))
    if lines:
        more = [f"... and {len(lines) - MOST_DIFFERENCES} more"] if len(lines) > MOST_DIFFERENCES else []
        differing = "\n  ".join([*lines[:MOST_DIFFERENCES], *more])
        raise FolderError(
            f"{run.root} holds another study:\n  {differing}\n"
            "use another --run-dir, or --fresh to set that folder aside (it is renamed, not deleted) and begin again"
        )
    write_whole(run.study, text)


def _identity(resolved: dict[str, Any]) -> dict[str, Any]:
    """The entries by which a study is the same; of the others the folder keeps the latest word.

    What may be done with shards changes none of them, nor does the place of data whose contents are the same, nor what
    the verdict asks for, nor the machines, nor (but for rounding) over how many of them a training is spread.
    """
    identity = _without(resolved, ("allow_uncertified", "cluster"))
    identity["analyze"] = _without(identity.get("analyze", {}), VERDICT_ENTRIES)
    for table, entries in (("train", entries_of(Taker.EXECUTION)), ("data", ("path",))):
        if table in identity:
            identity[table] = [_without(block, entries) for block in identity[table]]
    return identity


def _without(table: dict[str, Any], entries: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in entries}


def _set_aside(root: Place) -> None:
    """Rename all that is in a folder away, but for the lock of who does it."""
    assert isinstance(root, Path)
    if not (root / "study.toml").exists():
        return
    number = 1
    while (target := root.with_name(f"{root.name}.{number}")).exists():
        number += 1
    target.mkdir()
    # Last what makes it a run folder: a kill in between leaves one that can be set aside again.
    for path in sorted(root.iterdir(), key=lambda path: path.name == "study.toml"):
        if path.name != RunDirectory(root).lock.name:
            path.rename(target / path.name)


def load_run(root: Place) -> tuple[RunDirectory, Study]:
    """A run folder and the study saved in it.

    Raises:
        FolderError: it is no run folder, or its study is damaged.
    """
    run = RunDirectory.existing(root)
    try:
        return run, parse(tomllib.loads(run.study.read_text()), str(run.study))
    except tomllib.TOMLDecodeError as error:
        raise FolderError(f"{run.study} is damaged: {error}") from None
