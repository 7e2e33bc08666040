"""Chaos: a small study is run many times while its processes are killed, and must end as if nothing had been.

    python -m tests.chaos --seed 1 --runs 20 --kills 50

Linux only.  Half of the runs have a Ray of their own, half join one of two nodes.
"""

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.kills import STAGES, VICTIMS
from tests.chaos.runs import Chaos, Outcome


def table(outcomes: list[Outcome]) -> str:
    """Hits by stage and victim."""
    hits = [hit for outcome in outcomes for hit in outcome.hits]
    lines = [f"{'':10}" + "".join(f"{victim:>8}" for victim in (*VICTIMS, "all"))]
    for stage in (*STAGES, "all"):
        mine = [hit for hit in hits if stage in (hit.stage, "all")]
        counts = [sum(victim in (hit.victim, "all") for hit in mine) for victim in (*VICTIMS, "all")]
        lines.append(f"{stage:10}" + "".join(f"{count:8}" for count in counts))
    return "\n".join(lines)


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of what is killed and when.")
@click.option("--runs", default=20, show_default=True, type=click.IntRange(min=1), help="At least so many runs.")
@click.option("--kills", default=50, show_default=True, type=click.IntRange(min=0), help="At least so many hits.")
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the result there.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Work there, and leave all there.")
def main(seed: int, runs: int, kills: int, output: Path | None, folder: Path | None) -> None:
    """Kill workers, drivers and nodes of many runs of one study; exit 1 if any ends otherwise than without."""
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    work = folder or Path(tempfile.mkdtemp(prefix="chaos."))
    work.mkdir(parents=True, exist_ok=True)
    with Chaos(work.resolve(), seed, click.echo) as chaos:
        outcomes = chaos.all(runs, kills)
    bad = [outcome for outcome in outcomes if outcome.complaints]
    click.echo(table(outcomes))
    click.echo(f"{len(outcomes)} runs, {len(bad)} of them not as the undisturbed one; seed {seed}")
    if output is not None:
        output.write_text(
            json.dumps({"seed": seed, "runs": [outcome.shown() for outcome in outcomes]}, indent=1) + "\n"
        )
    if folder is None and not bad:
        shutil.rmtree(work)
    if bad:
        click.echo(f"their folders and logs are in {work}")
        sys.exit(1)


main()
