"""The commands about a run folder: how far it is, whether it holds what it says, copying it."""

from __future__ import annotations

import shlex
import sys

import click

from workflow.cli.failures import exit_on_failure


@click.command()
@click.argument("run_dir")
def status(run_dir: str) -> None:
    """How far a run is: a line per stage. RUN_DIR is a path or a URI."""
    with exit_on_failure():
        from workflow.status import status_table
        from workflow.storage import places

        click.echo(status_table(places.place(run_dir)))


@click.command()
@click.argument("run_dir")
@click.option("--rebuild-manifest", is_flag=True, help="Write the manifest anew from the shard files first.")
def verify(run_dir: str, rebuild_manifest: bool) -> None:
    """Check a run folder: checksums, schema, certificates, exact energies; exit 1 on any failure.

    RUN_DIR is a path or a URI; all of its shards are read.
    """
    with exit_on_failure():
        from workflow.storage import places
        from workflow.verify import verify_run

        findings = verify_run(places.place(run_dir), rebuild_manifest)
        click.echo("\n".join(findings.lines))
        if findings.failed:
            sys.exit(1)


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def sync(source: str, target: str, quiet: bool) -> None:
    """Copy a run folder between paths and URIs, checked by checksums; resumes, and deletes nothing."""
    with exit_on_failure() as context:
        from workflow.storage import places
        from workflow.sync import sync as copy

        context["resume"] = shlex.join(["latentphase", "sync", source, target])
        count = copy(places.place(source), places.place(target), (lambda _: None) if quiet else click.echo)
        if not quiet:
            click.echo(
                f"{count.copied} files copied, {count.replaced} of them in place of another version; "
                f"{count.same} were there already"
            )
