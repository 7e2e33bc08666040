"""Ray Train around ``train_worker``: where there is room, one fit for all lanes, restarts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from workflow.execution.executors import Unavailable
from workflow.execution.failures import note_failure
from workflow.execution.interruption import GRACE_SECONDS
from workflow.execution.ray_executor import RayExecutor
from workflow.storage.places import ObjectPath, Place, remove_tree
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.train.worker import Job

GROUP_RESTARTS = 5
"""How often a group of training workers is started again after one of them died."""


class Room(NamedTuple):
    """What a cluster offers to training."""

    device: str
    slots: int
    """Workers that can run at once: GPUs, or CPUs."""
    cores: int
    """CPUs to share out as threads; 0 where workers are on several nodes, or on GPUs."""


def find_room(device: str, executor: RayExecutor, workers: int) -> Room:
    """The device to train on, and room for how many workers, on the nodes meant for training.

    Raises:
        Unavailable: there is no such device, or fewer slots than the ``workers`` of one training; but not on a
            cluster with node groups, which starts nodes when they are asked for.
    """
    executor.start()
    nodes = executor.nodes("training")
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    grows = executor.placement("training") is not None
    if device == "cuda" and not gpus and not grows:
        raise Unavailable("--device cuda: this Ray cluster has no GPU; take --device cpu or auto")
    if device == "cuda" or (device == "auto" and gpus):
        room = Room("cuda", gpus, 0)
    else:
        cpus = int(sum(node.get("CPU", 0) for node in nodes))
        cpus = min(cpus, executor.workers) if executor.local else cpus
        room = Room("cpu", cpus, cpus if len(nodes) == 1 else 0)
    if room.slots < workers and not grows:
        raise Unavailable(f"train.workers = {workers}: there is room for {room.slots} ({room.device}) on this cluster")
    return room._replace(slots=max(room.slots, workers))


def fit(job: Job, executor: RayExecutor, workers: int) -> None:
    """Train the lanes of ``job`` in one group of Ray Train, each in ``workers`` workers.

    Ray Train replaces workers that died, but not its own controller, which is a process beside the driver: a group
    that has lost it ends, and another one goes on from the checkpoints.  What the lost one had reserved is given free
    by a monitor of Ray Train's that asks the dashboard; our own Ray has none, and is started anew.
    """
    from ray.exceptions import RayActorError
    from ray.train import TrainingFailedError

    try:
        for restarts_left in reversed(range(GROUP_RESTARTS + 1)):
            try:
                _fit_group(job, executor, workers)
                return
            except RayActorError:
                if not restarts_left:
                    raise
                if executor.local:
                    executor.close()
                    executor.start()
    except (TrainingFailedError, RayActorError) as error:
        for model in (model for lane in job.lanes for stack in lane for model in stack):
            folder = RunDirectory.at(job.root)
            if not folder.training(model.train_id).result.exists():
                note_failure(folder, model.train_id, f"{model}\n\n{error}")
    finally:
        remove_tree(RunDirectory.at(job.root).ray_state)


def _fit_group(job: Job, executor: RayExecutor, workers: int) -> None:
    """One group, which Ray Train restarts as a whole when a worker dies.

    Raises:
        TrainingFailedError: it has been restarted too often.
        RayActorError: its controller died.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    # Our own checkpoints resume a training; Ray's state is only needed while it runs, under a name never used before
    # (a name used again would silently continue the old run).
    state = RunDirectory.at(job.root).ray_state
    name = uuid.uuid4().hex
    stop = state / f"{name}.stop"
    resources: dict[str, float] = {"CPU": job.threads}
    if job.device == "cuda":
        resources["GPU"] = 1
    # Who joined a cluster may lose nodes of it: the group then goes on with those that are left, at least those of one
    # training, and is as large as before when there is room again.
    most = len(job.lanes) * workers
    scaling: dict[str, Any] = {
        "num_workers": most if executor.local else (workers, most),
        "use_gpu": job.device == "cuda",
        "resources_per_worker": resources,
    }
    if (labels := executor.placement("training")) is not None:
        scaling["label_selector"] = labels
    trainer = TorchTrainer(
        ray_train_loop,
        train_loop_config={"job": replace(job, stop=str(stop)), "workers": workers},
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name=name,
            **_storage(state),
            failure_config=FailureConfig(max_failures=GROUP_RESTARTS),
        ),
    )
    _in_thread(trainer.fit, stop)


def _storage(state: Place) -> dict[str, Any]:
    """Where Ray Train keeps its state."""
    if isinstance(state, ObjectPath):
        return {"storage_path": state.key, "storage_filesystem": state.store.filesystem}
    return {"storage_path": str(state)}


def _in_thread(work: Callable[[], object], stop: Place) -> None:
    """Do ``work`` in another thread: in the main one Ray Train takes Ctrl-C for itself and leaves with its own code.

    On Ctrl-C or SIGTERM the file ``stop`` asks the workers to save what they have.
    """
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    # Not Thread.join: a signal that interrupts it makes Python 3.11 take the thread for dead.
    ended = threading.Event()
    threading.Thread(target=attempt, daemon=True).start()
    try:
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        write_whole(stop, b"")
        ended.wait(GRACE_SECONDS)
        raise
    if failures:
        raise failures[0]


def ray_train_loop(config: dict[str, Any]) -> None:
    """What Ray Train runs in each worker of the group (torch.distributed is set up by Ray)."""
    import ray.train
    import torch.distributed as dist

    from models.compute.group import TorchGroup
    from workflow.train.lanes import lanes
    from workflow.train.worker import train_lane

    job, workers = config["job"], config["workers"]
    context = ray.train.get_context()
    rank, count = context.get_world_rank(), min(len(job.lanes), context.get_world_size() // workers)
    if count < len(job.lanes):
        models = [model for lane in job.lanes for stack in lane for model in stack]
        job = replace(job, lanes=lanes(models, count))
    group = None
    if workers > 1:
        # Every worker has to take part in making every group.
        ranks = [list(range(lane * workers, (lane + 1) * workers)) for lane in range(count)]
        groups = [dist.new_group(members) for members in ranks]
        group = TorchGroup(groups[rank // workers]) if rank < count * workers else None
    if rank < count * workers:
        train_lane(job, rank // workers, group)
