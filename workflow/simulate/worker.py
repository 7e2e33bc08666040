"""One task of the simulate stage: samples drawn, saved on the way, and written as shards."""

from __future__ import annotations

import io
import time
import zipfile
from functools import partial

import numpy as np

from simulators import contract
from simulators.sampling.order import Order
from simulators.sampling.sampler import Sampler
from simulators.sampling.samples import PointSamples
from workflow import terminal
from workflow.dataset import codec, shards
from workflow.dataset.origins import SimulationTask
from workflow.dataset.records import ShardRecord
from workflow.execution.interruption import held
from workflow.plan.tasks import SimulationJob
from workflow.storage.places import Place, StorageError
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole

SAVE_SECONDS = 60.0
"""How much of a simulation is lost at most when its worker dies, beside its start."""


def sampler(job: SimulationJob) -> Sampler:
    """What simulates ``job``; its configurations come encoded for the shards."""
    first = job.tasks[0]
    system = contract.load(first.system)
    order = Order(
        chains=first.chains,
        samples=first.samples,
        algorithm=first.algorithm,
        thermalization=first.thermalization,
        spacing=first.spacing,
        measure=first.measure,
    )
    encode = partial(codec.encode, encoding=system.encoding)
    return Sampler(system, [task.point for task in job.tasks], order, job.generator(), encode)


def draw(task: SimulationTask) -> PointSamples:
    """The samples of a task that runs alone."""
    return run_sampler(sampler(SimulationJob((task,))), None)[0]


def run_sampler(work: Sampler, saved: Place | None, save_seconds: float = SAVE_SECONDS) -> list[PointSamples]:
    """Run ``work`` to its end, from ``saved`` if that is there, and save it there every minute and when interrupted.

    The clock decides when to save and nothing else, so the samples do not depend on it.
    """
    if saved is not None:
        _resume(work, saved)
    last = time.monotonic()
    with held() as signals:
        while not work.done and not signals:
            work.step()
            if saved is not None and (signals or time.monotonic() - last > save_seconds):
                _save(work, saved)
                last = time.monotonic()
    return work.result()


def _resume(work: Sampler, saved: Place) -> None:
    try:
        with np.load(io.BytesIO(saved.read_bytes()), allow_pickle=False) as content:
            state = dict(content)
    except FileNotFoundError:
        return
    except StorageError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # It would have saved time only.
        terminal.say(f"  {saved} is damaged ({error}); the simulation begins again")
        return
    work.restore(state)


def _save(work: Sampler, saved: Place) -> None:
    state = work.state()
    if state:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **state)
        write_whole(saved, buffer.getvalue())


def run_job(job: SimulationJob, root: str) -> list[ShardRecord]:
    """Simulate one job and write its shards below the run folder ``root``; only the records return."""
    start = time.monotonic()
    run = RunDirectory.at(root)
    unfinished = run.unfinished(job.job_id)
    files = []
    for task, samples in zip(job.tasks, run_sampler(sampler(job), unfinished), strict=True):
        path = run.shard(task)
        files.append((task, path, *shards.write(task, samples, path)))
    unfinished.unlink(missing_ok=True)
    seconds = round((time.monotonic() - start) / len(job.tasks), 4)
    return [
        ShardRecord(
            task_id=task.task_id,
            path=path.relative_to(run.root).as_posix(),
            rows=rows,
            bytes=size,
            sha256=sha256,
            seconds=seconds,
            node=shards.node_name(),
        )
        for task, path, rows, size, sha256 in files
    ]
