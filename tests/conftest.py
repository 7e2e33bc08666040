"""Settings of every test: no token file in HOME, one Ray for all tests that need it."""

import os
import signal
from collections.abc import Iterator

import pytest

# Before Ray is imported anywhere. Tests run no cluster that others could reach.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell ignores SIGINT in what it runs in the background, and children inherit that, but not a handler.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_executor() -> Iterator["RayExecutor"]:  # noqa: F821
    """A local Ray with two CPUs, started once."""
    from workflow.execution.ray_executor import RayExecutor

    executor = RayExecutor(workers=2)
    executor.start()
    yield executor
    executor.close()
