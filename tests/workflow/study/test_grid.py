"""Grids of parameter points: made when asked for, equal to the product written out."""

import itertools
import tracemalloc

import pytest

from simulators import contract
from workflow.dataset.points import Point
from workflow.study.grid import Grid, points

AXES = {"size": (4, 8), "coupling": (1.0, -1.0, 2.0), "field": (0.0,), "temperature": (1.0, 2.5)}
GRID = Grid(AXES)
WRITTEN_OUT = [Point(tuple(zip(AXES, values, strict=True))) for values in itertools.product(*AXES.values())]


def test_a_grid_is_the_product_of_its_axes() -> None:
    assert list(GRID) == WRITTEN_OUT
    assert len(GRID) == len(WRITTEN_OUT) == 12
    assert [GRID[i] for i in range(12)] == WRITTEN_OUT
    assert (GRID[-1], GRID[2:5]) == (WRITTEN_OUT[-1], tuple(WRITTEN_OUT[2:5]))
    assert WRITTEN_OUT[7] in GRID
    with pytest.raises(IndexError):
        GRID[12]


def test_no_fields_are_no_points() -> None:
    assert (len(Grid({})), list(Grid({}))) == (0, [])


def test_the_last_field_varies_fastest() -> None:
    assert [point["temperature"] for point in GRID[:3]] == [1.0, 2.5, 1.0]


def test_shared_points_are_those_of_both() -> None:
    other = Grid({**AXES, "coupling": (-1.0, 3.0), "temperature": (2.5, 9.0)})
    assert list(GRID.shared(other)) == [point for point in WRITTEN_OUT if point in list(other)] != []
    assert not GRID.shared(Grid({**AXES, "size": (16,)}))
    assert not GRID.shared(Grid({"size": (4,)}))


def test_points_take_no_memory() -> None:
    """They would take some 400 bytes each if they were held; the values of the axes take about 60."""
    ising = contract.load("ising")
    raw = {"size": 4, "coupling": [1.0, -1.0], "temperature": {"start": 1.0, "stop": 2.0, "count": 5000}}
    tracemalloc.start()
    try:
        grid, problems = points(ising, raw, "simulate.0")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(grid), problems) == (10_000, [])
    assert held < 200 * 5000


def test_repeated_values_are_found_among_many() -> None:
    raw = {"size": 4, "coupling": 1.0, "temperature": [*(1 + i / 7000 for i in range(7000)), 1.5]}
    _, problems = points(contract.load("ising"), raw, "simulate.0")
    assert [str(problem) for problem in problems] == [
        "simulate.0.temperature: must not repeat a value, got 1.5 more than once"
    ]


def test_points_that_a_system_rounds_are_stored_as_rounded_each_once() -> None:
    """beta = 1 and 2 in steps of .3 and .35: the nearest that fit are 1/3, 2/7 and 1/3 again."""
    raw = {"size": 2, "temperature": [1.0, 0.5], "interaction": 4.0, "trotter_step": [0.3, 0.35]}
    grid, problems = points(contract.load("hubbard"), raw, "simulate.0")
    assert not problems
    assert [(point["temperature"], round(point["trotter_step"], 6)) for point in grid] == [
        (1.0, round(1 / 3, 6)), (0.5, round(2 / 7, 6)), (0.5, round(1 / 3, 6)),
    ]  # fmt: skip
    assert grid.axes["trotter_step"] == (0.3, 0.35)
    assert len(grid) == 3 and grid[-1] == list(grid)[-1] and grid[:2] == tuple(grid)[:2]
    assert list(grid.shared(grid)) == list(grid)
    exact, _ = points(contract.load("hubbard"), raw | {"trotter_step": 0.5}, "simulate.1")
    assert exact.rounded is None and not grid.shared(exact)
