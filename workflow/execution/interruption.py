"""Ctrl-C and SIGTERM: pieces of work are brought to their end, what is done is saved, then the program leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and after SIGTERM, as shells count them."""
GRACE_SECONDS = 12.0
"""How long workers may take to save what they have; the program is gone within 30 s of the signal."""


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: from a batch system before the time limit, from a node that is taken away."""


def _terminate(number: int, frame: FrameType | None) -> None:
    # Batch systems send it to everything again; it has been understood.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def raise_on_sigterm() -> None:
    """SIGTERM raises ``Terminated`` in the main thread from now on; Ray takes the signal for itself when it starts."""
    if _main_thread() and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises ``Terminated`` in the body; what the signal did before comes back after it."""
    if not _main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
            # Ray makes a plain KeyboardInterrupt of whatever a handler raises while it waits.
            raise Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def held() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and the cancellation of a Ray task wait until the body is through, and then take effect.

    The body looks at the list that it gets: a number in it (that of a signal) says that it has to come to an end soon.
    """
    received: list[int] = []
    if not _main_thread():
        yield received
        return
    # A handler that was not set from Python (None) could not be put back.
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    handlers = {number: signal.signal(number, lambda number, _: received.append(number)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for waiting in dict.fromkeys(received):
            signal.raise_signal(waiting)


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
