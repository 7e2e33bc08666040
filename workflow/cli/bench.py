"""The command ``bench``."""

from __future__ import annotations

from pathlib import Path

import click

from workflow.cli.failures import leave


@click.command()
@click.option("--quick", is_flag=True, help="Fewer repetitions and smaller sizes.")
@click.option("--only", "groups", multiple=True, help="Group to run; may be given several times.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="What --only gpu measures; cpu to try it.")
def bench(quick: bool, groups: tuple[str, ...], output: Path | None, device: str | None) -> None:
    """Speed as ratios to work done in the same run, and physics gates; exit 1 naming what failed."""
    from workflow.bench import GROUPS, run_bench

    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        leave(f"--only: there is no group {unknown[0]!r}; there are {', '.join(GROUPS)}", 2)
    if device is not None and groups != ("gpu",):
        leave("--device is for the group gpu alone: add --only gpu", 2)
    failed = run_bench(groups or tuple(GROUPS), quick, output, click.echo, device)
    if failed:
        leave("failed: " + ", ".join(failed), 1)
