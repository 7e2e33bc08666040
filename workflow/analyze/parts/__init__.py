"""One file per analysis of a trained model; every module found here is one, unless it begins with an underscore.

A folder ``workflow/analyze/parts`` below any entry of ``PYTHONPATH`` adds its modules to ours.
"""

import sys
from pathlib import Path

_folders = (Path(entry, *__name__.split(".")).absolute() for entry in sys.path)
__path__ = list(dict.fromkeys((*__path__, *(str(folder) for folder in _folders if folder.is_dir()))))
