"""Tasks on a local Ray or a Ray cluster: retried, bundled where they are short, with a bounded window."""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from workflow import ROOT
from workflow.execution.executors import Outcome, Seconds, SerialExecutor, Unavailable, bundles
from workflow.execution.interruption import GRACE_SECONDS, raise_on_sigterm
from workflow.execution.shipping import copy_packages
from workflow.own_packages import importing

WINDOW = 4
"""Ray tasks in flight per worker: enough to keep every worker busy, few enough that the driver stays small."""
CLUSTER_WINDOW = 256
"""The same at least on a cluster that is joined: waiting tasks are what makes it start nodes."""
SYSTEM_RETRIES = 5
"""How often a task is started again when its worker or node dies; errors of the task itself are not retried."""
WORKER_ENVIRONMENT = {
    "NUMBA_NUM_THREADS": "1",
    # glibc, whatever else there may be ignores it: a training step frees all it has allocated, and the next one would
    # have each page mapped and zeroed again. Up to 512 MiB are kept, in blocks of up to 32 MiB, for all threads alike.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}
"""Of the processes in which Ray runs tasks and trainings."""
IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the environment of a job that was handed to a cluster."""


def prepare_environment() -> None:
    """Settings that Ray reads when it is imported: silence warnings, notice dead workers and hosts soon."""
    # It would say in every run which of these it leaves out; we name them all.
    os.environ.setdefault("RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES", "")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    # A host that is cut off answers no more, and closes no connection either: its tasks are given to others when this
    # much silence (by default seven minutes) has shown that.
    os.environ.setdefault("RAY_grpc_client_keepalive_time_ms", "30000")
    os.environ.setdefault("RAY_grpc_client_keepalive_timeout_ms", "20000")


class RayExecutor:
    """Ray tasks of one CPU each, started on first use."""

    def __init__(self, workers: int | None = None, address: str | None = None, verbose: bool = False) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._address = address
        self._verbose = verbose
        self._started = False
        self._window = WINDOW * self.workers
        self._pending: dict[Any, Any] = {}

    @property
    def local(self) -> bool:
        """Whether this Ray is one of our own on this machine, with ``workers`` CPUs."""
        return not (self._address or os.environ.get("RAY_ADDRESS"))

    def start(self) -> None:
        """Connect to the cluster at the given address (or RAY_ADDRESS), or start a local Ray."""
        if self._started:
            return
        prepare_environment()
        import ray

        # Token authentication is Ray's default and stays on; it is no news to whoever starts a study.
        logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
        options: dict[str, Any] = {"address": self._address}
        joined = not self.local
        if not joined:
            # "local", or a Ray that somebody else started on this machine would be joined.
            options |= {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
        try:
            with _runtime_environment(joined) as environment:
                ray.init(**options, logging_level=logging.WARNING, log_to_driver=self._verbose, runtime_env=environment)
        except (ConnectionError, ValueError, TimeoutError) as error:
            where = self._address or os.environ.get("RAY_ADDRESS", "this machine")
            raise Unavailable(f"cannot use the Ray cluster at {where}: {error}") from None
        finally:
            raise_on_sigterm()
        self._window = max(WINDOW * self.workers, CLUSTER_WINDOW if joined else 0)
        self._started = True

    def nodes(self, label: str) -> list[dict[str, float]]:
        """Resources of the nodes that tasks labelled ``label`` may run on."""
        import ray

        alive = [node for node in ray.nodes() if node["Alive"]]
        if self.placement(label) is not None:
            alive = [node for node in alive if node.get("Labels", {}).get("workload") == label]
        return [node["Resources"] for node in alive]

    def placement(self, label: str) -> dict[str, str] | None:
        """The label selector of a node group, on clusters whose nodes carry ``workload`` labels (cluster.yaml)."""
        import ray

        labelled = any("workload" in node.get("Labels", {}) for node in ray.nodes() if node["Alive"])
        return {"workload": label} if labelled else None

    def run_all(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: object,
        label: str = "simulation",
        seconds: Seconds | None = None,
    ) -> Iterator[Outcome]:
        if not items:
            return
        self.start()
        import ray

        remote = ray.remote(_each).options(
            name=function.__name__, num_cpus=1, max_retries=SYSTEM_RETRIES, label_selector=self.placement(label)
        )
        queue = bundles(items, seconds, most=-(-len(items) // self._window))
        pending = self._pending
        try:
            while True:
                while len(pending) < self._window and (bundle := next(queue, None)) is not None:
                    pending[remote.remote(function, bundle, *shared)] = bundle
                if not pending:
                    return
                # A short timeout lets Ctrl-C through while workers are deep in a kernel.
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=1.0)
                for reference in ready:
                    bundle = pending.pop(reference)
                    outcomes = _outcomes(bundle, reference)
                    if outcomes is None:
                        queue = chain(([item] for item in bundle), queue)
                        continue
                    yield from outcomes
        finally:
            self._cancel()

    def _cancel(self) -> None:
        """Stop the tasks that are not done yet; a simulation that runs saves its state first."""
        if not self._started or not self._pending:
            return
        import ray

        for reference in self._pending:
            ray.cancel(reference, force=False)
        ray.wait(list(self._pending), num_returns=len(self._pending), timeout=GRACE_SECONDS)
        self._pending.clear()

    def close(self) -> None:
        if self._started:
            import ray

            # After an interruption the loop over the outcomes may not have come to its own end.
            self._cancel()
            ray.shutdown()
            self._started = False


@contextmanager
def _runtime_environment(joined: bool) -> Iterator[dict[str, Any]]:
    """What workers run in, for the time of ``ray.init``, which copies the files."""
    # A copy: Ray adds to it, and would take what it added for the user's when it is started again.
    environment: dict[str, Any] = {"env_vars": dict(WORKER_ENVIRONMENT)}
    if not joined or IN_JOB in os.environ:
        # This machine has our packages, as have nodes of a Ray job what came with the job. Ray puts the driver's
        # directory, which is the user's, before all that workers find modules in.
        yield environment | {"worker_process_setup_hook": importing(ROOT)}
        return
    with tempfile.TemporaryDirectory(prefix="latentphase-") as folder:
        # Nodes of a cluster run exactly these packages: they stand first there, and the driver's directory nowhere.
        copy_packages(Path(folder))
        yield environment | {"working_dir": folder}


def _each(function: Callable[..., Any], bundle: list[Any], *shared: object) -> list[Outcome]:
    """In a worker: the outcome of every item, without the items, which the driver has."""
    outcomes = list(SerialExecutor().run_all(function, bundle, *shared))
    if any(outcome.error for outcome in outcomes) and not _has_directory():
        # Ray has removed the job's files under this worker, as when its node goes away. That is no fault of the items:
        # Ray does them again elsewhere when their worker ends.
        os._exit(1)
    return [outcome._replace(item=None, error=_portable(outcome.error)) for outcome in outcomes]


def _has_directory() -> bool:
    """Whether the directory that this process is in is still there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _portable(error: BaseException | None) -> BaseException | None:
    """``error``, or what is left of one that cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return OSError(str(error)) if isinstance(error, OSError) else RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _outcomes(bundle: list[Any], reference: Any) -> list[Outcome] | None:
    """In the driver: what became of a bundle; None if it was lost with its worker, which one item may have caused."""
    import ray

    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
    )
    try:
        outcomes = ray.get(reference)
    except ray.exceptions.RayError as error:
        if isinstance(error, lost) and len(bundle) > 1:
            return None
        cause = error.cause or error if isinstance(error, ray.exceptions.RayTaskError) else error
        return [Outcome(item, None, cause, str(error)) for item in bundle]
    return [outcome._replace(item=item) for item, outcome in zip(bundle, outcomes, strict=True)]
