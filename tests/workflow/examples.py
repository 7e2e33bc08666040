"""The complete examples of docs/extending.md, which are tried where a user would put them."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCK = re.compile(r"<!-- (\S+) -->\n```python\n(.*?)```\n", re.DOTALL)


def examples() -> dict[str, str]:
    """Programs by the place of their file."""
    return dict(BLOCK.findall(PAGE.read_text()))


FREE_SPINS = examples()["simulators/systems/free_spins.py"]
"""Independent spins in a field: a whole system."""
SPREAD = examples()["workflow/analyze/parts/spread.py"]
"""How wide latents are spread: a whole analysis."""
