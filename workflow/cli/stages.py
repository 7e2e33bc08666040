"""The commands that carry out stages: ``run`` and one for each stage."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from workflow.cli.failures import exit_on_failure, leave

if TYPE_CHECKING:
    from workflow.execution.executors import Executor
    from workflow.execution.stage import Stage
    from workflow.storage.places import Place
    from workflow.storage.run_directory import RunDirectory


def _simulate() -> Stage:
    """Monte Carlo: one certified Parquet shard per parameter point."""
    from workflow.simulate.stage import simulate

    return simulate


def _train() -> Stage:
    """Train the models of STUDY on its shards."""
    from workflow.train.stage import train

    return train


def _encode() -> Stage:
    """Latents of every sample under every trained model."""
    from workflow.encode import encode

    return encode


def _analyze() -> Stage:
    """Correlations, distances, separation and sizes, with errors."""
    from workflow.analyze.stage import analyze

    return analyze


def _report() -> Stage:
    """One self-contained page: verdict, figures, certificates, costs."""
    from workflow.report.page import report

    return report


STAGES: dict[str, Callable[[], Stage]] = {
    "simulate": _simulate,
    "train": _train,
    "encode": _encode,
    "analyze": _analyze,
    "report": _report,
}
"""How the function of each stage is imported, in their order; what it says of itself is the help of the command."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What these commands are told."""

    study: str
    run_dir: str | None
    executor: str
    address: str | None
    workers: int | None
    device: str
    seed: int | None
    fresh: bool
    quiet: bool
    verbose: bool


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """Declare ``Options``."""
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


@click.command()
@_options
def run(**options: Any) -> None:
    """Every stage of STUDY; running it again resumes: finished work is never done twice."""
    _carry_out("run", tuple(STAGES), Options(**options))


def _stage_command(name: str, load: Callable[[], Stage]) -> click.Command:
    @click.command(name, help=load.__doc__)
    @_options
    def command(**options: Any) -> None:
        _carry_out(name, (name,), Options(**options))

    return command


STAGE_COMMANDS = tuple(_stage_command(name, load) for name, load in STAGES.items())


def _carry_out(command: str, stages: tuple[str, ...], options: Options) -> None:
    if options.fresh and "simulate" not in stages:
        leave("--fresh begins again from the start: give it to run or simulate", 2)
    with exit_on_failure(options.verbose) as context:
        from workflow.execution.run_folder import opened
        from workflow.execution.stage import Execution
        from workflow.storage import places
        from workflow.study.loading import load

        study = load(options.study, options.seed)
        folder = places.place(options.run_dir or f"runs/{study.name}")
        context["resume"] = _resume_command(command, folder, options)
        with opened(study, folder, options.fresh) as run:
            executor = _executor(options)
            try:
                for stage in stages:
                    STAGES[stage]()(study, run, Execution(executor, options.device, options.quiet))
            finally:
                executor.close()
        if not options.quiet:
            _print_closing(run, stages)


def _executor(options: Options) -> Executor:
    """The executor of the name that is asked for."""
    if options.executor == "serial":
        from workflow.execution.executors import SerialExecutor

        return SerialExecutor()
    from workflow.execution.ray_executor import RayExecutor

    return RayExecutor(options.workers, options.address, options.verbose)


def _print_closing(run: RunDirectory, stages: tuple[str, ...]) -> None:
    """The verdict and where the page is, or what a single stage left behind."""
    if "report" in stages:
        from workflow.verdict.judging import read_verdicts, verdict_text

        click.echo(verdict_text(read_verdicts(run.verdict)))
        click.echo(f"report: {_relative(run.page)}")
    else:
        click.echo(f"{', '.join(stages)} done in {_relative(run.root)}")


def _relative(place: Place) -> Place | PurePath:
    """A local path as seen from here."""
    if isinstance(place, Path) and place.is_relative_to(Path.cwd()):
        return place.relative_to(Path.cwd())
    return place


def _resume_command(command: str, folder: Place, options: Options) -> str:
    """The same command, but never again --fresh."""
    parts = ["latentphase", command, options.study, "--run-dir", str(folder)]
    for name in ("seed", "executor", "device", "address", "workers"):
        value = getattr(options, name)
        if value not in (None, "ray", "auto"):
            parts += [f"--{name}", str(value)]
    return shlex.join(parts)
