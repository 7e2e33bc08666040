"""What an installation holds: every file of the packages that the checkout has, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

from workflow.own_packages import PACKAGES

ROOT = Path(__file__).parents[1]
KINDS = {".py", ".toml", ".html", ".jinja", ".typed"}


def files(root: Path) -> set[str]:
    """What the packages below a folder consist of."""
    paths = [path for name in PACKAGES for path in (root / name).rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix() for path in paths if "__pycache__" not in path.parts}


def copied(root: Path, folder: Path) -> Path:
    """The packages and what an installation is made with, without what earlier ones have left."""
    folder.mkdir()
    for name in (*sorted(files(root)), "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((root / name).read_bytes())
    return folder


def in_wheel(folder: Path) -> set[str]:
    """The files of the wheel that is made of a checkout, without its metadata."""
    program = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, "dist"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / "dist" / done.stdout.splitlines()[-1]) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_a_wheel_holds_every_file(tmp_path: Path) -> None:
    checkout = copied(ROOT, tmp_path / "checkout")
    assert {Path(name).suffix for name in files(ROOT)} == KINDS, "a new kind of file: name it in pyproject.toml, too"
    assert in_wheel(checkout) == files(ROOT)
    # Negative control: a folder that is no package, and a file of a kind that is not named.
    (checkout / "workflow" / "attic").mkdir()
    (checkout / "workflow" / "attic" / "chair.py").write_text("")
    (checkout / "workflow" / "notes.txt").write_text("")
    assert files(checkout) - in_wheel(checkout) == {"workflow/attic/chair.py", "workflow/notes.txt"}


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]
