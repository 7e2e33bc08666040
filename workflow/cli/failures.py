"""How a command ends that cannot go on: one message, and an exit code that says whose fault it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click


@contextmanager
def exit_on_failure(verbose: bool = False) -> Iterator[dict[str, str]]:
    """Turn what users can cause into a message and an exit code: 2 bad study, 1 failed work, 130 and 143 signals."""
    from workflow.execution.interruption import INTERRUPTED, TERMINATED, Terminated, terminable

    context: dict[str, str] = {}
    try:
        with terminable():
            yield context
    except KeyboardInterrupt as error:
        how, number = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        leave(f"{how}; finished work is kept, go on with\n  {context.get('resume', 'the same command')}", number)
    except Exception as error:
        code = _exit_code(error)
        if code is None or (code == 1 and verbose):
            raise
        if code == 2:
            leave(str(error), code)
        if isinstance(error, json.JSONDecodeError):
            leave(f"a result file of the run folder is damaged ({error}); --verbose says which", code)
        leave(f"{error}\n  finished work is kept; go on with\n  {context.get('resume', 'the same command')}", code)


def _exit_code(error: Exception) -> int | None:
    """2 for a bad study, folder or command line, 1 for work that failed, None for a bug."""
    # Not before there is an error: these modules take longer to import than some commands to carry out.
    from workflow.analyze.registry import IncompletePart
    from workflow.dataset.certified import Uncertified
    from workflow.dataset.shards import ShardError
    from workflow.exchange.fields import LayoutError
    from workflow.execution.executors import Unavailable
    from workflow.execution.failures import StageFailed
    from workflow.storage.errors import FolderError
    from workflow.storage.typed_json import Unreadable
    from workflow.study.loading import StudyError

    if isinstance(error, StudyError | FolderError | Unavailable | LayoutError | IncompletePart):
        return 2
    failures = json.JSONDecodeError | StageFailed | ShardError | Uncertified | Unreadable | OSError
    return 1 if isinstance(error, failures) else None


def leave(message: str, code: int) -> NoReturn:
    click.echo(f"latentphase: {message}", err=True)
    sys.exit(code)
