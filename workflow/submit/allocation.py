"""Inside a batch job: find a free port for Ray, and wait until the nodes of the allocation have joined it.

``python -m workflow.submit.allocation free-port 21234`` and ``... wait --address 10.0.0.1:21234 --nodes 2 --gpus 4``;
the script that ``latentphase submit --to slurm`` writes calls both.
"""

from __future__ import annotations

import logging
import socket
import sys
import time

import click

from workflow.execution import ray_executor

PORTS_TRIED = 200


@click.group()
def main() -> None:
    """Commands of the batch script."""


@main.command("free-port")
@click.argument("first", type=int)
def free_port(first: int) -> None:
    """Print the first free TCP port from FIRST on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            click.echo(port)
            return
    _leave(f"no free port from {first} to {first + PORTS_TRIED - 1} on {socket.gethostname()}")


@main.command()
@click.option("--address", required=True)
@click.option("--nodes", type=int, required=True)
@click.option("--gpus", type=int, required=True, help="Per node.")
@click.option("--seconds", type=float, default=240.0, show_default=True)
def wait(address: str, nodes: int, gpus: int, seconds: float) -> None:
    """Wait until NODES nodes have joined the Ray cluster; go on with fewer, but not without the GPUs asked for."""
    end = time.monotonic() + seconds
    _connect(address, end)
    import ray

    while (joined := sum(node["Alive"] for node in ray.nodes())) < nodes and time.monotonic() < end:
        time.sleep(0.5)
    if joined < nodes:
        click.echo(
            f"latentphase: {joined} of {nodes} nodes have joined within {seconds:.0f} s; going on without the others. "
            "Are ports between the nodes open, and is the interpreter the same on all of them?",
            err=True,
        )
    resources = ray.cluster_resources()
    count = int(resources.get("GPU", 0))
    if gpus and count < gpus * joined:
        _leave(
            f"cluster.slurm.gpus = {gpus}, but Ray finds {count} GPUs on {joined} nodes of this allocation; take a "
            "partition with GPUs (sinfo -o '%R %G' lists them) and a CUDA build of PyTorch, or set gpus = 0"
        )
    click.echo(f"latentphase: Ray on {joined} nodes, {int(resources.get('CPU', 0))} CPUs, {count} GPUs", err=True)


def _connect(address: str, end: float) -> None:
    """Join the cluster; its head may still be starting."""
    host, _, port = address.rpartition(":")
    # Ray itself would try for many minutes.
    while not _answers(host, int(port)):
        if time.monotonic() > end:
            _leave(f"no Ray head answers at {address}; what it said when it started is above")
        time.sleep(1.0)
    import ray

    while True:
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            return
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
            if time.monotonic() > end:
                _leave(f"no Ray head answers at {address}: {error}")
            time.sleep(1.0)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _leave(message: str) -> None:
    click.echo(f"latentphase: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    ray_executor.prepare_environment()
    main()
