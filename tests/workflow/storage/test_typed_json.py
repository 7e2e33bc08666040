"""Typed results through JSON: what comes back is what went in; what is not of its kind is refused, with its place."""

import json
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import Estimate
from workflow.storage.typed_json import Parameters, Unreadable, from_json, read_json, to_json


class Inner(NamedTuple):
    number: Estimate
    counts: NDArray[np.intp]
    added: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    parts: dict[str, Inner]
    either: float | Literal["learned"]
    maybe: float | None
    points: list[Parameters]
    is_known: bool
    later: tuple[int, ...] | None = None


NUMBER = Estimate(1.5, nan, 7, "made up")
RESULT = Outer(
    name="a",
    parts={"x": Inner(NUMBER, np.array([[1, 2], [3, 4]]))},
    either="learned",
    maybe=None,
    points=[{"size": 4, "temperature": 1.0, "channel": "spin"}],
    is_known=True,
)


def test_what_comes_back_is_what_went_in() -> None:
    content = json.loads(json.dumps(to_json(RESULT)))
    again = from_json(Outer, content)
    inner = again.parts["x"]
    assert (again.name, again.either, again.maybe, again.points, again.is_known) == (
        "a",
        "learned",
        None,
        RESULT.points,
        True,
    )
    assert inner.number.value == 1.5 and isnan(inner.number.error) and inner.number[2:] == NUMBER[2:]
    assert inner.counts.dtype == np.intp
    np.testing.assert_array_equal(inner.counts, RESULT.parts["x"].counts)
    assert to_json(again) == content


def test_fields_that_were_added_are_left_out_while_they_are_none() -> None:
    content = to_json(RESULT)
    assert "later" not in content and "added" not in content["parts"]["x"]
    assert content["maybe"] is None, "a field that was always there stays"
    assert from_json(Outer, content | {"of a newer program": 1}).later is None


@pytest.mark.parametrize(
    ("value", "plain"),
    [(np.float64(nan), None), (np.inf, None), (np.int64(3), 3), (np.bool_(True), True), (np.float32(0.5), 0.5)],
)
def test_numbers_of_numpy(value: Any, plain: Any) -> None:
    text = json.dumps(to_json({"x": value}))
    assert json.loads(text)["x"] == plain


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        (("name",), 3, "expected str @ $.name"),
        (("parts", "x", "number", "samples"), "7", "expected int @ $.parts['x'].number.samples"),
        (("parts", "x", "number", "samples"), True, "expected int @ $.parts['x'].number.samples"),
        (("parts", "x", "number", "value"), "1.5", "expected float @ $.parts['x'].number.value"),
        (("parts", "x", "number", "method"), None, "$.parts['x'].number.method"),
        (("is_known",), 1, "expected bool @ $.is_known"),
        (("parts", "x", "counts"), "none", "$.parts['x'].counts"),
    ],
)
def test_what_is_of_another_type_is_refused_with_its_place(place: tuple[str, ...], value: Any, text: str) -> None:
    content = json.loads(json.dumps(to_json(RESULT)))
    *path, last = place
    inner = content
    for key in path:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(Unreadable) as caught:
        from_json(Outer, content)
    assert text in str(caught.value)


def test_what_is_missing_is_named() -> None:
    content = to_json(RESULT)
    del content["parts"]["x"]["number"]
    with pytest.raises(Unreadable, match=r"required field missing @ \$\.parts\['x'\]\.number"):
        from_json(Outer, content)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"name": ')
    with pytest.raises(Unreadable, match=r"result\.json is damaged: Expecting value"):
        read_json(Outer, path)
    path.write_text('{"name": "a"}')
    with pytest.raises(Unreadable, match=r"result\.json: .*required field missing"):
        read_json(Outer, path)
