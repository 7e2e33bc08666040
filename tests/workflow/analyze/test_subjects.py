"""What a model is judged by, from hand-made analyses."""

from types import SimpleNamespace
from typing import Any

import pytest
from contexts import analysis, information, training

from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.subjects import subject_of
from workflow.verdict import gates

BOTH: Any = SimpleNamespace(pairs=(SimpleNamespace(latent=0), SimpleNamespace(latent=1)))
FIRST: Any = SimpleNamespace(pairs=(SimpleNamespace(latent=0),))


def of(**changed: Any) -> ModelAnalysis:
    known: dict[str, Any] = {"canonical": {"magnetization": None}, "aligned": {}, "correlation": FIRST}
    return analysis(**known | changed)


def thermal(temperature: float) -> ModelAnalysis:
    point = {"size": 4, "temperature": temperature, "coupling": -1.0}
    energies = SimpleNamespace(points=[SimpleNamespace(point=point)])
    return of(trained=training(likelihood="thermal"), energies=energies)


CLASSES: dict[str, Any] = {"order_parameters": (), "canonical": {}}
SUBJECTS: list[tuple[ModelAnalysis, bool, str]] = [
    (of(), False, gates.SIGNS),
    (of(correlation=BOTH), False, gates.SIGNS),
    (of(information=information((0,))), False, gates.SPARE),
    (of(correlation=None), False, gates.NOTHING),
    (of(), True, gates.POINT),
    (of(trained=training(posterior="isotropic")), False, gates.VECTOR),
    (of(order_parameters=("magnetization_0", "magnetization_1")), False, gates.VECTOR),
    (
        of(
            order_parameters=("magnetization_x", "magnetization_y"),
            phases=("magnetization", "disordered"),
            aligned={"magnetization": None},
        ),
        False,
        gates.CONTINUOUS,
    ),
    (of(**CLASSES, phases=("disordered", "state 0")), False, gates.CLASSES),
    (of(**CLASSES, phases=("0", "1")), False, gates.LABELS),
    (of(**CLASSES, phases=("disordered",)), False, gates.NOTHING),
    (thermal(2.0), False, gates.ENERGIES),
    (thermal(2.0), True, gates.POINT_ENERGIES),
    (thermal(2.3), True, gates.HOT_ENERGIES),
]


@pytest.mark.parametrize(("finished", "is_one_point", "subject"), SUBJECTS)
def test_the_subject_follows_from_the_data(finished: ModelAnalysis, is_one_point: bool, subject: str) -> None:
    assert subject_of(finished, is_one_point) == subject
