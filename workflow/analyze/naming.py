"""What things are called where people read them: order parameters, phases, parameters, numbers with their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analysis.errors import Estimate
from analysis.phases import DISORDERED
from workflow.verdict.judging import value_text

ORDER_NAMES = {"magnetization": "m", "staggered_magnetization": r"m_\mathrm{stag}"}
PHASE_NAMES = {"magnetization": "FM", "staggered_magnetization": "AFM", DISORDERED: "PM"}
SYMBOLS = {"temperature": "temperature $T$", "hopping": r"hopping $\kappa$"}
"""Axis labels of scanned parameters."""
SHORT = {
    "coupling": "J",
    "states": "q",
    "quartic": r"\lambda",
    "crystal_field": "D",
    "temperature": "T",
    "interaction": "U",
    "hybridization": "V",
}
"""Symbols of what parameter points are told apart by."""
PLAIN = {"temperature": "T", "coupling": "J", "hopping": "κ"}
"""Symbols where text is not set as mathematics."""


def written(number: Estimate | None) -> str:
    """A number with its error in brackets; nothing of None."""
    return "" if number is None else value_text(number.value, number.error)


def order_name(name: str) -> str:
    """An order parameter, or a component of one, as mathematics: ``magnetization_x`` is m_x."""
    for stem in sorted(ORDER_NAMES, key=len, reverse=True):
        if name == stem:
            return f"${ORDER_NAMES[stem]}$"
        if name.startswith(f"{stem}_"):
            index = name.removeprefix(f"{stem}_")
            symbol = ORDER_NAMES[stem]
            inner = symbol.partition("_")[2]
            return f"$m_{{{inner}{',' if inner else ''}{index}}}$"
    return name.replace("_", " ")


def words(name: str) -> str:
    """A phase or order parameter for people."""
    return PHASE_NAMES[name] if name == DISORDERED else name.replace("_", " ")


def symbolic(name: str, value: float | str) -> str:
    """A parameter and its value, by its symbol where it has one."""
    return f"${SHORT[name]}={float(value):g}$" if name in SHORT else f"{name.replace('_', ' ')} {value}"


def branch_label(label: str, among: Iterable[str]) -> str:
    """``coupling = 1.0; field = 0.0`` in short: couplings, and of the rest what is not the same in all of ``among``."""
    parts = [part.split(" = ") for part in label.split("; ") if " = " in part and part != "field = 0.0"]
    others = [set(other.split("; ")) for other in among]
    told = [part for part in parts if part[0] in SHORT or not all(" = ".join(part) in other for other in others)]
    return ", ".join(symbolic(name, value) for name, value in told)


def axis_label(parameter: str) -> str:
    """Of a scanned parameter."""
    return SYMBOLS.get(parameter, parameter.replace("_", " "))


def point_label(point: Mapping[str, int | float | str]) -> str:
    """A parameter point in short: ``T=1.5_J=1``, or all of its numbers where it has no temperature and coupling."""
    symbols = {PLAIN[name]: point[name] for name in ("temperature", "coupling") if name in point}
    return point_numbers(symbols or point, equals="=", between="_")


def point_title(point: Mapping[str, int | float | str]) -> str:
    """What has a symbol, of a parameter point: ``T = 1.5, J = 1``."""
    return point_numbers({PLAIN[name]: value for name, value in point.items() if name in PLAIN})


def point_numbers(point: Mapping[str, int | float | str], *, equals: str = " = ", between: str = ", ") -> str:
    """All numbers of a parameter point: ``size = 8, temperature = 1.5``."""
    return between.join(f"{name}{equals}{value:g}" for name, value in point.items() if isinstance(value, int | float))
