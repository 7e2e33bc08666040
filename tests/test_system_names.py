"""A physical system says everything about itself in its file: other code, other systems too, neither names nor imports
one."""

import ast
from pathlib import Path

from simulators import contract

ROOT = Path(__file__).parents[1]
PACKAGES = ("simulators", "models", "analysis", "workflow")
PLACES = {
    "workflow/bench": "measures the systems that are shipped",
    "workflow/exchange": "files of programs that simulate the Hubbard model and nothing else",
    "workflow/report/latents.py": "which figures of the paper show the same",
}
"""Where systems may be named, and why."""


def mentions(path: Path, names: set[str]) -> set[str]:
    """Systems that a file names in a string of its own or imports."""
    mentioned: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            mentioned |= {node.value} & names
        elif isinstance(node, ast.ImportFrom) and node.module == "simulators.systems":
            mentioned |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("simulators.systems."):
            mentioned.add(node.module.removeprefix("simulators.systems."))
    return mentioned


def test_no_system_is_named_elsewhere() -> None:
    names = set(contract.names())
    assert {"ising", "blume-capel"} <= names
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    elsewhere = [path for path in files if not str(path.relative_to(ROOT)).startswith(tuple(PLACES))]
    assert {path.name: systems for path in elsewhere if (systems := mentions(path, names))} == {}


def test_every_place_still_needs_its_exception() -> None:
    names = set(contract.names())
    for place in PLACES:
        files = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        assert any(mentions(path, names) for path in files), place


def test_the_rule_would_notice(tmp_path: Path) -> None:
    """Negative control."""
    path = tmp_path / "sneaky.py"
    path.write_text(
        '"""Of the ising model."""\nfrom simulators.systems.xy import Spec\nKNOWN = task.system == "ising"\n'
    )
    assert mentions(path, {"ising", "xy"}) == {"ising", "xy"}
    path.write_text('"""Of the ising model."""\n')
    assert mentions(path, {"ising", "xy"}) == set()
