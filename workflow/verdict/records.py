"""The headline numbers of a run: what ``summary.json`` holds, and judgements are made of."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from analysis.errors import Estimate
from workflow.storage.places import Place
from workflow.storage.typed_json import Unreadable, from_json, to_json


class ModelLabel(NamedTuple):
    """The trained model that a number is of."""

    network: str
    input: str
    """What the network was given of a configuration."""
    name: str
    """Of the ``[[train]]`` block."""
    beta: float
    beta_setting: str
    beta_over_lam: float
    seed: int
    train_id: str
    subject: str
    """What the model is judged by, one of those of ``gates``."""


class Record(NamedTuple):
    """One number with its error."""

    quantity: str
    system: str
    """Or the name of a ``[[data]]`` block."""
    size: int
    estimate: Estimate
    model: ModelLabel | None
    """None of a number in input space, which no model has made."""


def record_to_json(record: Record) -> dict[str, Any]:
    """A line of ``summary.json``: all entries in one object."""
    value, error, samples, method = record.estimate
    model = {"beta": None, "seed": None} if record.model is None else record.model._asdict()
    content = {"quantity": record.quantity, "system": record.system, "size": record.size, **model}
    return to_json(content | {"estimate": value, "error": error, "samples": samples, "method": method})


def record_from_json(content: dict[str, Any]) -> Record:
    """The record that ``record_to_json`` wrote.

    Raises:
        Unreadable: an entry is missing or of another type.
    """
    estimate = {**content, "value": content.get("estimate")}
    model = content if "train_id" in content else None
    return from_json(Record, {**content, "estimate": estimate, "model": model})


def read_records(path: Place) -> list[Record]:
    """What ``summary.json`` holds.

    Raises:
        FileNotFoundError: the analyze stage has not been carried out.
        Unreadable: the file is not what that stage writes.
    """
    try:
        return [record_from_json(content) for content in json.loads(path.read_text())]
    except ValueError as error:
        raise Unreadable(f"{path}: {error}") from None
