"""Verdicts on hand-made records: what each kind of study is judged by, that KL comes first, and what must not pass."""

import json
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from contexts import number

from workflow.report.verdict import gate_columns, headline, verdict_markdown, verdict_tables
from workflow.storage.typed_json import to_json
from workflow.study.blocks import AnalyzeBlock
from workflow.verdict import gates
from workflow.verdict.judging import Verdict, judge, read_verdicts, verdict_text
from workflow.verdict.records import ModelLabel, Record, record_from_json, record_to_json

KL = {"kl_0": 0.9, "kl_1": 0.8, "kl_strongest": 0.9}
SIGNS = KL | {
    "kl_of_magnetization": 0.9, "kl_of_staggered_magnetization": 0.8, "correlation_magnetization": 0.99,
    "correlation_staggered_magnetization": 0.98, "cross_correlation": 0.05, "angle": 3.0, "cosine": 0.02, "psi4": 0.99,
    "accuracy": 1.0, "isometry_magnetization": 2.0,
}  # fmt: skip
VECTOR = KL | {"kl_of_magnetization": 0.8, "canonical_magnetization": 0.99, "accuracy": 0.9}
CONTINUOUS = VECTOR | {"aligned_magnetization": 0.99}
CLASSES = KL | {"kl_of_classes": 0.8, "accuracy": 1.0, "thickness_classes": 0.02, "kl_total": 1.7}
LABELS = KL | {"kl_total": 1.7, "active_units": 2.0, "probe_accuracy_means": 0.9}
ENERGIES = KL | {"energy_error_posterior": 0.05}
POINT = KL | {"energy_error_posterior": 0.3, "energy_error_prior": 0.4, "heat_ratio_prior": 0.5}
HOT = POINT | {"energy_error_prior": 0.05, "heat_ratio_prior": 0.9}


def records(subject: str, *seeds: dict[str, float], ratio: float = 0.2, beta: float = 2.0) -> list[Record]:
    """One setting: a dictionary of numbers per seed."""
    return [
        Record(quantity, "ising", 16, number(value, 0.001), model)
        for seed, numbers in enumerate(seeds)
        for model in [ModelLabel("shallow", "raw", "a", beta, "auto", ratio, seed, str(seed), subject)]
        for quantity, value in numbers.items()
    ]


def verdict(subject: str, *seeds: dict[str, float], settings: AnalyzeBlock | None = None, **place: float) -> Verdict:
    (found,) = judge(records(subject, *seeds, **place), settings)
    return found


GOOD = [
    (gates.SIGNS, SIGNS, "each latent is one order parameter"),
    (gates.VECTOR, VECTOR, "the latents carry the order parameter up to a rotation"),
    (gates.CONTINUOUS, CONTINUOUS, "a continuous symmetry prefers no axis"),
    (gates.CLASSES, CLASSES, "every class is told apart; the one without order in the plane of the others"),
    (gates.ENERGIES, ENERGIES, "what is drawn has the energies of the data"),
    (gates.POINT_ENERGIES, POINT | {"energy_error_prior": 0.05}, "what is drawn has the energies of the data"),
]
NOT_JUDGED = [
    (gates.LABELS, LABELS, "nothing says what the latents of these classes should be"),
    (gates.POINT, POINT, "one parameter point: not judged for order"),
    (gates.NOTHING, KL, "neither order parameters nor classes are known"),
]


@pytest.mark.parametrize(("subject", "numbers", "words"), GOOD)
def test_what_holds(subject: str, numbers: dict[str, float], words: str) -> None:
    found = verdict(subject, numbers, numbers)
    assert found.holds is True
    assert found.expected == subject
    assert words in found.words
    assert found.judgements[0].words.startswith("KL"), "KL comes first"


@pytest.mark.parametrize(("subject", "numbers", "words"), NOT_JUDGED)
def test_what_is_not_judged(subject: str, numbers: dict[str, float], words: str) -> None:
    found = verdict(subject, numbers)
    assert (found.holds, found.expected) == (None, "")
    assert words in found.words
    assert all(judgement.bounds == "" for judgement in found.judgements)


BAD = [
    (gates.SIGNS, SIGNS, {"correlation_magnetization": 0.9}, "|corr| on its own axis"),
    (gates.SIGNS, SIGNS, {"cross_correlation": 0.3}, "|corr| across"),
    (gates.VECTOR, VECTOR, {"canonical_magnetization": 0.9}, "smallest canonical corr²"),
    (gates.CONTINUOUS, CONTINUOUS, {"aligned_magnetization": 0.9}, "|corr| after the best rotation"),
    (gates.CLASSES, CLASSES, {"accuracy": 0.9}, "cluster accuracy"),
    (gates.ENERGIES, ENERGIES, {"energy_error_posterior": 0.3}, "energy error (z of the data)"),
    (
        gates.HOT_ENERGIES,
        POINT | {"energy_error_prior": 0.05, "heat_ratio_prior": 0.9},
        {"heat_ratio_prior": 0.5},
        "specific heat / that of the data",
    ),
]


@pytest.mark.parametrize(("subject", "numbers", "change", "gate"), BAD)
def test_one_bad_seed_fails(subject: str, numbers: dict[str, float], change: dict[str, float], gate: str) -> None:
    """Negative controls: the second seed misses one gate, and is named."""
    found = verdict(subject, numbers, numbers | change)
    assert found.holds is False
    assert found.words == f"not within the gates: {gate}"
    (missed,) = [judgement for judgement in found.judgements if not judgement.holds]
    assert (missed.words, missed.seed, missed.worst) == (gate, 1, next(iter(change.values())))


@pytest.mark.parametrize(("subject", "numbers"), [(s, n) for s, n, _ in GOOD[:4]] + [(gates.LABELS, LABELS)])
def test_a_collapsed_network_does_not_pass(subject: str, numbers: dict[str, float]) -> None:
    """Negative control: everything that has no scale is perfect, and nothing is encoded."""
    nothing = {quantity: 0.001 for quantity in numbers if quantity.startswith("kl_")}
    perfect = numbers | {"cosine_contrast": 2.0, "probe_accuracy_means": 1.0, "accuracy": 1.0} | nothing
    found = verdict(subject, perfect)
    assert found.holds is False
    assert found.words == "collapsed: the latents carry nothing"
    expected = verdict(subject, perfect, ratio=1.2)
    assert (expected.holds, expected.expected) == (True, "collapse")
    alive = verdict(subject, numbers, ratio=1.2)
    assert (alive.holds, alive.words) == (False, "not collapsed, though beta is above the top eigenvalue")


def test_a_gate_that_does_not_apply_is_left_out() -> None:
    spare = verdict(gates.SPARE, SIGNS | {"cross_correlation": 0.999})
    assert spare.holds is True, "a latent that carries nothing correlates with anything"
    assert "|corr| across" not in [judgement.words for judgement in spare.judgements]
    assert [j.words for j in verdict(gates.VECTOR, VECTOR).judgements if j.bounds] == [
        "KL per unit (nat)",
        "smallest canonical corr²",
    ]


def test_a_study_can_ask_for_more() -> None:
    strict = AnalyzeBlock(correlation=0.98, angle=8.0, cross=0.12, cosine=0.1, psi4=0.95, isometry=0.05)
    assert verdict(gates.SIGNS, SIGNS, settings=strict).holds is True
    for change in ({"psi4": 0.9}, {"cosine": 0.2}, {"isometry_magnetization": 1.93}, {"angle": 9.0}):
        assert verdict(gates.SIGNS, SIGNS | change).holds is True, "not asked for by default"
        assert verdict(gates.SIGNS, SIGNS | change, settings=strict).holds is False
    assert verdict(gates.VECTOR, VECTOR, settings=AnalyzeBlock(canonical=0.995)).holds is False
    assert verdict(gates.ENERGIES, ENERGIES, settings=AnalyzeBlock(energy=0.04)).holds is False
    assert verdict(gates.SIGNS, SIGNS, settings=AnalyzeBlock(kl=0.85)).holds is False


def test_a_thermal_decoder_of_several_points_is_judged_at_small_beta() -> None:
    assert verdict(gates.ENERGIES, ENERGIES, beta=2.0, ratio=0.01).holds is True
    assert verdict(gates.ENERGIES, ENERGIES | {"energy_error_posterior": 0.4}, beta=25.0).holds is None
    assert verdict(gates.ENERGIES, ENERGIES | {"kl_strongest": 0.01}).holds is False, "phases need a latent"
    assert verdict(gates.POINT_ENERGIES, POINT | {"energy_error_prior": 0.05, "kl_strongest": 0.0}).holds is True


def test_where_the_classes_lie_is_counted_over_seeds() -> None:
    words = verdict(gates.CLASSES, CLASSES, CLASSES | {"thickness_classes": 0.95}).words
    assert "in the plane of the others (1 seed)" in words
    assert "equally far from each other (1 seed)" in words


def listed(*verdicts: Verdict) -> list[Verdict]:
    """Verdicts as they come back from JSON."""
    with NamedTemporaryFile("w+") as file:
        file.write(json.dumps(to_json(verdicts)))
        file.flush()
        return read_verdicts(Path(file.name))


def test_the_headline_says_what_was_judged() -> None:
    collapsed = dict.fromkeys(KL, 0.001)
    found = listed(verdict(gates.SIGNS, SIGNS), verdict(gates.SIGNS, collapsed, ratio=1.2))
    assert headline(found) == (
        "2 of 2 judged settings come out as expected, judged by one order parameter on each axis and a collapse above "
        "λ. At L = 16 every seed's latents are the order parameters, one on each axis."
    )
    mixed = headline(listed(verdict(gates.SIGNS, SIGNS), verdict(gates.SIGNS, SIGNS | {"angle": 40.0})))
    assert mixed == "1 of 2 judged settings come out as expected, judged by one order parameter on each axis."
    assert "(no axis is preferred)" in headline(listed(verdict(gates.CONTINUOUS, CONTINUOUS)))
    assert headline(listed(verdict(gates.POINT, POINT))) == (
        "Nothing was judged. Models of a single parameter point are not judged for order."
    )
    assert "read KL and the probe" in headline(listed(verdict(gates.LABELS, LABELS)))
    assert headline([]) == "No value of beta lies where the gates apply."


def test_tables_have_the_columns_of_their_subject_alone() -> None:
    found = listed(verdict(gates.SIGNS, SIGNS), verdict(gates.POINT, POINT), verdict(gates.SIGNS, SIGNS, ratio=0.01))
    first, second = verdict_tables(found)
    assert [column.words for column in first.columns] == [gate.words for gate in gates.DISENTANGLED]
    assert len(first.rows) == 2
    assert [column.bounds for column in second.columns] == ["", "", ""]
    assert gate_columns(found[:1])[0] == ("KL per unit (nat)", ">= 0.3")
    lines = verdict_markdown(found).splitlines()
    assert [line.count(" | ") for line in lines if line and "---" not in line] == [11, 11, 11, 8, 8]
    assert "holds: each latent is one order parameter" in lines[2]


def test_a_terminal_shows_what_was_asked_for() -> None:
    text = verdict_text(listed(verdict(gates.VECTOR, VECTOR | {"canonical_magnetization": 0.9})))
    assert text.startswith("FAILS  a: shallow, L = 16, beta = 2 (0.20 lam), 1 seed: not within the gates: smallest")
    assert "asked for: smallest canonical corr² >= 0.97" in text


def test_records_are_flat_in_json_and_come_back_as_they_were() -> None:
    """A number in input space is of no model; what is not a number has no place in JSON."""
    (record, *_) = records(gates.SIGNS, SIGNS)
    of_data = record._replace(model=None)
    undefined = record._replace(estimate=number(float("nan")))
    for some in (record, of_data):
        content = json.loads(json.dumps(record_to_json(some)))
        assert {"quantity", "system", "size", "beta", "seed", "estimate", "error", "samples", "method"} <= set(content)
        assert all(not isinstance(value, dict) for value in content.values())
        assert record_from_json(content) == some
    assert record_to_json(undefined)["estimate"] is None
    assert np.isnan(record_from_json(record_to_json(undefined)).estimate.value)


def test_further_gates_are_judged_too() -> None:
    gate = gates.Gate("roughness", lambda quantity: quantity == "roughness", 0.0, 1.0)
    numbers = SIGNS | {"roughness": 2.0}
    (usual,), (further,) = (judge(records(gates.SIGNS, numbers), further=more) for more in ({}, {gates.SIGNS: (gate,)}))
    assert usual.holds is True
    assert further.holds is False and further.judgements[-1].words == "roughness"
