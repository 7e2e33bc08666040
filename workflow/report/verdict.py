"""The verdict for people: one sentence, a table for the page, the same as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
from workflow.verdict.judging import Verdict, value_text

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


def headline(verdicts: Sequence[Verdict]) -> str:
    """The outcome, and what was judged."""
    judged = [verdict for verdict in verdicts if verdict.holds is not None]
    left_out = _left_out([verdict for verdict in verdicts if verdict.holds is None])
    if not judged:
        return f"Nothing was judged. {left_out}" if left_out else "No value of beta lies where the gates apply."
    failed = sum(not verdict.holds for verdict in judged)
    kinds = dict.fromkeys(JUDGED_BY[verdict.expected] for verdict in judged if verdict.expected in JUDGED_BY)
    by = f", judged by {_listed(list(kinds))}" if kinds else ""
    verb = "comes" if len(judged) == 1 else "come"
    text = f"{len(judged) - failed} of {len(judged)} judged settings {verb} out as expected{by}."
    outcomes: dict[tuple[str, int], list[bool]] = {}
    for verdict in judged:
        if verdict.expected in SENTENCES:
            outcomes.setdefault((SENTENCES[verdict.expected], verdict.size), []).append(bool(verdict.holds))
    for sentence in dict.fromkeys(sentence for sentence, _ in outcomes):
        # Of a size where one of several settings fails, nothing can be said in a sentence.
        sizes = sorted(size for (other, size), holds in outcomes.items() if other == sentence and all(holds))
        if sizes:
            text += f" At L = {', '.join(map(str, sizes))} {sentence}."
    return f"{text} {left_out}".strip()


def _left_out(verdicts: Sequence[Verdict]) -> str:
    """Why some settings are not judged at all."""
    subjects = {verdict.subject for verdict in verdicts}
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


class Column(NamedTuple):
    """A gate that some setting of a table was seen through."""

    words: str
    bounds: str
    """Empty where nothing is asked of it."""


class Cell(NamedTuple):
    """What a gate saw of the worst seed of a setting; empty where it was not looked at."""

    text: str
    holds: bool


class Row(NamedTuple):
    """A setting with one cell per column."""

    model: str
    verdict: Verdict
    cells: list[Cell]


class VerdictTable(NamedTuple):
    """Settings that are judged by the same gates."""

    columns: list[Column]
    rows: list[Row]


def verdict_tables(verdicts: Sequence[Verdict]) -> list[VerdictTable]:
    """A table per subject, so that none has columns for what others are judged by."""
    by_subject: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_subject.setdefault(FAMILY.get(verdict.subject, verdict.subject), []).append(verdict)
    tables = []
    for of_subject in by_subject.values():
        columns = gate_columns(of_subject)
        tables.append(VerdictTable(columns, [verdict_row(verdict, columns) for verdict in of_subject]))
    return tables


def gate_columns(verdicts: Sequence[Verdict]) -> list[Column]:
    """Columns of the table: every gate that some setting was seen through, with what is asked where it is judged.

    KL comes first. A collapse asks for something else, which is said beside the table.
    """
    bounds: dict[str, list[str]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.expected == "collapse"):
        for gate in verdict.judgements:
            of_gate = bounds.setdefault(gate.words, [])
            if gate.bounds and gate.bounds not in of_gate and (verdict.expected != "collapse" or not of_gate):
                of_gate.append(gate.bounds)
    ordered = sorted(bounds, key=lambda name: not name.startswith("KL"))
    return [Column(name, " or ".join(bounds[name])) for name in ordered]


def verdict_row(verdict: Verdict, columns: Sequence[Column]) -> Row:
    """A verdict with one cell per column."""
    by_words = {gate.words: gate for gate in verdict.judgements}
    cells = []
    for column in columns:
        judged = by_words.get(column.words)
        text = value_text(judged.worst, judged.error) if judged else ""
        cells.append(Cell(text, judged is None or judged.holds or verdict.holds is None))
    name, network = verdict.name, verdict.network
    model = name if name.startswith(network) else f"{name}, {network}"
    return Row(inputs.words(model, verdict.input), verdict, cells)


def verdict_markdown(verdicts: Sequence[Verdict]) -> str:
    """The verdict as Markdown tables, to paste where results are discussed."""
    return "\n".join(_markdown(table) for table in verdict_tables(verdicts))


def _markdown(table: VerdictTable) -> str:
    heads = ["model", "L", "β", "β / λ", "seeds", "verdict"]
    heads += [f"{column.words} {column.bounds}".strip() for column in table.columns]
    lines = ["| " + " | ".join(head.replace("|", "\\|") for head in heads) + " |", "|" + "---|" * len(heads)]
    for model, verdict, cells in table.rows:
        mark = {True: "holds: ", False: "**fails**: ", None: ""}[verdict.holds]
        texts = [cell.text + ("" if cell.holds else " ✗") for cell in cells]
        setting = [model, str(verdict.size), f"{verdict.beta:.4g}", f"{verdict.beta_over_lam:.2g}"]
        verdict_cell = mark + verdict.words.replace("|", "\\|")
        lines.append("| " + " | ".join([*setting, str(verdict.seeds), verdict_cell, *texts]) + " |")
    return "\n".join(lines) + "\n"
