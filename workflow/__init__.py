"""Orchestration: the study file, its plan, the stages that carry it out, and what a user sees of them.

Importing this package makes ``simulators``, ``models`` and ``analysis`` ours, too: see ``own_packages``.
"""

from pathlib import Path

from workflow.own_packages import put_first

__version__ = "0.1.0"
ROOT = Path(__file__).parents[1]
"""The folder that holds our packages: a checkout, or site-packages."""

put_first(ROOT)
