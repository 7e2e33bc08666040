"""From the analysis of single models to records, and from records to a verdict with stated gates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.blocks import Study
from workflow.decoder_records import decoder_records
from workflow.latent_records import latent_records
from workflow.layout import RunDirectory, write_whole
from workflow.plan import training_runs
from workflow.restarts import kept

Record = dict[str, Any]


class Gate(NamedTuple):
    """One condition of the verdict, on the worst seed."""

    words: str
    quantity: Callable[[str], bool]
    """Which records it judges, by the record's quantity."""
    low: float
    high: float

    def holds(self, value: float | None) -> bool:
        return value is not None and self.low <= value <= self.high

    @property
    def bounds(self) -> str:
        if self.low == -float("inf"):
            return f"<= {self.high:g}"
        return f">= {self.low:g}" if self.high == float("inf") else f"{self.low:g} to {self.high:g}"


INFINITY = float("inf")
DISENTANGLED = (
    Gate("KL per unit (nat)", lambda q: q.startswith("kl_of_"), 0.3, INFINITY),
    Gate("|corr| on its own axis", lambda q: q.startswith("correlation_"), 0.97, INFINITY),
    Gate("|corr| across", lambda q: q == "cross_correlation", -INFINITY, 0.15),
    Gate("angle to the axes (deg)", lambda q: q == "angle", -INFINITY, 10),
    Gate("cluster accuracy", lambda q: q == "accuracy", 0.99, INFINITY),
    Gate("isometry ratio", lambda q: q.startswith("isometry_"), 1.9, 2.1),
)
"""What "each latent is an order parameter" means; KL first, since a collapsed network still correlates."""
COLLAPSED = (Gate("KL per unit (nat)", lambda q: q.startswith("kl_"), -INFINITY, 0.02),)
"""What "collapsed" means."""
RULE = (0.06, WARN_FRACTION)
"""beta / lam from and below which order parameters should be found."""
BEYOND = 1.1
"""beta / lam from which the latents should be collapsed."""


class Judgement(NamedTuple):
    """One gate applied to the seeds of one setting."""

    words: str
    bounds: str
    worst: float | None
    error: float | None
    seed: int | None
    holds: bool


class Verdict(NamedTuple):
    """What the seeds of one setting (block, network, size, beta) came to."""

    name: str
    network: str
    size: int
    beta_setting: str
    beta: float
    beta_over_lam: float
    seeds: int
    expected: str
    """"order parameters", "collapse" or "" (outside the range of either gate)."""
    holds: bool | None
    words: str
    judgements: tuple[Judgement, ...]


def records_of(content: dict[str, Any]) -> list[Record]:
    """The headline numbers of one analyzed model."""
    result = content["result"]
    names = content["order_parameters"]
    common = {
        "system": result["system"],
        "size": result["size"],
        "network": result["model"]["network"],
        "name": result["name"],
        "beta": result["beta"],
        "beta_setting": result["beta_setting"],
        # Rounded, so that a setting such as "0.06 lam" is the ratio it says.
        "beta_over_lam": round(result["beta"] / result["top_eigenvalue"], 9),
        "seed": result["seed"],
        "train_id": result["train_id"],
    }
    found: list[tuple[str, dict[str, Any] | None]] = []
    information = content["information"]
    found += [(f"kl_{unit}", estimate) for unit, estimate in enumerate(information["divergence"])]
    found.append(("active_units", _count(len(information["active"]), content["held_out_samples"])))
    found.append(("psi4", information["psi4"]))
    found.append(("reconstruction", content["reconstruction"]))
    if (matched := content["correlation"]) is not None:
        orders = [names[content["orders"][pair["order"]]] for pair in matched["pairs"]]
        kl = [information["divergence"][content["units"][pair["latent"]]] for pair in matched["pairs"]]
        found += [(f"kl_of_{order}", estimate) for order, estimate in zip(orders, kl, strict=True)]
        found += [(f"correlation_{order}", pair["own"]) for order, pair in zip(orders, matched["pairs"], strict=True)]
        found += [("cross_correlation", matched["cross"]), ("angle", matched["angle"]), ("cosine", matched["cosine"])]
        if (rotated := matched["rotated"]) is not None:
            found += [(f"rotated_correlation_{o}", e) for o, e in zip(orders, rotated["own"], strict=True)]
            found.append(("rotation_angle", rotated["angle"]))
    if content["separation"] is not None:
        found.append(("accuracy", content["separation"]["accuracy"]))
    found += [(f"isometry_{order}", estimate) for order, estimate in content["isometry"].items()]
    found += [(f"generated_{share['phase']}", share["share"]) for share in content["generated"] or []]
    found += latent_records(content) + decoder_records(content)
    return [_record(quantity, estimate, common) for quantity, estimate in found if estimate is not None]


def _count(value: int, samples: int) -> dict[str, Any]:
    return {"value": value, "error": 0, "samples": samples, "method": "units with more than 0.1 nat"}


def _record(quantity: str, estimate: dict[str, Any], common: dict[str, Any]) -> Record:
    return {
        "quantity": quantity,
        **common,
        "estimate": estimate["value"],
        "error": estimate["error"],
        "samples": estimate["samples"],
        "method": estimate["method"],
    }


def gates_of(accuracy: float) -> tuple[Gate, ...]:
    """The conditions of "each latent is an order parameter", with what the study asks of the cluster accuracy."""
    return tuple(gate._replace(low=accuracy) if gate.words == "cluster accuracy" else gate for gate in DISENTANGLED)


def judge(records: Iterable[Record], gates: tuple[Gate, ...] = DISENTANGLED) -> list[Verdict]:
    """A verdict per setting, in the order of the records."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if "train_id" in record:
            key = tuple(record[k] for k in ("name", "network", "size", "beta_setting"))
            groups.setdefault(key, []).append(record)
    return [_judge_group(group, gates) for group in groups.values()]


def _judge_group(group: list[Record], gates: tuple[Gate, ...]) -> Verdict:
    first = group[0]
    ratio = first["beta_over_lam"]
    expected = ""
    if RULE[0] <= ratio < RULE[1]:
        expected = "order parameters"
    elif ratio >= BEYOND:
        gates, expected = COLLAPSED, "collapse"
    judgements = tuple(judgement for gate in gates if (judgement := _apply(gate, group)) is not None)
    holds = all(judgement.holds for judgement in judgements) if judgements and expected else None
    return Verdict(
        name=first["name"],
        network=first["network"],
        size=first["size"],
        beta_setting=first["beta_setting"],
        beta=first["beta"],
        beta_over_lam=ratio,
        seeds=len({record["seed"] for record in group}),
        expected=expected,
        holds=holds,
        words=_words(group, expected, judgements),
        judgements=judgements,
    )


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


def _words(group: list[Record], expected: str, judgements: tuple[Judgement, ...]) -> str:
    matched = [record["estimate"] for record in group if record["quantity"].startswith("kl_of_")]
    strongest = max(record["estimate"] for record in group if record["quantity"].startswith("kl_"))
    collapsed = COLLAPSED[0].high
    if strongest <= collapsed:
        return "collapsed: the latents carry nothing"
    ratio = group[0]["beta_over_lam"]
    if ratio >= COLLAPSE_FRACTION and expected != "collapse":
        return f"collapse announced: beta is at least {COLLAPSE_FRACTION:g} lam"
    if matched and min(matched) <= collapsed:
        return "partly collapsed: at least one latent of one seed carries nothing"
    if expected == "order parameters":
        failed = [judgement.words for judgement in judgements if not judgement.holds]
        return "each latent is one order parameter" if not failed else "not within the gates: " + ", ".join(failed)
    if expected == "collapse":
        return "not collapsed, though beta is above the top eigenvalue"
    if ratio >= WARN_FRACTION:
        return f"beta is at least {WARN_FRACTION:g} lam: the axes align too slowly to be relied on"
    return "not judged: beta is outside the range where the rule applies"


def write_summary(study: Study, run: RunDirectory) -> None:
    """Gather ``summary.json`` and ``verdict.json`` from the results of all models and sizes."""
    records: list[Record] = []
    for item in kept(training_runs(study), run):
        content = json.loads((run.analysis / f"{item.train_id}.json").read_text())
        records += records_of(content)
    for path in sorted(run.analysis.glob("*-L=*.json")):
        content = json.loads(path.read_text())
        common = {"system": content["system"], "size": content["size"], "beta": None, "seed": None}
        records += [
            _record(f"input_isometry_{order}", estimate, common)
            for order, estimate in content.get("isometry", {}).items()
        ]
    write_whole(run.summary, json.dumps(records, indent=1) + "\n")
    gates = gates_of(study.analyze.cluster_accuracy)
    verdicts = [
        {**verdict._asdict(), "judgements": [j._asdict() for j in verdict.judgements]}
        for verdict in judge(records, gates)
    ]
    write_whole(run.verdict, json.dumps(verdicts, indent=1) + "\n")


def verdict_text(verdicts: Iterable[dict[str, Any]]) -> str:
    """The verdict for a terminal: per setting a line, what the gates saw of its worst seed, and what they asked for."""
    lines = []
    for verdict in verdicts:
        mark = {True: "holds ", False: "FAILS ", None: "      "}[verdict["holds"]]
        lines.append(
            f"{mark} {verdict['name']}: {verdict['network']}, L = {verdict['size']}, beta = {verdict['beta']:.4g} "
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
