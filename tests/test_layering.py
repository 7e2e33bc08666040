"""The direction of imports: simulators, models and analysis know nothing of each other, Ray, click or files, and within
each package a folder imports only what stands below it. Imports inside functions and for type checkers count like any.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = ("simulators", "models", "analysis")
FACE = "latentphase"
FORBIDDEN = {"ray", "click", "pyarrow", "workflow", "tests", FACE, *PURE}
ORDER: dict[str, tuple[tuple[str, ...], ...]] = {
    "workflow": (
        ("__main__",),
        ("cli",),
        ("report",),
        ("bench",),
        ("analyze",),
        ("verdict",),
        ("runs",),
        ("encode", "status", "sync", "verify"),
        ("train",),
        ("simulate",),
        ("submit",),
        ("exchange",),
        ("execution",),
        ("plan",),
        ("study",),
        ("sources",),
        ("dataset",),
        ("storage",),
        ("terminal",),
        ("__init__",),
        ("own_packages",),
    ),
    "simulators": (
        ("sampling",),
        ("systems",),
        ("continuous", "fermions"),
        ("clusters", "discrete", "reference"),
        ("contract",),
        ("chains",),
        ("rng",),
    ),
    "models": (
        ("training",),
        ("inference", "latent_space"),
        ("vae",),
        ("networks",),
        ("data", "likelihoods"),
        ("compute",),
        ("config",),
    ),
    "analysis": (
        ("decoder", "figures"),
        ("encodings", "latent_space", "scans"),
        ("phases",),
        ("orders",),
        ("errors",),
    ),
}
"""Folders of each package and files directly in it, top to bottom; those of one line do not import each other."""
NAMESPACES = {"simulators.systems"}
"""Packages that are searched for files by name: to import one of them imports none of its files."""


def imported(path: Path) -> set[str]:
    """Dotted names of everything that the file imports, also inside functions: modules, and what is in them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0, f"{path}: relative imports are not followed"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def file_graph(root: Path, packages: Iterable[str]) -> dict[str, set[str]]:
    """Every module of ``packages``, with those of them that it imports."""
    files: dict[str, Path] = {}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    # What is no module is something in one: a class, a function.
    graph = {
        module: {name if name in files else name.rpartition(".")[0] for name in imported(path)} & files.keys()
        for module, path in files.items()
    }
    return {module: names - (NAMESPACES - {module}) for module, names in graph.items()}


def room(module: str) -> str:
    """The folder that a module is in, or the module itself if it is directly in its package."""
    return ".".join(module.split(".")[:2])


def room_graph(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between rooms."""
    rooms: dict[str, set[str]] = {room(module): set() for module in graph}
    for module, names in graph.items():
        rooms[room(module)] |= {room(name) for name in names} - {room(module)}
    return rooms


def circle(graph: Mapping[str, set[str]]) -> str | None:
    """A circle of imports, in words; None if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])
    return None


def rooms_name(package: str, name: str) -> str:
    """The room that ``ORDER`` calls ``name``; ``__init__`` is the package itself."""
    return f"{package}.{name}".removesuffix(".__init__")


def upward(graph: Mapping[str, set[str]], package: str, order: Sequence[Sequence[str]]) -> list[str]:
    """The imports within ``package`` that do not go down, in words."""
    # The package itself stands below all that ``order`` does not say otherwise of.
    level = {package: len(order)} | {rooms_name(package, name): line for line, row in enumerate(order) for name in row}
    return [
        f"{module} imports {name}"
        for module, names in sorted(graph.items())
        for name in sorted(names)
        if room(module) in level and room(name) in level
        if room(module) != room(name) and level[room(module)] >= level[room(name)]
    ]


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_none_of_the_others(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not {name.partition(".")[0] for name in imported(path)} & (FORBIDDEN - {package}), path


@pytest.mark.parametrize("package", ORDER)
def test_a_folder_imports_only_what_stands_below_it(package: str) -> None:
    graph = file_graph(ROOT, [package])
    listed = {package} | {rooms_name(package, name) for row in ORDER[package] for name in row}
    assert listed == {room(module) for module in graph}, "ORDER holds every folder and every file beside them"
    assert upward(graph, package, ORDER[package]) == []


def test_the_face_imports_workflow_alone_and_nobody_imports_it() -> None:
    names = {path: {name.partition(".")[0] for name in imported(path)} for path in sorted((ROOT / FACE).rglob("*.py"))}
    assert names and not set().union(*names.values()) & (FORBIDDEN - {"workflow"})
    for path in sorted((ROOT / "workflow").rglob("*.py")):
        assert not {name for name in imported(path) if name.partition(".")[0] == FACE}, path


def test_no_imports_run_in_circles() -> None:
    graph = file_graph(ROOT, ORDER)
    assert circle(graph) is None
    assert circle(room_graph(graph)) is None


def test_namespaces_hold_nothing() -> None:
    graph = file_graph(ROOT, PURE)
    assert not set().union(*(graph[name] for name in NAMESPACES))


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_rule_would_notice(tmp_path: Path) -> None:
    """Negative control."""
    path = tmp_path / "sneaky.py"
    path.write_text("def f():\n    from ray import init\n    import models.vae\n")
    assert imported(path) == {"ray.init", "models.vae"}


def test_an_import_upwards_would_be_noticed(tmp_path: Path) -> None:
    """Negative control: hidden in a function, for type checkers, or between two that stand side by side."""
    files = {
        "house/__init__.py": "VERSION = 1",
        "house/roof/tiles.py": "from house.cellar import wine\nfrom house import VERSION",
        "house/cellar/wine.py": "def f():\n    from house.roof.tiles import Tile",
        "house/left.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import right",
        "house/right.py": "import house.cellar.wine",
    }
    _write(tmp_path, files)
    assert upward(file_graph(tmp_path, ["house"]), "house", (("roof",), ("left", "right"), ("cellar",))) == [
        "house.cellar.wine imports house.roof.tiles",
        "house.left imports house.right",
    ]


@pytest.mark.parametrize("back", ["def f():\n    from house.roof import tiles", "import house.cellar.wine"])
def test_a_circle_would_be_noticed(tmp_path: Path, back: str) -> None:
    """Negative control: of two files, and of one with itself."""
    _write(tmp_path, {"house/roof/tiles.py": "from house.cellar.wine import Wine", "house/cellar/wine.py": back})
    assert "house.cellar.wine" in str(circle(file_graph(tmp_path, ["house"])))


def test_a_circle_of_folders_would_be_noticed(tmp_path: Path) -> None:
    """Negative control: two folders that import each other without a circle of files."""
    files = {
        "house/roof/tiles.py": "from house.cellar import wine",
        "house/roof/chimney.py": "",
        "house/cellar/wine.py": "",
        "house/cellar/oven.py": "from house.roof.chimney import Smoke",
    }
    _write(tmp_path, files)
    graph = file_graph(tmp_path, ["house"])
    assert circle(graph) is None
    assert {*str(circle(room_graph(graph))).split(" <- ")} == {"house.roof", "house.cellar"}
