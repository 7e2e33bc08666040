"""Pages name files, folders and Python names that are in this repository; CHANGELOG.md may name old ones."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("simulators", "models", "analysis", "workflow", "latentphase", "tests", "docs")
PYTHON_FILES = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path.name != "CHANGELOG.md"
]

PYTHON_FILE = re.compile(r"[\w./-]*\w\.py\b")
"""With any folders before it: pages leave them out where they are clear."""
FOLDER_OR_FILE = re.compile(r"(?<![\w./-])(?:simulators|models|workflow|tests|deploy)/[\w./-]*\w/?(?![\w<])")
"""In ``analysis/`` and ``latentphase/`` pages name files of run folders, too: there Python files alone are checked."""
DOTTED_NAME = re.compile(r"(?<![\w./-])(?:simulators|models|analysis|workflow|latentphase)(?:\.\w+)+")
FILE_NAME = re.compile(r"\.(py|md|json)$")
LINK = re.compile(r"\]\((?!https?:|#)<?([^)#>]+)")
EXAMPLE = re.compile(r"<!-- (\S+) -->")
"""A page that has a whole file as an example says its path in such a line."""
PLACEHOLDERS = {"analysis.py", "models.py", "simulators.py", "workflow.py"}
"""Files of the user's."""


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def stale_names(text: str, folder: Path) -> Iterator[str]:
    """Names on a page in ``folder`` of what is not in the repository."""
    examples = PLACEHOLDERS | set(EXAMPLE.findall(text))
    for name in PYTHON_FILE.findall(text):
        if name not in examples and not any(file.match(name) for file in PYTHON_FILES):
            yield name
    yield from (name for name in FOLDER_OR_FILE.findall(text) if name not in examples and not (ROOT / name).exists())
    yield from (name for name in DOTTED_NAME.findall(text) if not FILE_NAME.search(name) and not is_defined(name))
    yield from (name for name in LINK.findall(text) if not (folder / name).exists())


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    assert not list(stale_names((ROOT / page).read_text(), (ROOT / page).parent))


def test_stale_names_are_noticed() -> None:
    """Negative control, and what is right beside it."""
    text = """`simulators/plain.py` and `simulators/reference/plain.py`, `workflow/summaries/` and `workflow/verdict/`,
    `plein.py` and `plain.py`, `latents.information`, `workflow.shards.load_samples` and `latentphase.load_samples`,
    [a page](docs/extended.md), [another](docs/extending.md#add-a-system)"""
    assert sorted(set(stale_names(text, ROOT))) == sorted(
        ["simulators/plain.py", "workflow/summaries/", "plein.py", "workflow.shards.load_samples", "docs/extended.md"]
    )
