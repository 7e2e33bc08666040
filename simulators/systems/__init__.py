"""One module per system; every module found on the extended path is a system."""

import sys
from pathlib import Path

_folders = (Path(portion, "systems") for portion in sys.modules["simulators"].__path__)
__path__ = [str(folder) for folder in _folders if folder.is_dir()]
