"""``import latentphase``: what it offers, how little it imports, and that its examples run."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from studies import CHECKOUT, finished_small

import latentphase as lp
import workflow
from workflow.dataset import shards


def test_every_name_is_there() -> None:
    assert lp.__all__ == sorted(lp.__all__) == dir(lp)
    for name in lp.__all__:
        assert getattr(lp, name) is not None
    assert lp.__version__ == workflow.__version__
    with pytest.raises(AttributeError, match="module 'latentphase' has no attribute 'open_rum'"):
        _ = lp.open_rum  # type: ignore[attr-defined]


def test_errors_can_be_caught_by_name(tmp_path: Path) -> None:
    with pytest.raises(lp.FolderError):
        lp.open_run(tmp_path / "none")
    with pytest.raises(lp.ShardError):
        lp.load_samples(tmp_path / "none.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(lp.ShardError, match=r"broken\.parquet is not a whole shard"):
        lp.load_samples(tmp_path / "broken.parquet")
    assert issubclass(lp.StorageError, OSError)


def imported(program: str) -> set[str]:
    """Top-level modules in a new process after a program."""
    program += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_libraries_wait_until_they_are_needed() -> None:
    heavy = {"torch", "ray", "numba", "matplotlib", "scipy"}
    assert not imported("import latentphase") & (heavy | {"numpy", "pyarrow", "click"})
    assert not imported("import latentphase as lp; lp.open_run; lp.load_samples") & heavy
    assert "numba" in imported("import simulators.systems.ising"), "negative control"


def test_the_command_is_the_module() -> None:
    words = [[sys.executable, "-m", name, "--version"] for name in ("latentphase", "workflow")]
    said = {
        subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()[-1]
        for line in words
    }
    assert said == {lp.__version__}


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished_small(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").symlink_to(Path(str(folder.root)))
    monkeypatch.chdir(tmp_path)
    assert lp.__doc__ is not None
    examples = doctest.DocTestParser().get_doctest(lp.__doc__, {}, "latentphase", None, None)
    assert examples.examples
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(examples, clear_globs=False)
    assert runner.summarize().failed == 0
    shard = sorted(Path(str(folder.root)).rglob("dataset/**/*.parquet"))[0]
    np.testing.assert_array_equal(lp.load_samples(shard), shards.read(shard).configurations())
    assert re.fullmatch(r"\(128, 1, 4, 4\)", str(examples.globs["spins"].shape))
