"""Values that a system rounds are stored as they are used, and said; so is what is allowed but coarse."""

from pathlib import Path
from typing import Any

import pytest

from workflow.plan.cautions import cautions
from workflow.plan.tasks import simulation_tasks
from workflow.study.blocks import Study
from workflow.study.loading import StudyError, parse


def study_of(**entries: Any) -> Study:
    block = {"system": "hubbard", "size": 2, "interaction": 4.0, "temperature": 0.5, "samples": 64, **entries}
    return parse({"name": "test", "seed": 1, "simulate": [block]}, "test", Path())


def test_steps_that_fit_are_left_alone() -> None:
    study = study_of()
    assert cautions(study) == []
    assert study.simulate[0].points[0]["trotter_step"] == 0.1


def test_the_step_really_used_is_stored_and_said() -> None:
    study = study_of(temperature=[0.5, 0.7], trotter_step=0.1)
    steps = [dict(task.spec)["trotter_step"] for task in simulation_tasks(study)]
    assert steps == pytest.approx([0.1, 1 / (0.7 * 14)], abs=1e-12)
    assert cautions(study) == ["simulate.0.trotter_step: the nearest possible are taken: 0.102"]


def test_a_saved_study_means_the_same_points() -> None:
    """Its resolved form holds the step that was asked for, not that of its first point."""
    study = study_of(temperature=[0.7, 0.5])
    again = parse(study.resolved, "again", Path())
    assert again.simulate[0].points == study.simulate[0].points
    assert [task.task_id for task in simulation_tasks(again)] == [task.task_id for task in simulation_tasks(study)]


def test_steps_that_come_out_the_same_are_one_point() -> None:
    assert len(study_of(trotter_step=[0.1, 0.101]).simulate[0].points) == 1


def test_coarse_slices_are_said_and_nonsense_is_refused() -> None:
    (text,) = cautions(study_of(interaction=[4.0, 10.0]))
    assert text.startswith("simulate.0: dtau |U| = 1 (U = 10)")
    with pytest.raises(StudyError, match=r"simulate\.0\.size: must be even") as caught:
        study_of(size=[2, 3], interaction=[4.0, -4.0])
    assert 'simulate.0.interaction: must not be negative in the spin channel, got -4.0; take channel = "charge"' in str(
        caught.value
    )
