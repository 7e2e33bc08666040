"""The frame of ``latentphase bench``: finding groups, gates, the table and the file; no test here measures a speed."""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import workflow.bench
from workflow.bench import GROUPS, run_bench
from workflow.bench._figure import Figure, FigureGate, Reference, Report, SkippedFigure, Spread
from workflow.bench._table import HEADER, figure_line
from workflow.cli.main import main

MADE_UP = '''
from workflow.bench._figure import Figure, FigureGate, Reference, SkippedFigure

def measure(quick):
    """Two figures, of which the second one fails, and one that was left out."""
    common = {"group": "made_up", "unit": "x", "reference": Reference("a twin", 2.0, "1/s")}
    yield Figure.over([3.0, 1.0, 2.0], name="within", gate=FigureGate(low=1.5), note="quick" if quick else "", **common)
    yield Figure.over([3.0, 1.0, 2.0], name="outside", gate=FigureGate(high=1.5), **common)
    yield SkippedFigure("made_up", "left out", "no peer")
'''
BROKEN = """
from workflow.bench._figure import Figure

def measure(quick):
    yield Figure.over([1.0], group="broken", name="before", unit="", reference=None)
    raise RuntimeError("out of spins")
"""


@pytest.fixture
def add_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a group out of a name and its module's text, in a folder of its own, with no edit elsewhere."""
    folder = tmp_path / "groups"
    folder.mkdir()
    monkeypatch.setattr(workflow.bench, "__path__", [*workflow.bench.__path__, str(folder)])

    def add(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        # Modules of the same name that an earlier test made must not be found instead.
        monkeypatch.delitem(sys.modules, f"workflow.bench.{name}", raising=False)

    return add


def figure(value: float, gate: FigureGate | None) -> Figure:
    return Figure.over([value], group="g", name="f", unit="x", reference=None, gate=gate)


def test_the_groups_are_the_modules_without_underscore() -> None:
    assert {"kernels", "workflow", "training", "physics"} <= set(GROUPS)
    assert not any(name.startswith("_") for name in GROUPS)
    assert len(GROUPS) == len(set(GROUPS))
    assert "nonsense" not in GROUPS
    with pytest.raises(KeyError):
        GROUPS["nonsense"]


def test_a_module_in_another_folder_is_a_group(add_group: Callable[[str, str], None]) -> None:
    assert "made_up" not in GROUPS
    add_group("made_up", MADE_UP)
    assert "made_up" in GROUPS
    said: list[str] = []
    assert run_bench(["made_up"], quick=True, output=None, say=said.append) == ["made_up/outside"]
    text = "\n".join(said)
    assert "quick" in text
    assert re.search(r"ok +made_up +within +2 x +1 \.\. 3 +3 +>= 1.5 +a twin: 2 1/s", text)
    assert re.search(r"FAIL +made_up +outside +2 x", text)
    assert re.search(r"skip +made_up +left out +no peer", text)


def test_columns_are_aligned() -> None:
    line = figure_line(figure(1.0, FigureGate(low=0.0)))
    assert line.index(">= 0") == HEADER.index("gate   ")
    assert line.index("f ") == HEADER.index("figure")


def test_a_failed_gate_is_exit_code_1_and_named(add_group: Callable[[str, str], None], tmp_path: Path) -> None:
    add_group("made_up", MADE_UP)
    output = tmp_path / "bench.json"
    result = CliRunner().invoke(main, ["bench", "--quick", "--only", "made_up", "--output", str(output)])
    assert result.exit_code == 1
    assert "failed: made_up/outside" in result.output
    content = json.loads(output.read_text())
    assert content["failed"] == ["made_up/outside"]
    assert [item["name"] for item in content["figures"]] == ["within", "outside"]


def test_an_unknown_group_is_bad_usage() -> None:
    assert CliRunner().invoke(main, ["bench", "--only", "nonsense"]).exit_code == 2
    with pytest.raises(ValueError, match=r"groups must be among .*, got 'nonsense'"):
        run_bench(["nonsense"], quick=True, output=None, say=print)


def test_a_group_that_raises_fails_and_the_others_go_on(add_group: Callable[[str, str], None], tmp_path: Path) -> None:
    add_group("broken", BROKEN)
    add_group("made_up", MADE_UP)
    said: list[str] = []
    output = tmp_path / "bench.json"
    failed = run_bench(["broken", "made_up"], quick=False, output=output, say=said.append)
    assert failed == ["broken (RuntimeError)", "made_up/outside"]
    assert "out of spins" in "\n".join(said)
    report = Report.from_json(output.read_text())
    assert [item.name for item in report.figures] == ["before", "within", "outside"]
    assert report.failed == tuple(failed)


@pytest.mark.parametrize(
    ("gate", "inside", "outside"),
    [
        (FigureGate(low=0.8), 0.8, 0.79),
        (FigureGate(high=3.0), 3.0, 3.01),
        (FigureGate(1.9, 2.1), 2.0, 2.2),
        (FigureGate(1.9, 2.1), 2.1, 1.8),
    ],
)
def test_gates(gate: FigureGate, inside: float, outside: float) -> None:
    assert figure(inside, gate).holds
    assert not figure(outside, gate).holds
    assert not figure(math.nan, gate).holds


def test_without_a_gate_nothing_fails() -> None:
    assert figure(math.nan, None).holds


def test_a_figure_is_the_median_and_range_of_its_repetitions() -> None:
    made = Figure.over([5.0, 1.0, 2.0, 4.0], group="g", name="f", unit="x", reference=None)
    assert (made.value, made.spread, made.repetitions) == (3.0, Spread(1.0, 5.0), 4)
    with pytest.raises(ValueError, match="at least one measurement"):
        Figure.over([], group="g", name="f", unit="x", reference=None)


def test_a_report_survives_its_file() -> None:
    report = Report(
        machine={"processor": "abacus", "cores": 2, "versions": {"numpy": None}},
        quick=True,
        figures=(
            Figure.over(
                [1.0, 2.0], group="a", name="f", unit="x", reference=Reference("r", 3.0, "s"), gate=FigureGate(low=1)
            ),
            Figure.over(
                [1.0], group="a", name="g", unit="", reference=Reference("exact"), gate=FigureGate(1.9, 2.1), note="n"
            ),
            figure(4.0, None),
        ),
        skipped=(SkippedFigure("a", "h", "no peer"),),
        failed=("a/g",),
    )
    assert Report.from_json(report.to_json()) == report


def test_what_is_not_a_number_is_null_in_the_file() -> None:
    report = Report(machine={}, quick=True, figures=(figure(math.nan, FigureGate(low=1)),), skipped=(), failed=("g/f",))
    text = report.to_json()
    assert json.loads(text)["figures"][0]["value"] is None
    read = Report.from_json(text).figures[0]
    assert math.isnan(read.value)
    assert not read.holds


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 1 is needed, got None"):
        Report.from_json("{}")
