"""The files that machines need that have no latentphase of their own, or another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from workflow import ROOT
from workflow.own_packages import PACKAGES


def copy_packages(folder: Path) -> None:
    """Copy our packages into the empty ``folder``, and with them the systems that the user has on ``PYTHONPATH``."""
    import simulators.systems

    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    systems = folder / "simulators" / "systems"
    for portion in map(Path, simulators.systems.__path__):
        # The first file of a name is the system, as for an import; ours come first.
        for file in sorted(portion.glob("*.py")):
            if not (systems / file.name).exists():
                shutil.copyfile(file, systems / file.name)
