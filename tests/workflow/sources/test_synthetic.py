"""The paper's synthetic set: the stated frequencies, independent sites, the same bytes again."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from workflow.sources import synthetic
from workflow.study.loading import parse

FALSE_ALARM = 1e-5
"""Chance that a correct sampler fails one case; the seeds are fixed. Four rows: 4e-5 together."""


def p_value(drawn_with: tuple[float, ...], compared_with: tuple[float, ...], seed: int) -> float:
    """Chi-square of the states of independent sites."""
    states = synthetic.draw(drawn_with, 400, 256, np.random.default_rng(seed))
    counts = np.bincount(states.reshape(-1), minlength=len(compared_with))
    return float(chisquare(counts, np.array(compared_with) * states.size).pvalue)


@pytest.mark.parametrize("row", synthetic.PAPER)
def test_states_occur_as_often_as_they_should(row: tuple[float, ...]) -> None:
    assert p_value(row, row, seed=3) > FALSE_ALARM


def test_three_percent_too_much_of_one_state_is_noticed() -> None:
    """Negative control."""
    assert p_value(synthetic.PAPER[0], (0.343333, 0.328333, 0.328334), seed=3) < FALSE_ALARM


def test_neighbouring_sites_are_independent() -> None:
    """Chi-square of the nine pairs of states of neighbours that share no site."""
    states = synthetic.draw(synthetic.PAPER[1], 400, 256, np.random.default_rng(5)).reshape(-1, 2)
    counts = np.bincount(3 * states[:, 0] + states[:, 1], minlength=9)
    expected = np.outer(synthetic.PAPER[1], synthetic.PAPER[1]).reshape(-1) * len(states)
    assert chisquare(counts, expected).pvalue > FALSE_ALARM
    paired = np.repeat(states[:, :1], 2, axis=1)
    assert chisquare(np.bincount(3 * paired[:, 0] + paired[:, 1], minlength=9), expected).pvalue < FALSE_ALARM


def test_memory_does_not_change_the_states(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = synthetic.draw(synthetic.PAPER[2], 50, 16, np.random.default_rng(2))
    monkeypatch.setattr(synthetic, "CHUNK", 7 * 16)
    np.testing.assert_array_equal(synthetic.draw(synthetic.PAPER[2], 50, 16, np.random.default_rng(2)), whole)


def test_what_cannot_occur_does_not() -> None:
    states = synthetic.draw((0.0, 0.5, 0.0, 0.5), 100, 100, np.random.default_rng(1))
    assert set(np.unique(states)) == {1, 3}


def test_rows_are_normalized() -> None:
    assert synthetic.normalized((0.3333, 0.3333, 0.3333)) == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=1e-15)


@pytest.mark.parametrize(
    ("row", "message"),
    [((1.0,), "at least two"), ((1.2, -0.2), "between 0 and 1"), ((0.5, 0.4), "must add up to 1.*0.9")],
)
def test_bad_rows(row: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic.normalized(row)


def test_names_of_rows() -> None:
    assert synthetic.names(synthetic.PAPER) == ("disordered", "state 0", "state 1", "state 2")
    assert synthetic.names([(0.5, 0.5), (0.9, 0.1), (0.8, 0.2)]) == ("disordered", "state 0", "row 2")
    assert synthetic.names([(0.4, 0.4, 0.2)]) == ("row 0",)


def study(**change: Any) -> dict[str, Any]:
    return {"name": "s", "data": [{"name": "synthetic", "source": "multinomial", "size": 8, "samples": 70} | change]}


def test_tasks_of_the_papers_set() -> None:
    (source,) = parse(study()).data
    assert [dict(task.spec)["row"] for task in source.tasks] == [0, 1, 2, 3]
    assert dict(source.tasks[0].spec)["probability_0"] == 1 / 3
    info = source.tasks[1].info
    assert (info.shape, info.stored) == ((1, 8, 8), ("states", 3, 0))
    assert info.labels == ("disordered", "state 0", "state 1", "state 2")
    assert info.order_parameters == ()


def ids(raw: dict[str, Any]) -> set[str]:
    return {task.task_id for task in parse(raw).data[0].tasks}


def test_a_row_or_a_size_more_changes_no_other_task() -> None:
    more = study(probabilities=[*map(list, synthetic.PAPER), [0.2, 0.4, 0.4]], size=[8, 12])
    assert len(ids(more)) == 10
    assert ids(study()) < ids(more)
    assert ids(study() | {"seed": 1}).isdisjoint(ids(more))


def test_the_resolved_study_means_the_same() -> None:
    """To the last bit of probabilities that had to be normalized."""
    first = parse(study(probabilities=[[0.3333, 0.3333, 0.3333], [0.7, 0.2, 0.1]]))
    assert parse(first.resolved).data == first.data
