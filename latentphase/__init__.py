"""latentphase from Python: what runs have made, opened for reading.

>>> import latentphase as lp
>>> run = lp.open_run("runs/small")
>>> run.manifest.num_rows, run.plan.num_rows
(4, 5)
>>> summary = run.summary.to_pandas()
>>> kl = summary[summary.quantity == "kl_strongest"][["size", "beta_setting", "estimate", "error"]]
>>> spins = lp.load_samples("runs/small/" + run.manifest["path"][0].as_py())
>>> spins.shape  # samples, channels, rows, columns
(128, 1, 4, 4)

``Run`` says what the columns of the tables are, which are those of pyarrow.  ``FolderError`` is raised where there is
no run folder, ``ShardError`` where a file is not a whole shard, ``StorageError`` where an object store refuses or does
not answer.

What a name needs is imported when it is first used: ``import latentphase`` itself takes milliseconds.

``analysis``, ``models``, ``simulators`` and ``workflow`` are ours in a process that has imported this package: modules
of the same names in your folder are not found there any more.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Our own workflow, whatever stands before it on sys.path; its import puts our other packages first.
sys.path.insert(0, str(Path(__file__).parents[1]))
try:
    from workflow import __version__
finally:
    del sys.path[0]

if TYPE_CHECKING:
    from workflow.dataset.shards import ShardError, load_samples
    from workflow.runs import Run, open_run
    from workflow.storage.errors import FolderError, StorageError

__all__ = ["FolderError", "Run", "ShardError", "StorageError", "__version__", "load_samples", "open_run"]

_PLACES = {
    "FolderError": "workflow.storage.errors",
    "Run": "workflow.runs",
    "ShardError": "workflow.dataset.shards",
    "StorageError": "workflow.storage.errors",
    "load_samples": "workflow.dataset.shards",
    "open_run": "workflow.runs",
}
"""Where a name is defined."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
