"""The direction of imports: simulators, models and analysis know nothing of each other, Ray, click or files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = ("simulators", "models", "analysis")
FORBIDDEN = {"ray", "click", "pyarrow", "workflow", "tests", *PURE}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that the file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_none_of_the_others(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not imported(path) & (FORBIDDEN - {package}), path


def test_the_rule_would_notice(tmp_path: Path) -> None:
    """Negative control."""
    path = tmp_path / "sneaky.py"
    path.write_text("def f():\n    from ray import init\n    import models.vae\n")
    assert imported(path) & FORBIDDEN == {"ray", "models"}
