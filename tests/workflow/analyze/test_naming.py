"""Parameter points as they stand in figures, tables and file names."""

from workflow.analyze.naming import point_label, point_numbers, point_title

ISING = {"size": 8, "temperature": 2.25, "coupling": -1.0, "boundary": "periodic"}
PHI4 = {"size": 8, "hopping": 0.18, "quartic": 1.0}


def test_all_numbers_of_a_point() -> None:
    assert point_numbers(ISING) == "size = 8, temperature = 2.25, coupling = -1"
    assert point_numbers(PHI4, equals=" ") == "size 8, hopping 0.18, quartic 1"
    assert point_numbers({}) == ""


def test_a_title_has_what_has_a_symbol() -> None:
    assert point_title(ISING) == "T = 2.25, J = -1"
    assert point_title(PHI4) == "κ = 0.18"


def test_a_label_is_temperature_and_coupling_or_all_numbers() -> None:
    assert point_label(ISING) == "T=2.25_J=-1"
    assert point_label({"coupling": 1, "temperature": 2.0}) == "T=2_J=1", "in one order"
    assert point_label(PHI4) == "size=8_hopping=0.18_quartic=1"
