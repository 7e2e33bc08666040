"""The files that machines need that have no latentphase of their own, or another one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from workflow import ROOT
from workflow.own_packages import PACKAGES

OPEN = ("simulators/systems", "workflow/analyze/parts")
"""Folders to which users add files of their own, below any entry of ``PYTHONPATH``: systems and analyses."""


def copy_packages(folder: Path) -> None:
    """Copy our packages into the empty ``folder``, and with them what the user adds to them on ``PYTHONPATH``."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for place in OPEN:
        for portion in (Path(entry, place) for entry in sys.path):
            # The first file of a name is the one that is imported; ours come first.
            for file in sorted(portion.glob("*.py")):
                if not (folder / place / file.name).exists():
                    shutil.copyfile(file, folder / place / file.name)
