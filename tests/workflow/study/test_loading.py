"""The study file: every problem at once, each at its dotted place, and what a good one resolves to."""

import tomllib
from typing import Any

import pytest
import tomli_w
from studies import TINY, changed

from workflow.study.blocks import Beta
from workflow.study.loading import StudyError, load, parse, preset_names, selected

BAD = [
    (("spam",), 1, "spam: unknown key"),
    (("simulate", 0, "spam"), 1, "simulate.0.spam: unknown key"),
    (("train", 0, "spam"), 1, "train.0.spam: unknown key"),
    (("analyze",), {"spam": 1}, "analyze.spam: unknown key"),
    (("name",), None, "name: is missing"),
    (("name",), "../up", "name: must consist of letters, digits, '.', '_' and '-', got '../up'"),
    (("seed",), -1, "seed: should be greater than or equal to 0, got -1"),
    (("seed",), "7", "seed: should be a valid integer, got '7'"),
    (("simulate",), [], "simulate: a study needs at least one [[simulate]] block"),
    (("simulate",), {"system": "ising"}, "simulate: must be written as [[simulate]] blocks"),
    (
        ("simulate", 0, "system"),
        "isng",
        "simulate.0.system: no system is called 'isng'; there are: anderson, blume-capel, clock, hubbard, ising",
    ),
    (("simulate", 0, "temperature"), None, "simulate.0.temperature: is missing; the system ising needs it"),
    (("simulate", 0, "temperature"), "hot", "simulate.0.temperature: input should be a valid number, got 'hot'"),
    (("simulate", 0, "temperature"), [2.0, -1.0], "simulate.0.temperature: must be positive, got -1.0"),
    (("simulate", 0, "temperature"), 0.0, "simulate.0.temperature: must be positive, got 0.0"),
    (("simulate", 0, "temperature"), [], "simulate.0.temperature: must name at least one value, got an empty list"),
    (("simulate", 0, "temperature"), [2.0, 2.0], "simulate.0.temperature: must not repeat a value, got 2.0"),
    (
        ("simulate", 0, "temperature"),
        {"start": 1.0, "stop": 2.0},
        "simulate.0.temperature: a range needs exactly start, stop and count, got start, stop",
    ),
    (
        ("simulate", 0, "temperature"),
        {"start": 1.0, "stop": 2.0, "count": 0},
        "simulate.0.temperature: count of a range must be a whole number from 1, got 0",
    ),
    (("simulate", 0, "size"), [7, 8], "simulate.0.size: must be even and at least 4, got 7"),
    (("simulate", 0, "size"), [2, 8], "simulate.0.size: must be even and at least 4, got 2"),
    (("simulate", 0, "size"), 8.0, "simulate.0.size: input should be a valid integer, got 8.0"),
    (("simulate", 0, "samples"), 0, "simulate.0.samples: should be greater than or equal to 1, got 0"),
    (("simulate", 0, "samples"), 40, "simulate.0.samples: must be at least the number of chains, 64"),
    (("simulate", 0, "algorithm"), "woolf", "simulate.0.algorithm: must be one of auto, metropolis"),
    (("simulate", 0, "spacing"), 0, "simulate.0.spacing: should be greater than or equal to 1"),
    (("train", 0, "beta"), -1, "train.0.beta: must be positive, got -1"),
    (("train", 0, "beta"), ["auto", -2.0], "train.0.beta.1: must be positive, got -2.0"),
    (("train", 0, "beta"), "half", 'train.0.beta: must be a number, "auto" or a multiple such as "0.6 lam"'),
    (("train", 0, "beta"), "1.2.3 lam", 'train.0.beta: must be a number, "auto" or a multiple such as "0.6 lam"'),
    (("train", 0, "beta"), [], "train.0.beta: must name at least one value, each once, got []"),
    (("train", 0, "seed"), [1, 1], "train.0.seed: must name at least one value, each once, got [1, 1]"),
    (("train", 0, "network"), "deep", "train.0.network: should be 'shallow', 'table-1' or 'convolutional'"),
    (("train", 0, "epochs"), 1, 'train.0.epochs: must be at least 2 with axes = "quartimax", got 1'),
    (("train", 0, "precision"), "float16", "train.0.precision: should be 'float32' or 'bfloat16', got 'float16'"),
    (("train", 0, "compile"), "yes", "train.0.compile: should be a valid boolean, got 'yes'"),
    (("train", 0, "workers"), 0, "train.0.workers: should be greater than or equal to 1 or should be 'auto', got 0"),
    (("train", 0, "workers"), "all", "train.0.workers: should be a valid integer or should be 'auto', got 'all'"),
    (("train", 0, "workers"), 129, "train.0.workers: must be at most batch, 128, to share it; got 129"),
    (("train", 0, "padding"), "same", "train.0.padding: is a setting of table-1"),
    (("train", 0, "size"), 16, "train.0.size: no selected shard has L = 16; there are [4, 8]"),
    (("train", 0, "select"), {"spin": 1}, "train.0.select.spin: unknown field; there are"),
    (("train", 0, "select"), {"system": {"start": 1, "stop": 2}}, "train.0.select.system: must be a name or a list"),
    (("train", 0, "seed"), 2**63, "train.0.seed: should be less than 9223372036854775808"),
    (("train", 0, "select"), {"temperature": 9.0}, "train.0.select: matches no shard of this study"),
    (("train", 0, "select"), {"temperature": {"from": 1}}, "train.0.select.temperature: a range needs start and stop"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD, ids=[message[:48] for _, _, message in BAD])
def test_every_mistake_has_its_place_and_says_what_is_wrong(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse(changed(*path, to=value))
    assert message in str(caught.value)


def test_the_good_study_is_accepted() -> None:
    """Negative control of the list above: what the changes start from has no problem."""
    assert parse(TINY).name == "tiny"


def test_networks_that_need_certain_sizes_say_so() -> None:
    study = changed("simulate", 0, "size", to=[4, 6])
    parse(study)
    study["train"][0]["network"] = ["shallow", "convolutional", "table-1"]
    with pytest.raises(StudyError) as caught:
        parse(study)
    message = "train.0.network: table-1 needs rows and columns that are multiples of 4, got (6, 6)"
    assert [str(problem) for problem in caught.value.problems] == [message]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"model": "beta2-vae", "likelihood": "thermal"},
            'train.0.model: "beta2-vae" needs a likelihood with one linear',
        ),
        ({"variance": 2.0}, "train.0.variance: is a setting of the Gaussian likelihood, not of bernoulli"),
        ({"local_beta": 0.1}, "train.0.local_beta: is a setting of the model beta2-vae, not of beta-vae"),
        ({"latent": 0}, "train.0.latent: should be greater than or equal to 1, got 0"),
        ({"restarts": 0}, "train.0.restarts: should be greater than or equal to 1, got 0"),
        ({"beta": "0.2 lam_0"}, 'train.0.beta: must be a number, "auto" or a multiple'),
    ],
)
def test_settings_of_networks_that_do_not_go_together(entries: dict[str, Any], message: str) -> None:
    study = changed("train", 0, "beta", to="auto")
    study["train"][0] |= entries
    with pytest.raises(StudyError) as caught:
        parse(study)
    assert message in str(caught.value)


def test_points_may_not_be_repeated_between_blocks() -> None:
    study = changed("train", to=[])
    study["simulate"].append({**study["simulate"][0], "temperature": [1.2, 2.0], "samples": 64})
    with pytest.raises(StudyError, match=r"simulate\.1: repeats a point of simulate\.0: size = 4, .* and 3 more"):
        parse(study)


def test_all_problems_are_reported_at_once() -> None:
    study = changed("seed", to=-1)
    study["simulate"][0] |= {"temperature": -1.0, "samples": 0}
    study["train"][0] |= {"epochs": 0, "beta": -1}
    with pytest.raises(StudyError) as caught:
        parse(study)
    places = {problem.place for problem in caught.value.problems}
    assert places == {"seed", "simulate.0.temperature", "simulate.0.samples", "train.0.epochs", "train.0.beta"}


@pytest.mark.parametrize("source", ["no-such-preset", "no/such/file.toml"])
def test_a_study_that_is_not_there(source: str) -> None:
    with pytest.raises(StudyError, match="is neither a file nor a preset"):
        load(source)


@pytest.mark.parametrize("name", preset_names())
def test_presets_resolve_and_resolving_changes_nothing(name: str) -> None:
    study = load(name)
    assert parse(tomllib.loads(tomli_w.dumps(study.resolved))) == study


def test_ranges_are_inclusive_and_rounded() -> None:
    study = parse(changed("simulate", 0, "temperature", to={"start": 1.0, "stop": 4.0, "count": 31}))
    temperatures = sorted({point["temperature"] for point in study.simulate[0].points})
    assert temperatures == [round(1 + i / 10, 1) for i in range(31)]


def test_beta_in_units_of_the_top_eigenvalue() -> None:
    betas = parse(TINY).train[0].betas
    assert betas == (Beta(0.2, relative=True), Beta(1.1, relative=True))
    assert [beta.resolve([50.0]) for beta in betas] == pytest.approx([10.0, 55.0])
    (second,) = parse(changed("train", 0, "beta", to="0.5 lam_2")).train[0].betas
    assert second.resolve([50.0, 30.0]) == pytest.approx(15.0)
    assert str(second) == "0.5 lam_2"


def test_auto_beta_of_the_thermal_likelihood() -> None:
    study = changed("train", 0, "beta", to="auto")
    study["train"][0]["likelihood"] = "thermal"
    assert parse(study).train[0].betas == (Beta(2.0, relative=False),)


def test_selection_by_value_list_and_range() -> None:
    study = parse(changed("train", 0, "select", to={"coupling": 1.0, "temperature": {"start": 1.0, "stop": 2.0}}))
    points = [point for _, point in selected(study.train[0], study.simulate)]
    assert {(p["coupling"], p["temperature"]) for p in points} == {(1.0, 1.2)}


def test_another_seed_from_the_command_line() -> None:
    assert load("quickstart", seed=11).seed == 11
