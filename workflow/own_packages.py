"""Our packages come before anything else of the same names: in the folder a user works in, or on ``PYTHONPATH``.

``analysis``, ``models``, ``simulators`` and ``workflow`` are names that users give to files of their own.  Python takes
the first that it finds on ``sys.path``, which begins with the user's folder.  A finder ahead of ``sys.path`` takes
ours, and leaves the order of everything else as it is: to move our folder to the front would put all of site-packages
before what stands on ``PYTHONPATH``.

Importing ``workflow`` installs the finder.  Whoever may find another ``workflow`` first imports ``latentphase``, which
takes ours; a worker of Ray calls what ``importing`` returns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("simulators", "models", "analysis", "workflow", "latentphase")


@dataclass(frozen=True)
class OwnPackages:
    """A finder of ``sys.meta_path`` for ``PACKAGES`` below ``root``; their modules are found as always."""

    root: str

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of one of our packages; None for all other modules."""
        if path is None and name in PACKAGES:
            return PathFinder.find_spec(name, [self.root])
        return None


def put_first(root: Path) -> None:
    """Let ``PACKAGES`` be those in the folder ``root`` from now on, in this process.

    Raises:
        ImportError: a module with the name of one of them is imported already, and is not ours.
    """
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is None:
            continue
        file = getattr(module, "__file__", None)
        if file is None or not Path(file).parents[1].samefile(root):
            place = file or list(getattr(module, "__path__", [])) or "nowhere"
            raise ImportError(
                f"the module {name!r} that is imported already, from {place}, is not the package of latentphase in "
                f"{root}; give yours another name, or use latentphase in another process"
            )
    finder = OwnPackages(str(root))
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def importing(root: Path) -> Callable[[], None]:
    """A function that imports our ``workflow`` from ``root`` in another process, which may find another one first.

    It is nested, so that Ray sends its code: a function of a module is sent by name, and the worker would look for
    that module where it finds the wrong one.
    """
    folder = str(root)

    def import_workflow() -> None:
        import contextlib
        import importlib
        import sys

        # On a node that has it elsewhere, as in another container image, the folder is not there and changes nothing.
        # One that does not have it at all is told so by the first task.
        sys.path.insert(0, folder)
        with contextlib.suppress(ImportError):
            importlib.import_module("workflow")
        sys.path.remove(folder)

    return import_workflow
