"""The verdict for people: one sentence, a table for the page, the same as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow.dataset import inputs
from workflow.verdict.gates import (
    CLASSES,
    CONTINUOUS,
    ENERGIES,
    HOT_ENERGIES,
    LABELS,
    POINT,
    POINT_ENERGIES,
    SIGNS,
    SPARE,
    VECTOR,
)
from workflow.verdict.judging import shown

SENTENCES = {
    SIGNS: "every seed's latents are the order parameters, one on each axis",
    SPARE: "every seed's latents are the order parameters, one on each axis",
    VECTOR: "every seed's latents carry the order parameter up to a rotation",
    CONTINUOUS: "every seed's latents carry the order parameter up to a rotation (no axis is preferred)",
    CLASSES: "every seed tells the classes apart",
    ENERGIES: "what is drawn has the energies of the data",
    POINT_ENERGIES: "what is drawn has the energies of the data",
    HOT_ENERGIES: "what is drawn has the energies and the specific heat of the data",
}
"""What it means that a setting holds, by its subject."""
JUDGED_BY = {
    SIGNS: "one order parameter on each axis",
    SPARE: "one order parameter on each axis",
    VECTOR: "a vector up to rotations",
    CONTINUOUS: "a vector up to rotations",
    CLASSES: "classes that are told apart",
    ENERGIES: "energies of what is drawn",
    POINT_ENERGIES: "energies of what is drawn",
    HOT_ENERGIES: "energies of what is drawn",
    "collapse": "a collapse above λ",
}


def headline(verdicts: Sequence[dict[str, Any]]) -> str:
    """The outcome, and what was judged."""
    judged = [verdict for verdict in verdicts if verdict["holds"] is not None]
    left_out = _left_out([verdict for verdict in verdicts if verdict["holds"] is None])
    if not judged:
        return f"Nothing was judged. {left_out}" if left_out else "No value of beta lies where the gates apply."
    failed = sum(not verdict["holds"] for verdict in judged)
    kinds = dict.fromkeys(JUDGED_BY[v["expected"]] for v in judged if v["expected"] in JUDGED_BY)
    by = f", judged by {_listed(list(kinds))}" if kinds else ""
    verb = "comes" if len(judged) == 1 else "come"
    text = f"{len(judged) - failed} of {len(judged)} judged settings {verb} out as expected{by}."
    outcomes: dict[tuple[str, int], list[bool]] = {}
    for verdict in judged:
        if verdict["expected"] in SENTENCES:
            outcomes.setdefault((SENTENCES[verdict["expected"]], verdict["size"]), []).append(verdict["holds"])
    for sentence in dict.fromkeys(sentence for sentence, _ in outcomes):
        # Of a size where one of several settings fails, nothing can be said in a sentence.
        sizes = sorted(size for (other, size), holds in outcomes.items() if other == sentence and all(holds))
        if sizes:
            text += f" At L = {', '.join(map(str, sizes))} {sentence}."
    return f"{text} {left_out}".strip()


def _left_out(verdicts: Sequence[dict[str, Any]]) -> str:
    """Why some settings are not judged at all."""
    subjects = {verdict["subject"] for verdict in verdicts}
    parts = []
    if LABELS in subjects:
        parts.append("Nothing says what latents of labelled classes should be: read KL and the probe.")
    if POINT in subjects:
        parts.append("Models of a single parameter point are not judged for order.")
    return " ".join(parts)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


FAMILY = {SPARE: SIGNS, CONTINUOUS: VECTOR, HOT_ENERGIES: POINT_ENERGIES}
"""Subjects that share a table: what they ask for differs by a gate alone."""


def verdict_tables(verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Columns and rows, a table per subject, so that none has columns for what others are judged by."""
    by_subject: dict[str, list[dict[str, Any]]] = {}
    for verdict in verdicts:
        by_subject.setdefault(FAMILY.get(verdict["subject"], verdict["subject"]), []).append(verdict)
    tables = []
    for mine in by_subject.values():
        columns = gate_columns(mine)
        tables.append({"columns": columns, "rows": [verdict_row(verdict, columns) for verdict in mine]})
    return tables


def gate_columns(verdicts: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Columns of the table: every gate that some setting was seen through, with what is asked where it is judged.

    KL comes first. A collapse asks for something else, which is said beside the table.
    """
    bounds: dict[str, list[str]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict["expected"] == "collapse"):
        for gate in verdict["judgements"]:
            found = bounds.setdefault(gate["words"], [])
            if gate["bounds"] and gate["bounds"] not in found and (verdict["expected"] != "collapse" or not found):
                found.append(gate["bounds"])
    ordered = sorted(bounds, key=lambda name: not name.startswith("KL"))
    return [{"words": name, "bounds": " or ".join(bounds[name])} for name in ordered]


def verdict_row(verdict: dict[str, Any], columns: Sequence[dict[str, str]]) -> dict[str, Any]:
    """A verdict with one cell per column."""
    by_words = {gate["words"]: gate for gate in verdict["judgements"]}
    cells = []
    for column in columns:
        judged = by_words.get(column["words"])
        text = shown(judged["worst"], judged["error"]) if judged else ""
        cells.append({"text": text, "holds": judged is None or judged["holds"] or verdict["holds"] is None})
    name, network = verdict["name"], verdict["network"]
    model = name if name.startswith(network) else f"{name}, {network}"
    return {**verdict, "model": inputs.words(model, verdict.get("input", "raw")), "cells": cells}


def verdict_markdown(verdicts: Sequence[dict[str, Any]]) -> str:
    """The verdict as Markdown tables, to paste where results are discussed."""
    return "\n".join(_markdown(table["columns"], table["rows"]) for table in verdict_tables(verdicts))


def _markdown(columns: Sequence[dict[str, str]], rows: Sequence[dict[str, Any]]) -> str:
    heads = ["model", "L", "β", "β / λ", "seeds", "verdict"]
    heads += [f"{column['words']} {column['bounds']}".strip() for column in columns]
    lines = ["| " + " | ".join(head.replace("|", "\\|") for head in heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        mark = {True: "holds: ", False: "**fails**: ", None: ""}[row["holds"]]
        cells = [cell["text"] + ("" if cell["holds"] else " ✗") for cell in row["cells"]]
        setting = [row["model"], str(row["size"]), f"{row['beta']:.4g}", f"{row['beta_over_lam']:.2g}"]
        verdict_cell = mark + row["words"].replace("|", "\\|")
        lines.append("| " + " | ".join([*setting, str(row["seeds"]), verdict_cell, *cells]) + " |")
    return "\n".join(lines) + "\n"
