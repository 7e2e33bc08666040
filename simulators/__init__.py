"""Monte Carlo of lattice systems: numpy and numba only.

Systems live in ``simulators.systems``, one module each.  A folder ``simulators/systems`` below any entry of
``PYTHONPATH`` adds its modules to ours.
"""

import sys
from pathlib import Path

# Not pkgutil.extend_path, which passes over a folder that has a file simulators.py beside it.
_folders = (Path(entry, "simulators").absolute() for entry in sys.path)
__path__ = list(dict.fromkeys((*__path__, *(str(folder) for folder in _folders if folder.is_dir()))))
