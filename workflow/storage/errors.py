"""Errors of the storage of a run folder: which ones pass and are tried again, and what users can do about others."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 90.0
"""Seconds for which an operation that fails is tried again."""
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
LITTLE_PATIENCE = 5.0
"""The same where failure costs little, or where another error is being raised already."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds between attempts: the first, doubled after each."""

PASSING = re.compile(
    r"HTTP status (5\d\d|429|408)|SLOW_DOWN|THROTTL|TOO_MANY|INTERNAL_(FAILURE|ERROR)|SERVICE_UNAVAILABLE"
    r"|NETWORK_CONNECTION|REQUEST_TIME_?OUT|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED"
    r"|(?i:time[d ]?-?out|connection (reset|refused|closed|was closed)|broken pipe|could not connect|server busy)"
)
"""In messages of errors that the next attempt may not meet."""
NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
DENIED = re.compile(
    r"ACCESS_DENIED|HTTP status 40[13]|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH"
    r"|EXPIRED_TOKEN|InvalidToken|PERMISSION_DENIED|UNAUTHENTICATED|Forbidden|AuthenticationFailed|AuthorizationFailure"
)
ELSEWHERE = re.compile(r"PERMANENT_REDIRECT|HTTP status 301|PermanentRedirect")

CREDENTIALS = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "abfs": ("AZURE_CLIENT_ID",),
}
"""Variables that point to credentials, by kind of store; machines in a cloud may have a role instead."""


class FolderError(ValueError):
    """A run folder that cannot be used for this study."""


class StorageError(OSError):
    """The store of a run folder refuses, or does not answer in time; the message says what to change."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Try again for no longer than this, within the body and this thread."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def retried(work: Callable[[], Result], where: str) -> Result:
    """What ``work`` returns; it is called again as long as it fails with an error that may pass.

    The pauses double, and a random part of them keeps many workers from coming back at once.

    Args:
        work: one operation, which does no harm when it is repeated.
        where: URI of its file or folder, for messages.

    Raises:
        StorageError: no permission, no such bucket, or no answer in time.
        OSError: any other error of ``work``.
    """
    seconds = PATIENCE if (limit := _patience.get()) is None else limit
    start, pause = time.monotonic(), FIRST_PAUSE
    while True:
        try:
            return work()
        except FileNotFoundError:
            raise
        except OSError as error:
            if not PASSING.search(str(error)):
                if (text := explained(error, where)) is not None:
                    raise StorageError(text) from None
                raise
            spent = time.monotonic() - start
            if spent + pause > seconds:
                raise StorageError(
                    f"{where}: the store has failed for {spent:.0f} s: {_short(error)}; check that it can be reached"
                    " from here (endpoint_override and scheme of the URI, the network)"
                ) from None
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE)


def explained(error: OSError, where: str) -> str | None:
    """What to change when a store refuses, None for errors of another kind."""
    text = str(error)
    scheme = where.partition("://")[0]
    kind = {"abfss": "abfs", "gcs": "gs"}.get(scheme, scheme)
    if NO_BUCKET.search(text):
        return f"{where}: there is no such bucket; make it first, or correct the URI ({_short(error)})"
    if ELSEWHERE.search(text):
        return f"{where}: the bucket lies in another region; add region=... to the URI ({_short(error)})"
    if DENIED.search(text):
        return f"{where}: {_denied(kind)} ({_short(error)})"
    return None


def _denied(kind: str) -> str:
    names = CREDENTIALS.get(kind, ())
    files = [os.environ.get(f"AWS_{name}", f"~/.aws/{default}") for name, default in AWS_FILES] if kind == "s3" else []
    if names and not any(os.environ.get(name) for name in names) and not any(map(_is_there, files)):
        return f"no credentials were found; set {names[0]} in the environment (others are looked for as well)"
    return "these credentials are not permitted to read, write, list and delete there; give them the permission"


AWS_FILES = (("SHARED_CREDENTIALS_FILE", "credentials"), ("CONFIG_FILE", "config"))


def _is_there(name: str) -> bool:
    return Path(name).expanduser().exists()


def _short(error: OSError) -> str:
    """The message without the request's number."""
    return re.sub(r" ?\((?:Request ID|RequestId)[^)]*\)", "", str(error)).strip()
