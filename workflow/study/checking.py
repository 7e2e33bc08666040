"""Blocks of a study checked field by field, every problem at its dotted place."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workflow.study.grid import Problem


def build(kind: type, raw: Any, place: str, problems: list[Problem]) -> Any:
    """``raw`` as a ``kind``, or None after its problems were noted."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        seen: dict[str, list[str]] = {}
        values: dict[str, Any] = {}
        for item in error.errors():
            # Union members appear as extra path elements (a list index is kept, a type's name is not).
            parts = [str(part) for part in item["loc"] if isinstance(part, int) or re.fullmatch(r"[a-z_]+", str(part))]
            parts = [part for part in parts if part not in ("int", "float", "str", "literal", "constrained")]
            where = ".".join(filter(None, [place, *parts])) or "file"
            seen.setdefault(where, []).append(_sentence(item))
            values[where] = item["input"]
        for where, messages in seen.items():
            text = " or ".join(dict.fromkeys(messages))
            shown = "" if text in ("unknown key", "is missing") else f", got {values[where]!r}"
            problems.append(Problem(where, text + shown))
        return None


def _sentence(item: Any) -> str:
    kind = item["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown key"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing"
    if kind == "predicate_failed":
        return "must consist of letters, digits, '.', '_' and '-'"
    return str(item["msg"]).removeprefix("Input ").removeprefix("Value error, ")
