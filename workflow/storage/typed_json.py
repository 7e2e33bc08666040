"""Typed results as JSON and back: named tuples and dataclasses of numbers, arrays and each other.

What is not a number becomes null, since JSON has no NaN; null is NaN again where there must be a number, and None where
there may be none. A field whose default is None is left out while it is None: a result may gain such fields without
changing what was written before.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from workflow.storage.places import Place

T = TypeVar("T")

Parameters = dict[str, int | float | str]
"""A parameter point by name, as files hold it."""


class Unreadable(ValueError):
    """JSON that is not what was asked for; the message names the places."""


def to_json(result: Any) -> Any:
    """A result as ``json.dumps`` takes it."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        optional = {name for name, default in getattr(result, "_field_defaults", {}).items() if default is None}
        return _mapping(result._asdict(), optional)
    if is_dataclass(result) and not isinstance(result, type):
        optional = {field.name for field in fields(result) if field.default is None}
        return _mapping({field.name: getattr(result, field.name) for field in fields(result)}, optional)
    if isinstance(result, dict):
        return {str(key): to_json(value) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return [to_json(value) for value in result]
    if isinstance(result, np.ndarray):
        return to_json(result.tolist())
    if isinstance(result, np.generic):
        return to_json(result.item())
    return None if isinstance(result, float) and not math.isfinite(result) else result


def _mapping(values: dict[str, Any], optional: set[str]) -> dict[str, Any]:
    return {key: to_json(value) for key, value in values.items() if not (key in optional and value is None)}


def from_json(kind: type[T], content: Any) -> T:
    """``content`` of ``json.loads`` as a ``kind``; entries that it has no field for are ignored.

    Raises:
        Unreadable: an entry is missing or of another type.
    """
    import cattrs

    try:
        return _converter().structure(content, kind)
    except Exception as error:
        raise Unreadable("; ".join(cattrs.transform_error(error))) from None


def _is_plain(kind: Any) -> bool:
    """Whether ``kind`` is a choice of numbers and texts, which JSON itself tells apart."""
    if get_origin(kind) not in (Union, UnionType):
        return False
    return all(member in (int, float, str) or get_origin(member) is Literal for member in get_args(kind))


def _exactly(value: Any, kind: type[T]) -> T:
    """A value that is of this type already: JSON tells them apart."""
    if type(value) is not kind:
        raise ValueError(f"must be {kind.__name__}, got {value!r}")
    return value


def _dtype(kind: Any) -> Any:
    """The number type of ``NDArray[...]``; double precision where it is not said."""
    *_, dtype = get_args(kind)
    return next((of for of in get_args(dtype) if isinstance(of, type)), np.float64)


def _number(value: Any, _: type[float]) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"must be a number, got {value!r}")
    # A whole number stays one, so that what is written again is the same.
    return value


def read_json(kind: type[T], path: Place) -> T:
    """The ``kind`` that the file holds.

    Raises:
        FileNotFoundError: there is no such file.
        Unreadable: it is not JSON, or of another kind; the message names the file and the places in it.
    """
    try:
        return from_json(kind, json.loads(path.read_text()))
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from None
    except ValueError as error:
        raise Unreadable(f"{path} is damaged: {error}") from None


@cache
def _converter() -> Any:
    # Imported when something is read: status reads nothing, and should not wait for it.
    import cattrs
    from cattrs.cols import is_namedtuple, namedtuple_dict_structure_factory

    converter = cattrs.Converter()
    converter.register_structure_hook_factory(is_namedtuple, namedtuple_dict_structure_factory)
    converter.register_structure_hook(float, _number)
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook_func(_is_plain, lambda value, _: value)
    converter.register_structure_hook_func(
        lambda kind: get_origin(kind) is np.ndarray, lambda value, kind: np.array(value, dtype=_dtype(kind))
    )
    return converter
