"""Blocks of a study checked field by field, every problem at its dotted place."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workflow.study.grid import Problem


def build(kind: type, raw: Any, place: str, problems: list[Problem]) -> Any:
    """``raw`` as a ``kind``; None, and its problems in ``problems``, where it is not one."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        sentences: dict[str, list[str]] = {}
        values: dict[str, object] = {}
        for detail in error.errors():
            # Union members appear as extra path elements (a list index is kept, a type's name is not).
            parts = [
                str(part) for part in detail["loc"] if isinstance(part, int) or re.fullmatch(r"[a-z_]+", str(part))
            ]
            parts = [part for part in parts if part not in ("int", "float", "str", "literal", "constrained")]
            where = ".".join(filter(None, [place, *parts])) or "file"
            sentences.setdefault(where, []).append(_sentence(detail))
            values[where] = detail["input"]
        for where, alternatives in sentences.items():
            text = " or ".join(dict.fromkeys(alternatives))
            value = "" if text in ("unknown key", "is missing") else f", got {values[where]!r}"
            problems.append(Problem(where, text + value))
        return None


def _sentence(detail: Any) -> str:
    """What follows the place in a message; ``detail`` is one of pydantic's errors."""
    type_ = detail["type"]
    if type_ in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown key"
    if type_ in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing"
    if type_ == "predicate_failed":
        return "must consist of letters, digits, '.', '_' and '-'"
    return str(detail["msg"]).removeprefix("Input ").removeprefix("Value error, ")
