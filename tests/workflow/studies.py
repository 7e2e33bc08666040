"""Small studies that several tests use."""

from copy import deepcopy
from typing import Any

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 3,
    "simulate": [
        {
            "system": "ising",
            "size": [4, 8],
            "coupling": [1.0, -1.0],
            "temperature": [1.2, 4.5],
            "samples": 256,
        }
    ],
    "train": [{"name": "phases", "beta": ["auto", "1.1 lam"], "seed": [0, 1], "epochs": 4}],
}
"""Three phases at two sizes; trains four models per size in a second or two."""


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """``TINY`` with one entry replaced, or removed if ``to`` is None."""
    study = deepcopy(TINY)
    place: Any = study
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return study
