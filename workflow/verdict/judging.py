"""From records to verdicts: the seeds of every setting against the gates of their subject, the worst one named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.dataset.inputs import words
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict.gates import (
    BEYOND,
    CLASSES,
    COLLAPSED,
    CONTINUOUS,
    INFINITY,
    LABELS,
    NOTHING,
    POINT,
    RULE,
    SIGNS,
    VECTOR,
    Gate,
    asked,
    is_thermal,
    most_beta,
)

Record = dict[str, Any]

FOUND = {
    VECTOR: "the latents carry the order parameter up to a rotation",
    CONTINUOUS: "the latents carry the order parameter up to a rotation; a continuous symmetry prefers no axis",
    CLASSES: "every class is told apart",
}
"""What it means that all gates hold, by subject, besides order parameters and energies."""


class Judgement(NamedTuple):
    """One gate applied to the seeds of one setting."""

    words: str
    bounds: str
    """Empty where the number is shown and not judged."""
    worst: float | None
    error: float | None
    seed: int | None
    holds: bool


class Verdict(NamedTuple):
    """What the seeds of one setting (block, network, input, size, beta) came to."""

    name: str
    network: str
    size: int
    beta_setting: str
    beta: float
    beta_over_lam: float
    seeds: int
    subject: str
    """What it is judged by, one of those of ``gates``."""
    expected: str
    """The subject, "collapse", or "" (not judged)."""
    holds: bool | None
    words: str
    judgements: tuple[Judgement, ...]
    input: str = "raw"
    """What the network was given of a configuration."""


def judge(records: Iterable[Record], settings: AnalyzeBlock | None = None) -> list[Verdict]:
    """A verdict per setting, in the order of the records; ``settings`` may replace what the gates ask for."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if "train_id" in record:
            key = (record.get("input"), *(record[k] for k in ("name", "network", "size", "beta_setting")))
            groups.setdefault(key, []).append(record)
    return [_judge_group(group, settings or AnalyzeBlock()) for group in groups.values()]


def _judge_group(group: list[Record], settings: AnalyzeBlock) -> Verdict:
    first = group[0]
    # A spare latent of one seed is a spare latent of the setting.
    subjects = [record.get("subject", SIGNS) for record in group]
    subject = max(subjects, key=subjects.count)
    expected = _expected(first, subject)
    gates = COLLAPSED if expected == "collapse" else asked(subject, settings)
    judgements = tuple(judgement for gate in gates if (judgement := _apply(gate, group)) is not None)
    holds = all(judgement.holds for judgement in judgements) if judgements and expected else None
    if subject == LABELS and expected == "" and _is_collapsed(group) and first["beta_over_lam"] < COLLAPSE_FRACTION:
        holds = False
    return Verdict(
        name=first["name"],
        network=first["network"],
        size=first["size"],
        beta_setting=first["beta_setting"],
        beta=first["beta"],
        beta_over_lam=first["beta_over_lam"],
        seeds=len({record["seed"] for record in group}),
        subject=subject,
        expected=expected,
        holds=holds,
        words=_words(group, subject, expected, judgements),
        judgements=judgements,
        input=first.get("input", "raw"),
    )


def _expected(record: Record, subject: str) -> str:
    """What one of the gates is about at this beta, if any."""
    if is_thermal(subject):
        return subject if record["beta"] <= most_beta(subject) else ""
    if subject == POINT:
        return ""
    ratio = record["beta_over_lam"]
    if ratio >= BEYOND:
        return "collapse"
    return subject if RULE[0] <= ratio < RULE[1] and subject not in (LABELS, NOTHING) else ""


def _apply(gate: Gate, group: list[Record]) -> Judgement | None:
    judged = [record for record in group if gate.quantity(record["quantity"])]
    if not judged:
        return None

    def badness(record: Record) -> float:
        value = record["estimate"]
        # Not a number (an undefined ratio) is the worst there is.
        return INFINITY if value is None else max(gate.low - value, value - gate.high)

    worst = max(judged, key=badness)
    return Judgement(
        gate.words,
        gate.bounds,
        worst["estimate"],
        worst["error"],
        worst["seed"],
        all(gate.holds(r["estimate"]) for r in judged),
    )


def _is_collapsed(group: list[Record]) -> bool:
    (gate,) = COLLAPSED
    return all(gate.holds(record["estimate"]) for record in group if gate.quantity(record["quantity"]))


def _words(group: list[Record], subject: str, expected: str, judgements: tuple[Judgement, ...]) -> str:
    failed = [judgement.words for judgement in judgements if not judgement.holds]
    if is_thermal(subject):
        if not expected:
            return "not judged: at this beta energies are traded for order parameters"
        return "not within the gates: " + ", ".join(failed) if failed else "what is drawn has the energies of the data"
    if _is_collapsed(group):
        return "collapsed: the latents carry nothing"
    if subject == POINT:
        return "one parameter point: not judged for order"
    ratio = group[0]["beta_over_lam"]
    if expected == "collapse":
        return "not collapsed, though beta is above the top eigenvalue"
    if subject == LABELS:
        return "not judged: nothing says what the latents of these classes should be"
    if subject == NOTHING:
        return "not judged: neither order parameters nor classes are known"
    matched = [record["estimate"] for record in group if record["quantity"].startswith("kl_of_")]
    if ratio >= COLLAPSE_FRACTION:
        return f"collapse announced: beta is at least {COLLAPSE_FRACTION:g} lam"
    if matched and min(matched) <= COLLAPSED[0].high:
        return "partly collapsed: at least one latent of one seed carries nothing"
    if expected:
        return "not within the gates: " + ", ".join(failed) if failed else _found(group, subject)
    if ratio >= WARN_FRACTION:
        return f"beta is at least {WARN_FRACTION:g} lam: the axes align too slowly to be relied on"
    return "not judged: beta is outside the range where the rule applies"


def _found(group: list[Record], subject: str) -> str:
    if subject != CLASSES:
        return FOUND.get(subject, "each latent is one order parameter")
    shapes = [record["estimate"] for record in group if record["quantity"].startswith("thickness_")]
    return FOUND[subject] if not shapes else f"{FOUND[subject]}; {_arrangement(group)}"


def _arrangement(group: list[Record]) -> str:
    """Where the centres of the classes lie, counted over seeds."""
    from analysis.latent_space.geometry import arrangement

    counts: dict[str, int] = {}
    for record in group:
        if record["quantity"].startswith("thickness_"):
            shape = arrangement(record["estimate"], record["error"] or 0.0)
            counts[shape] = counts.get(shape, 0) + 1
    names = {"flat": "the one without order in the plane of the others", "simplex": "all equally far from each other"}
    named = {names.get(shape, "neither flat nor equally far from each other"): n for shape, n in counts.items()}
    if len(named) == 1:
        return next(iter(named))
    return "; ".join(f"{words} ({_plural(count, 'seed')})" for words, count in named.items())


def verdict_text(verdicts: Iterable[dict[str, Any]]) -> str:
    """The verdict for a terminal: per setting a line, what the gates saw of its worst seed, and what they asked for."""
    lines = []
    for verdict in verdicts:
        mark = {True: "holds ", False: "FAILS ", None: "      "}[verdict["holds"]]
        network = words(verdict["network"], verdict.get("input", "raw"))
        lines.append(
            f"{mark} {verdict['name']}: {network}, L = {verdict['size']}, beta = {verdict['beta']:.4g} "
            f"({verdict['beta_over_lam']:.2f} lam), {_plural(verdict['seeds'], 'seed')}: {verdict['words']}"
        )
        seen = [f"{gate['words']} {shown(gate['worst'], gate['error'])}" for gate in verdict["judgements"]]
        if seen:
            lines.append(f"         worst seed: {', '.join(seen)}")
        missed = [f"{gate['words']} {gate['bounds']}" for gate in verdict["judgements"] if not gate["holds"]]
        if missed and verdict["holds"] is False:
            lines.append(f"         asked for: {', '.join(missed)}")
    return "\n".join(lines) + "\n"


def shown(value: float | None, error: float | None) -> str:
    """A value with its error in brackets."""
    from analysis.errors import Estimate

    if value is None:
        return "undefined"
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}"
    return str(Estimate(value, float("nan") if error is None else error, 0, ""))


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
