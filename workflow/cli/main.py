"""The command line: parse, call one function, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from workflow import __version__
from workflow.cli.exchange import export, import_
from workflow.cli.failures import _failures, _leave
from workflow.execution import ray_executor

if TYPE_CHECKING:
    from workflow.storage.places import Place
    from workflow.storage.run_directory import RunDirectory
    from workflow.study.blocks import Study

MODULES = {
    "simulate": "workflow.simulate.stage",
    "train": "workflow.train.stage",
    "encode": "workflow.encode",
    "analyze": "workflow.analyze.stage",
    "report": "workflow.report.page",
}
STAGES = tuple(MODULES)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="latentphase")
def main() -> None:
    """Which order parameters hide in Monte Carlo data: simulate, train, encode, analyze, report.

    STUDY is a TOML file or the name of a preset (see `latentphase presets`).
    """


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that carries out stages."""
    for option in reversed(
        [
            click.argument("study"),
            click.option("--run-dir", help="Run folder, a path or a URI (s3://...); default runs/<study name>."),
            click.option("--executor", type=click.Choice(["ray", "serial"]), default="ray", show_default=True),
            click.option("--address", help="Address of a Ray cluster; default: a local Ray."),
            click.option("--workers", type=click.IntRange(min=1), help="CPUs to use; default: all."),
            click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
            click.option("--seed", type=click.IntRange(min=0), help="Take this seed instead of the study's."),
            click.option("--fresh", is_flag=True, help="Set an existing run folder aside (renamed) and begin again."),
            click.option("--quiet", is_flag=True, help="Print errors only."),
            click.option("--verbose", is_flag=True, help="Show the workers' logs and full tracebacks."),
        ]
    ):
        function = option(function)
    return function


def _stages(stages: tuple[str, ...], study: str, run_dir: str | None, seed: int | None, **options: Any) -> None:
    if options["fresh"] and "simulate" not in stages:
        _leave("--fresh begins again from the start: give it to run or simulate", 2)
    with _failures(options["verbose"]) as context:
        from workflow.execution.run_folder import opened
        from workflow.storage import places as storage

        loaded = _load(study, seed)
        folder = storage.place(run_dir or f"runs/{loaded.name}")
        command = stages[0] if len(stages) == 1 else "run"
        context["resume"] = _resume_command(command, study, folder, seed, options)
        with opened(loaded, folder, options["fresh"]) as run:
            executor = ray_executor.make(
                options["executor"], options["workers"], options["address"], options["verbose"]
            )
            try:
                from workflow.execution.stage import Execution

                execution = Execution(executor, options["device"], options["quiet"])
                for stage in stages:
                    getattr(__import__("importlib").import_module(MODULES[stage]), stage)(loaded, run, execution)
            finally:
                executor.close()
        if not options["quiet"]:
            _closing(run, stages)


def _closing(run: RunDirectory, stages: tuple[str, ...]) -> None:
    """The verdict and where the page is, or what a single stage left behind."""
    shown = _relative(run.root)
    if "report" in stages:
        from workflow.verdict.judging import verdict_text

        click.echo(verdict_text(json.loads(run.verdict.read_text())))
        click.echo(f"report: {_relative(run.page)}")
    else:
        click.echo(f"{', '.join(stages)} done in {shown}")


def _relative(place: Place) -> Place | PurePath:
    """A local path as seen from here."""
    if isinstance(place, Path) and place.is_relative_to(Path.cwd()):
        return place.relative_to(Path.cwd())
    return place


def _resume_command(command: str, study: str, folder: Place, seed: int | None, options: dict[str, Any]) -> str:
    """The same command, but never again --fresh."""
    parts = ["latentphase", command, study, "--run-dir", str(folder)]
    given = {"seed": seed, "executor": options["executor"], "device": options["device"]}
    given |= {name: options[name] for name in ("address", "workers")}
    for name, value in given.items():
        if value not in (None, "ray", "auto"):
            parts += [f"--{name}", str(value)]
    return shlex.join(parts)


def _load(study: str, seed: int | None = None) -> Study:
    from workflow.study.loading import load

    return load(study, seed)


@main.command()
@_options
def run(study: str, **options: Any) -> None:
    """Every stage of STUDY; running it again resumes: finished work is never done twice."""
    _stages(STAGES, study, **options)


@main.command()
@_options
def simulate(study: str, **options: Any) -> None:
    """Monte Carlo: one certified Parquet shard per parameter point."""
    _stages(("simulate",), study, **options)


@main.command()
@_options
def train(study: str, **options: Any) -> None:
    """Train the models of STUDY on its shards."""
    _stages(("train",), study, **options)


@main.command()
@_options
def encode(study: str, **options: Any) -> None:
    """Latents of every sample under every trained model."""
    _stages(("encode",), study, **options)


@main.command()
@_options
def analyze(study: str, **options: Any) -> None:
    """Correlations, distances, separation and sizes, with errors."""
    _stages(("analyze",), study, **options)


@main.command()
@_options
def report(study: str, **options: Any) -> None:
    """One self-contained page: verdict, figures, certificates, costs."""
    _stages(("report",), study, **options)


@main.command()
@click.argument("study")
@click.option("--workers", type=click.IntRange(min=1), help="CPUs to assume; default: all of this machine.")
def plan(study: str, workers: int | None) -> None:
    """What STUDY would take: tasks, core-hours, disk, memory; touches nothing."""
    with _failures(verbose=False):
        from workflow.plan.table import plan_table

        click.echo(plan_table(_load(study), workers))


@main.command()
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
    with _failures(verbose=False):
        from workflow.submit.submission import prepare
        from workflow.submit.submission import submit as hand_over

        code = hand_over(prepare(study, target, **options), target, dry_run, click.echo)
    sys.exit(code)


@main.command()
@click.argument("run_dir")
def status(run_dir: str) -> None:
    """How far a run is: a line per stage. RUN_DIR is a path or a URI."""
    with _failures(verbose=False):
        from workflow.status import status_table
        from workflow.storage import places as storage

        click.echo(status_table(storage.place(run_dir)))


@main.command()
@click.argument("run_dir")
@click.option("--rebuild-manifest", is_flag=True, help="Write the manifest anew from the shard files first.")
def verify(run_dir: str, rebuild_manifest: bool) -> None:
    """Check a run folder: checksums, schema, certificates, exact energies; exit 1 on any failure.

    RUN_DIR is a path or a URI; all of its shards are read.
    """
    with _failures(verbose=False):
        from workflow.storage import places as storage
        from workflow.verify import verify_run

        findings = verify_run(storage.place(run_dir), rebuild_manifest)
        click.echo("\n".join(findings.lines))
        if findings.failed:
            sys.exit(1)


@main.command()
@click.argument("source")
@click.argument("target")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def sync(source: str, target: str, quiet: bool) -> None:
    """Copy a run folder between paths and URIs, checked by checksums; resumes, and deletes nothing."""
    with _failures(verbose=False) as context:
        from workflow.storage import places as storage
        from workflow.sync import sync as copy

        context["resume"] = shlex.join(["latentphase", "sync", source, target])
        found = copy(storage.place(source), storage.place(target), (lambda _: None) if quiet else click.echo)
        if not quiet:
            click.echo(
                f"{found.copied} files copied, {found.replaced} of them in place of another version; "
                f"{found.same} were there already"
            )


main.add_command(export)
main.add_command(import_)


@main.command()
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
        _leave(f"there is no preset {name!r}; there are {', '.join(preset_names())}", 2)


@main.command()
@click.option("--quick", is_flag=True, help="Fewer repetitions and smaller sizes.")
@click.option("--only", "groups", multiple=True, help="Group to run; may be given several times.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="What --only gpu measures; cpu to try it.")
def bench(quick: bool, groups: tuple[str, ...], output: Path | None, device: str | None) -> None:
    """Speed as ratios to work done in the same run, and physics gates; exit 1 naming what failed."""
    from workflow.bench import GROUPS, run_bench

    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        _leave(f"--only: there is no group {unknown[0]!r}; there are {', '.join(GROUPS)}", 2)
    if device is not None and groups != ("gpu",):
        _leave("--device is for the group gpu alone: add --only gpu", 2)
    failed = run_bench(groups or tuple(GROUPS), quick, output, click.echo, device)
    if failed:
        _leave("failed: " + ", ".join(failed), 1)
