"""Exact values are compared with, never put into a result: no simulation and no estimate reads them."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("simulators", "workflow")
"""The others import no simulator (``test_layering.py``)."""
READERS = ("simulators/reference/", "simulators/systems/", "workflow/verify.py", "workflow/report/", "workflow/bench/")
"""Where exact values may be read; the file of a system in ``EXACT_ENERGY`` and ``CRITICAL_TEMPERATURE`` alone."""
ENTRIES = {"EXACT_ENERGY", "CRITICAL_TEMPERATURE"}


def readers(source: str) -> set[str]:
    """Functions that read ``exact_energy`` of a system or the module ``exact``; "" outside of any."""
    tree = ast.parse(source)
    owner = {
        node: function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    return {owner.get(node, "") for node in ast.walk(tree) if _reads(node)}


def _reads(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "exact_energy" or (isinstance(node.value, ast.Name) and node.value.id == "exact")
    return isinstance(node, ast.ImportFrom) and node.module == "simulators.reference.exact"


def test_only_comparisons_read_exact_values() -> None:
    files = {str(path.relative_to(ROOT)): path.read_text() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    reading = {path: functions for path, source in files.items() if (functions := readers(source))}
    assert "workflow/verify.py" in reading
    assert [path for path in reading if not path.startswith(READERS)] == []
    systems = {path: functions for path, functions in reading.items() if path.startswith("simulators/systems/")}
    assert systems
    for path, functions in systems.items():
        assert functions <= ENTRIES, path


def test_the_rule_would_notice() -> None:
    """Negative control."""
    assert readers("def observables(self):\n    return exact.ising(4, 4, 2.0).energy") == {"observables"}
    assert readers("def estimate(task):\n    return system.exact_energy(task.point)") == {"estimate"}
    assert readers("from simulators.reference.exact import ising") == {""}
    assert readers("def observables(self):\n    return self.energy") == set()
