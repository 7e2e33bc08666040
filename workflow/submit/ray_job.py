"""A Ray cluster that exists already: the study as a job of its Jobs API, followed to its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflow.execution.executors import Unavailable
from workflow.execution.interruption import INTERRUPTED, TERMINATED, Terminated
from workflow.execution.shipping import copy_packages
from workflow.own_packages import PACKAGES
from workflow.study.cluster_blocks import Ray
from workflow.submit.submission import Submission

STUDY = "study.toml"
DEFAULT_ADDRESS = "http://127.0.0.1:8265"
POLL_SECONDS = 0.5


def run_folder(job: Submission[Ray]) -> str:
    """The run folder, which the nodes share.

    Raises:
        Unavailable: none was given, or one that begins where the job does.
    """
    if job.run_dir is None and job.site.runs is None:
        raise Unavailable(
            "--run-dir: give a folder that all nodes of the cluster share, or a URI; "
            "or set cluster.ray.runs in a site file"
        )
    folder = job.folder(job.site.runs or "")
    if not re.match(r"/|[a-z0-9]+://", folder):
        raise Unavailable(
            f"--run-dir: must be absolute or a URI, since the job runs in a folder of its own, got {folder}"
        )
    return folder


def request(job: Submission[Ray], working_dir: str) -> dict[str, Any]:
    """Arguments of ``JobSubmissionClient.submit_job``."""
    words = ["python", "-m", "latentphase", *job.arguments(STUDY, run_folder(job)), "--address", "auto"]
    # The study is shipped with its seed.
    return {
        "entrypoint": shlex.join(words),
        "runtime_env": {"working_dir": working_dir},
        "metadata": {"study": job.study.name},
        "entrypoint_num_cpus": job.site.cpus,
    }


def preview(job: Submission[Ray]) -> str:
    """The request as JSON, with what the job's folder holds in place of a temporary path."""
    return json.dumps(request(job, f"a copy of {', '.join(PACKAGES)} with {STUDY}, the resolved study"), indent=2)


def reservation(job: Submission[Ray]) -> str:
    """The CPUs that the cluster sets aside."""
    return f"{job.site.cpus:g} CPUs are set aside for the driver; tasks share the cluster with its other jobs"


def stage(job: Submission[Ray], folder: Path) -> None:
    """Put into ``folder`` what the job needs: our packages and the study, and so no runs, environments or secrets."""
    copy_packages(folder)
    (folder / STUDY).write_text(job.study_text())


def submit(job: Submission[Ray], say: Callable[[str], None]) -> int:
    """Submit the job, print its log as it comes, and wait for its end.

    Returns:
        The job's exit code.

    Raises:
        Unavailable: no cluster answers, or it refuses the job.
    """
    run_folder(job)
    address = job.address or job.site.address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS
    from ray.exceptions import AuthenticationError

    try:
        from ray.job_submission import JobSubmissionClient

        client = JobSubmissionClient(address)
        with tempfile.TemporaryDirectory(prefix="latentphase-") as name:
            stage(job, Path(name))
            number = client.submit_job(**request(job, name))
    except (AuthenticationError, ConnectionError, RuntimeError, ValueError) as error:
        raise Unavailable(
            f"no job could be submitted to the Ray dashboard at {address}: {error}\n"
            "  --address names it, http://HOST:8265; from outside the cluster, tunnel to it: "
            "ssh -L 8265:127.0.0.1:8265 HEAD"
        ) from None
    say(f"job {number} at {address}")
    try:
        return follow(client, number, say)
    except KeyboardInterrupt as error:
        where = f"--address {shlex.quote(address)} {number}"
        say(f"the job goes on; ray job logs --follow {where} shows it, ray job stop {where} ends it")
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def follow(client: Any, number: str, say: Callable[[str], None]) -> int:
    """Print the job's log until it ends; its exit code."""

    async def show() -> None:
        async for lines in client.tail_job_logs(number):
            say(lines.rstrip("\n"))

    try:
        asyncio.run(show())
    except RuntimeError as error:
        say(f"the log can no longer be followed: {error}")
    while not (info := client.get_job_info(number)).status.is_terminal():
        time.sleep(POLL_SECONDS)
    code = info.driver_exit_code
    if info.status.name != "SUCCEEDED":
        say(f"job {number}: {info.status.name.lower()}; {(info.message or '').splitlines()[0] if info.message else ''}")
    if code is None:
        return 0 if info.status.name == "SUCCEEDED" else 1
    # A driver that a signal has ended: as shells count it.
    return int(code) if code >= 0 else 128 - int(code)
