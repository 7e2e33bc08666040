"""The commands about a study before it runs: what it would take, handing it to a cluster, the presets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from workflow.cli.failures import exit_on_failure, leave


@click.command()
@click.argument("study")
@click.option("--workers", type=click.IntRange(min=1), help="CPUs to assume; default: all of this machine.")
def plan(study: str, workers: int | None) -> None:
    """What STUDY would take: tasks, core-hours, disk, memory; touches nothing."""
    with exit_on_failure():
        from workflow.plan.table import plan_table
        from workflow.study.loading import load

        click.echo(plan_table(load(study), workers))


@click.command()
@click.argument("study")
@click.option("--to", "target", type=click.Choice(["ray", "slurm", "kubernetes"]), required=True)
@click.option(
    "--dry-run", is_flag=True, help="Print the script, manifest or request, and what it may cost; do nothing."
)
@click.option(
    "--site", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File of [cluster.*] tables."
)
@click.option("--run-dir", help="Run folder, on a file system that all nodes share.")
@click.option("--address", help="Dashboard of the Ray cluster, such as http://127.0.0.1:8265 (with --to ray).")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Take this seed instead of the study's.")
def submit(study: str, target: Any, dry_run: bool, **options: Any) -> None:
    """Run STUDY on a cluster: a batch job of SLURM, a job of a Ray cluster, a RayJob of Kubernetes."""
    with exit_on_failure():
        from workflow.submit import submission

        code = submission.submit(submission.prepare(study, target, **options), target, dry_run, click.echo)
    sys.exit(code)


@click.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the studies that come with the program, or print the one called NAME."""
    from workflow.study.loading import preset_names, preset_text

    if name is None:
        width = max(map(len, preset_names()))
        for preset in preset_names():
            first = preset_text(preset).splitlines()[0].lstrip("# ")
            click.echo(f"{preset:{width}}  {first}")
    elif name in preset_names():
        click.echo(preset_text(name), nl=False)
    else:
        leave(f"there is no preset {name!r}; there are {', '.join(preset_names())}", 2)
