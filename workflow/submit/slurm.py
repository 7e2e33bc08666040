"""SLURM: a batch script that starts Ray over its allocation, runs the study, and requeues itself in time."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from workflow import ROOT
from workflow.execution.executors import Unavailable
from workflow.storage.whole_files import write_whole
from workflow.study.cluster_blocks import Slurm
from workflow.submit.submission import Submission

SCHEDULER_SECONDS = 5.0
"""How long to wait for the scheduler's first word on a job."""


class Places(NamedTuple):
    """Where the files of a submission lie: beside the run folder, which holds nothing but the run."""

    run: Path
    script: Path
    log: Path
    """With %j, for which SLURM puts the job's number."""


def places(job: Submission[Slurm]) -> Places:
    runs = job.site.runs or str(Path.cwd() / "runs")
    run = Path(job.folder(runs)).absolute()
    if re.search(r"[%\\\n]", str(run)):
        raise Unavailable(f"--run-dir: SLURM reads % and \\ in paths as its own signs, got {run}")
    return Places(run, run.with_name(f"{run.name}.slurm.sh"), run.with_name(f"{run.name}-%j.log"))


def directives(site: Slurm) -> list[str]:
    """Options of sbatch for the resources of ``site``."""
    options = {
        "nodes": site.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": site.cpus,
        "gpus-per-node": site.gpus or None,
        "mem": site.memory,
        "time": site.time,
        "partition": site.partition,
        "account": site.account,
        "qos": site.qos,
        "constraint": None if site.constraint is None else shlex.quote(site.constraint),
    }
    return [f"--{name}={value}" for name, value in options.items() if value is not None] + site.extra


def preview(job: Submission[Slurm]) -> str:
    """The script."""
    from jinja2 import Environment, StrictUndefined

    where = places(job)
    # "{#", which begins comments by default, is shell.
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="{##",
        comment_end_string="##}",
    )
    environment.filters["quoted"] = lambda text: shlex.quote(str(text))
    template = environment.from_string((resources.files("workflow.submit") / "slurm.sh.jinja").read_text())
    source = Path(job.source)
    study = str(source.absolute()) if source.is_file() else job.source
    return template.render(
        source=shlex.quote(job.source),
        name=job.study.name,
        site=job.site,
        options=directives(job.site),
        python=job.site.python or sys.executable,
        root=ROOT,
        runs=where.run.parent,
        log=where.log,
        script=where.script,
        command=shlex.join(job.arguments(study, str(where.run))),
    )


def hours(limit: str) -> float:
    """A time of SLURM (minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S) in hours."""
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    units = [1.0, 1 / 60, 1 / 3600]
    if not days and len(parts) < 3:
        units = units[1:]
    return 24 * int(days or 0) + sum(part * unit for part, unit in zip(parts, units, strict=False))


def reservation(job: Submission[Slurm]) -> str:
    """The core-hours that one allocation may take."""
    site = job.site
    most = hours(site.time) * site.nodes
    text = f"each allocation reserves at most {most * site.cpus:.2f} core-hours and {most * site.gpus:.2f} GPU-hours"
    return f"{text} ({site.nodes} nodes, {site.cpus} CPUs and {site.gpus} GPUs each, {site.time})"


def submit(job: Submission[Slurm], say: Callable[[str], None]) -> int:
    """Write the script and give it to sbatch.

    Raises:
        Unavailable: there is no sbatch, or it refuses; the message says which setting to change.
    """
    where, script = places(job), preview(job)
    if shutil.which("sbatch") is None:
        raise Unavailable("there is no sbatch on this machine; submit from a login node of the SLURM site")
    try:
        write_whole(where.script, script)
    except OSError as error:
        raise Unavailable(f"cannot write {where.script}: {error}; give another --run-dir") from None
    if longest := _longest(job.site):
        raise Unavailable(longest)
    # Many sites take jobs that can never start; asked before, SLURM says so.
    tested = subprocess.run(["sbatch", "--test-only", str(where.script)], capture_output=True, text=True)
    if tested.returncode and (text := refusal(tested.stderr, job.site)):
        raise Unavailable(text)
    done = subprocess.run(["sbatch", "--parsable", str(where.script)], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(refusal(done.stderr, job.site) or f"sbatch refuses the job: {done.stderr.strip()}")
    number = done.stdout.strip().split(";")[0]
    if text := refusal(_reason(number), job.site):
        # It would wait forever.
        subprocess.run(["scancel", number], check=False)
        raise Unavailable(text)
    say(f"job {number}; its script is {where.script}, its log {str(where.log).replace('%j', number)}")
    say(f"follow it with\n  squeue --job {number}\n  latentphase status {shlex.quote(str(where.run))}")
    return 0


REFUSALS: tuple[tuple[str, str, str], ...] = (
    (r"invalid partition", "partition = {site.partition!r}: this site has no such partition", "%R"),
    (r"[Nn]o partition specified", "partition: this site has no default partition, so name one", "%R"),
    (r"[Ii]nvalid account|account/partition", "account = {site.account!r}: not yours to use in this partition", ""),
    (r"[Ii]nvalid qos", "qos = {site.qos!r}: no such quality of service, or not yours to use", ""),
    (r"[Ii]nvalid feature", "constraint = {site.constraint!r}: no node has these features", "%R %f"),
    (r"generic resource|gres|GRES|TRES", "gpus = {site.gpus}: the partition has no such GPUs; set gpus = 0 or take one "
     "that has", "%R %G"),
    (r"[Nn]ode count|PartitionNodeLimit", "nodes = {site.nodes}: more than the partition has or allows", "%R %D"),
    (r"configuration is not available|[Mm]ore processors|CPU count|[Mm]emory specification",
     "nodes = {site.nodes}, cpus = {site.cpus}, gpus = {site.gpus}, memory = {site.memory}: no node of the partition "
     "is so large", "%R %D nodes of %c CPUs, %m MB, GPUs %G"),
    (r"[Tt]ime limit|PartitionTimeLimit", "time = {site.time!r}: longer than the partition allows", "%R %l"),
)  # fmt: skip
"""A pattern in a message of sbatch or in the reason why a job waits; the setting to change; a format of sinfo that
shows what the site has instead."""


def refusal(message: str, site: Slurm) -> str | None:
    """``message`` of SLURM with the setting to change, and what the site has instead; None for unknown messages."""
    said = "; ".join(line.removeprefix("sbatch: ") for line in message.strip().splitlines())
    for pattern, text, form in REFUSALS:
        if re.search(pattern, message):
            hint = f"\n  sinfo knows: {_sinfo(form)}" if form else ""
            return f"cluster.slurm.{text.format(site=site)}{hint}\n  SLURM said: {said}"
    return None


def _longest(site: Slurm) -> str | None:
    """A complaint if no partition that the job may go to allows its time: many sites let such a job wait forever."""
    command = ["sinfo", "--noheader", "--format=%l", *([f"--partition={site.partition}"] if site.partition else [])]
    limits = subprocess.run(command, capture_output=True, text=True).stdout.split()
    # A word such as "infinite" is no limit. sbatch says more of a partition that does not exist.
    if not limits or any(not re.fullmatch(r"[\d:-]+", limit) or hours(limit) >= hours(site.time) for limit in limits):
        return None
    return f"cluster.slurm.time = {site.time!r}: longer than the partition allows\n  sinfo knows: {_sinfo('%R %l')}"


def _reason(number: str) -> str:
    """Why the job waits, in SLURM's word, as soon as the scheduler has looked at it; else "None", or nothing."""
    command = ["squeue", "--noheader", "--format=%r", "--job", number]
    end = time.monotonic() + SCHEDULER_SECONDS
    while True:
        reason = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if reason != "None" or time.monotonic() > end:
            return reason
        time.sleep(0.5)


def _sinfo(form: str) -> str:
    """What sinfo says of every partition."""
    done = subprocess.run(["sinfo", "--noheader", f"--format={form}"], capture_output=True, text=True)
    return ", ".join(dict.fromkeys(line.strip() for line in done.stdout.splitlines())) or "nothing"
