"""The commands ``import`` and ``export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from workflow.cli.failures import exit_on_failure

LAYOUTS = ("alf", "smoqydqmc", "plain")
FORMATS = ("npy", "npz", "hdf5", "arrow")
POINT = (
    ("size", int, "L of the lattice of L x L sites."),
    ("temperature", float, "T = 1 / beta."),
    ("interaction", float, "U."),
    ("chemical-potential", float, "mu; 0, the default, is half filling."),
    ("trotter-step", float, "dtau; default 0.1."),
    ("hopping", float, "t; default 1."),
    ("channel", str, "What the field couples to: spin (default) or charge."),
    ("twist-x", float, "Phase around the lattice along a row, over 2 pi; default 0."),
    ("twist-y", float, "The same along a column."),
)
"""Fields of the Hubbard model's parameter point."""


def _point_options(function: Callable[..., None]) -> Callable[..., None]:
    for name, kind, text in reversed(POINT):
        function = click.option(f"--{name}", type=kind, help=text)(function)
    return function


@click.command("import")
@click.argument("layout", type=click.Choice(LAYOUTS))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder to make; or an empty one.")
@click.option("--point", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file of the point.")
@_point_options
@click.option("--dataset", help="Where in the files the fields are, if not where the layout says.")
@click.option("--pieces", is_flag=True, help="Let consecutive pieces of the samples stand for chains.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def import_(
    layout: str,
    paths: tuple[Path, ...],
    output: Path,
    point: Path | None,
    dataset: str | None,
    pieces: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Auxiliary fields of the Hubbard model from other programs, as a folder for a [[data]] block.

    PATHS are files, or folders to search, all of one parameter point; docs/import.md has the layouts. What the files do
    not state of the point is given by options, or by a TOML file with the same names (chemical_potential).
    """
    with exit_on_failure():
        from workflow.exchange.importing import import_fields

        values = _point_values(point, {name: value for name, value in options.items() if value is not None})
        folder = import_fields(layout, paths, output, values, dataset, pieces, quiet)
        if not quiet:
            spec = folder.spec
            click.echo(
                f"{folder.samples} fields of {folder.chains} chains, "
                f"{spec.slices} slices of {spec.size} x {spec.size}, "
                f"T = {spec.temperature:.6g}, U = {spec.interaction:g}, {spec.channel} channel: "
                f"mean sign {folder.sign:.4g}, mean |staggered field| {folder.order:.4g}\n{folder.path}"
            )


def _point_values(point: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """The point of a TOML file and of options, which may not say the same thing twice."""
    import tomllib

    from workflow.exchange.fields import LayoutError

    if point is None:
        return options
    try:
        content = tomllib.loads(point.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LayoutError(f"{point} is no TOML file: {error}") from None
    entries = [name.replace("-", "_") for name, _, _ in POINT]
    unknown = [name for name in content if name not in entries]
    if unknown:
        raise LayoutError(f"{point}: {unknown[0]}: unknown key; there are {', '.join(entries)}")
    repeated = [name for name in content if name in options]
    if repeated:
        name = repeated[0]
        raise LayoutError(f"{name} is given twice: {content[name]} in {point}, {options[name]} by option")
    return {**content, **options}


@click.command()
@click.argument("run_dir")
@click.option("--format", "kind", required=True, type=click.Choice(FORMATS))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder to make; or an empty one.")
@click.option("--system", help="Only shards of this system or [[data]] block.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def export(run_dir: str, kind: str, output: Path, system: str | None, quiet: bool) -> None:
    """The shards of RUN_DIR as arrays for other programs: OUTPUT/<system>/L=<L>/<task_id>.

    npz and hdf5 are the plain layout of docs/import.md, which `import` reads; npy is a folder of arrays per shard;
    arrow is the shard's own table.  RUN_DIR is a path or a URI.
    """
    with exit_on_failure():
        from workflow.exchange.exporting import export_run
        from workflow.storage import places

        count = export_run(places.place(run_dir), kind, output, system, quiet)
        if not quiet:
            click.echo(f"{count} shards as {kind} in {output}")
