"""A system that only exists in a temporary folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples import FREE_SPINS

import simulators.systems


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of systems outside the checkout; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "simulators" / "systems"
    folder.mkdir(parents=True)
    (folder / "free_spins.py").write_text(FREE_SPINS)
    monkeypatch.setattr(simulators.systems, "__path__", [*simulators.systems.__path__, str(folder)])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("simulators.systems."):
            del sys.modules[name]
            vars(simulators.systems).pop(name.rpartition(".")[2], None)
