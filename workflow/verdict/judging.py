"""From records to verdicts: the seeds of every setting against the gates of their subject, the worst one named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan, nan
from typing import NamedTuple

from analysis.errors import Estimate
from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.dataset.inputs import words
from workflow.storage.places import Place
from workflow.storage.typed_json import read_json
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict.gates import (
    BEYOND,
    CLASSES,
    COLLAPSED,
    CONTINUOUS,
    LABELS,
    NOTHING,
    POINT,
    RULE,
    VECTOR,
    Gate,
    gates_of,
    is_thermal,
    most_beta,
)
from workflow.verdict.records import ModelLabel, Record

OUTCOMES = {
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
    worst: float
    """Of the worst seed; NaN where it is undefined."""
    error: float
    seed: int
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


class Member(NamedTuple):
    """One number of a trained model."""

    quantity: str
    estimate: Estimate
    size: int
    model: ModelLabel


def judge(
    records: Iterable[Record],
    settings: AnalyzeBlock | None = None,
    further: Mapping[str, tuple[Gate, ...]] | None = None,
) -> list[Verdict]:
    """A verdict per setting, in the order of the records.

    Args:
        records: of all models.
        settings: of the study; may replace what the gates ask for.
        further: gates besides the usual ones, by subject.
    """
    settings_of: dict[tuple[str, str, str, int, str], list[Member]] = {}
    for quantity, _, size, estimate, model in records:
        if model is not None:
            key = (model.input, model.name, model.network, size, model.beta_setting)
            settings_of.setdefault(key, []).append(Member(quantity, estimate, size, model))
    return [_judge_group(group, settings or AnalyzeBlock(), further) for group in settings_of.values()]


def _judge_group(
    group: list[Member], settings: AnalyzeBlock, further: Mapping[str, tuple[Gate, ...]] | None
) -> Verdict:
    first = group[0].model
    # A spare latent of one seed is a spare latent of the setting.
    subjects = [member.model.subject for member in group]
    subject = max(subjects, key=subjects.count)
    expected = _expected(first, subject)
    gates = COLLAPSED if expected == "collapse" else gates_of(subject, settings, further)
    judgements = tuple(judgement for gate in gates if (judgement := _apply(gate, group)) is not None)
    holds = all(judgement.holds for judgement in judgements) if judgements and expected else None
    if subject == LABELS and expected == "" and _is_collapsed(group) and first.beta_over_lam < COLLAPSE_FRACTION:
        holds = False
    return Verdict(
        name=first.name,
        network=first.network,
        size=group[0].size,
        beta_setting=first.beta_setting,
        beta=first.beta,
        beta_over_lam=first.beta_over_lam,
        seeds=len({member.model.seed for member in group}),
        subject=subject,
        expected=expected,
        holds=holds,
        words=_words(group, subject, expected, judgements),
        judgements=judgements,
        input=first.input,
    )


def _expected(model: ModelLabel, subject: str) -> str:
    """What one of the gates is about at this beta, if any."""
    if is_thermal(subject):
        return subject if model.beta <= most_beta(subject) else ""
    if subject == POINT:
        return ""
    ratio = model.beta_over_lam
    if ratio >= BEYOND:
        return "collapse"
    return subject if RULE[0] <= ratio < RULE[1] and subject not in (LABELS, NOTHING) else ""


def _apply(gate: Gate, group: list[Member]) -> Judgement | None:
    judged = [member for member in group if gate.quantity(member.quantity)]
    if not judged:
        return None
    worst = max(judged, key=lambda member: gate.badness(member.estimate.value))
    return Judgement(
        gate.words,
        gate.bounds,
        worst.estimate.value,
        worst.estimate.error,
        worst.model.seed,
        all(gate.holds(member.estimate.value) for member in judged),
    )


def _is_collapsed(group: list[Member]) -> bool:
    (gate,) = COLLAPSED
    return all(gate.holds(member.estimate.value) for member in group if gate.quantity(member.quantity))


def _words(group: list[Member], subject: str, expected: str, judgements: tuple[Judgement, ...]) -> str:
    failed = [judgement.words for judgement in judgements if not judgement.holds]
    if is_thermal(subject):
        if not expected:
            return "not judged: at this beta energies are traded for order parameters"
        return "not within the gates: " + ", ".join(failed) if failed else "what is drawn has the energies of the data"
    if _is_collapsed(group):
        return "collapsed: the latents carry nothing"
    if subject == POINT:
        return "one parameter point: not judged for order"
    ratio = group[0].model.beta_over_lam
    if expected == "collapse":
        return "not collapsed, though beta is above the top eigenvalue"
    if subject == LABELS:
        return "not judged: nothing says what the latents of these classes should be"
    if subject == NOTHING:
        return "not judged: neither order parameters nor classes are known"
    matched = [member.estimate.value for member in group if member.quantity.startswith("kl_of_")]
    if ratio >= COLLAPSE_FRACTION:
        return f"collapse announced: beta is at least {COLLAPSE_FRACTION:g} lam"
    if matched and min(matched) <= COLLAPSED[0].high:
        return "partly collapsed: at least one latent of one seed carries nothing"
    if expected:
        return "not within the gates: " + ", ".join(failed) if failed else _outcome(group, subject)
    if ratio >= WARN_FRACTION:
        return f"beta is at least {WARN_FRACTION:g} lam: the axes align too slowly to be relied on"
    return "not judged: beta is outside the range where the rule applies"


def _outcome(group: list[Member], subject: str) -> str:
    """What it means that all gates hold."""
    if subject != CLASSES:
        return OUTCOMES.get(subject, "each latent is one order parameter")
    arrangement = _arrangement(group)
    return f"{OUTCOMES[subject]}; {arrangement}" if arrangement else OUTCOMES[subject]


def _arrangement(group: list[Member]) -> str:
    """Where the centres of the classes lie, counted over seeds; empty where it is not known."""
    from analysis.latent_space.geometry import arrangement

    counts: dict[str, int] = {}
    for member in group:
        if member.quantity.startswith("thickness_"):
            value, error, *_ = member.estimate
            shape = arrangement(value, 0.0 if isnan(error) else error)
            counts[shape] = counts.get(shape, 0) + 1
    names = {"flat": "the one without order in the plane of the others", "simplex": "all equally far from each other"}
    named = {names.get(shape, "neither flat nor equally far from each other"): n for shape, n in counts.items()}
    if len(named) <= 1:
        return next(iter(named), "")
    return "; ".join(f"{words} ({_plural(count, 'seed')})" for words, count in named.items())


def verdict_text(verdicts: Iterable[Verdict]) -> str:
    """The verdict for a terminal: per setting a line, what the gates saw of its worst seed, and what they asked for."""
    lines = []
    for verdict in verdicts:
        mark = {True: "holds ", False: "FAILS ", None: "      "}[verdict.holds]
        lines.append(
            f"{mark} {verdict.name}: {words(verdict.network, verdict.input)}, L = {verdict.size}, "
            f"beta = {verdict.beta:.4g} ({verdict.beta_over_lam:.2f} lam), {_plural(verdict.seeds, 'seed')}: "
            f"{verdict.words}"
        )
        parts = [f"{gate.words} {value_text(gate.worst, gate.error)}" for gate in verdict.judgements]
        if parts:
            lines.append(f"         worst seed: {', '.join(parts)}")
        missed = [f"{gate.words} {gate.bounds}" for gate in verdict.judgements if not gate.holds]
        if missed and verdict.holds is False:
            lines.append(f"         asked for: {', '.join(missed)}")
    return "\n".join(lines) + "\n"


def read_verdicts(path: Place) -> list[Verdict]:
    """What ``verdict.json`` holds.

    Raises:
        FileNotFoundError: the analyze stage has not been carried out.
        Unreadable: the file is not what that stage writes.
    """
    return read_json(list[Verdict], path)


def value_text(value: float, error: float = nan) -> str:
    """A value with its error in brackets."""
    if isnan(value):
        return "undefined"
    return f"{value:.1e}" if 0 < abs(value) < 1e-4 else str(Estimate(value, error, 0, ""))


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
