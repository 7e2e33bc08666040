"""The command line: parse, call one function, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import click

from workflow import __version__
from workflow.cli.bench import bench
from workflow.cli.exchange import export, import_
from workflow.cli.folders import status, sync, verify
from workflow.cli.stages import STAGE_COMMANDS, run
from workflow.cli.studies import plan, presets, submit


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="latentphase")
def main() -> None:
    """Which order parameters hide in Monte Carlo data: simulate, train, encode, analyze, report.

    STUDY is a TOML file or the name of a preset (see `latentphase presets`).
    """


for command in (run, *STAGE_COMMANDS, plan, submit, presets, status, verify, sync, export, import_, bench):
    main.add_command(command)
