"""Systems are found by their names, in the checkout and on PYTHONPATH, and incomplete ones are refused."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import simulators
from simulators import contract


def test_a_folder_on_the_python_path_adds_its_systems(elsewhere: Path) -> None:
    """No __init__.py there, nothing edited here."""
    program = "from simulators import contract; print(*contract.names()); print(contract.load('free-spins').version)"
    checkout = Path(simulators.__file__).parents[1]
    path = os.pathsep.join((str(checkout), str(elsewhere.parents[1])))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    names, version = done.stdout.splitlines()
    assert {"ising", "free-spins"} <= set(names.split())
    assert version == "1"


def test_an_unknown_system_is_told_what_exists() -> None:
    with pytest.raises(contract.UnknownSystem, match=r"'izing'; there are: .*ising"):
        contract.load("izing")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('LIKELIHOOD = "bernoulli"', "", "lacks LIKELIHOOD"),
        ('ENCODING = "bits"', 'ENCODING = "bytes"', "ENCODING must be one of bits, int8, float32, got 'bytes'"),
        ('ALGORITHMS = ("heat-bath",)', "ALGORITHMS = ()", "ALGORITHMS must name at least one"),
        ('LIKELIHOOD = "bernoulli"', 'LIKELIHOOD = "multinomial"', "lacks STATES, which likelihood multinomial needs"),
    ],
)
def test_an_incomplete_system_is_told_what_is_missing(elsewhere: Path, old: str, new: str, message: str) -> None:
    paramagnet = (elsewhere / "free_spins.py").read_text()
    (elsewhere / "half_done.py").write_text(paramagnet.replace(old, new))
    with pytest.raises(contract.IncompleteSystem, match=message):
        contract.load("half-done")


def test_private_modules_are_no_systems(elsewhere: Path) -> None:
    (elsewhere / "_shared.py").write_text(textwrap.dedent("RULE = 1"))
    assert not any("shared" in name for name in contract.names())
