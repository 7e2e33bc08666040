"""All that one system's file offers, as other packages use it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulators.contract.declarations import (
    ORDER_KINDS,
    POSSIBLE_SYMMETRIES,
    SIGN,
    BondSum,
    ExactEnergy,
    Fluctuation,
    OrderDeclaration,
    RequestedMeasurement,
)
from simulators.contract.simulation import Simulation

TEMPERING = "tempering"
"""The algorithm that every system has beside its own: parallel tempering with its first one."""

NamesOf = tuple[str, ...] | Callable[[Any], tuple[str, ...]]
"""Names, or a function that returns them for a spec."""


class IncompleteSystem(ValueError):
    """The module lacks something that every system must offer, or offers something unusable."""


class ObservableNames(NamedTuple):
    """Names of the observables of one spec."""

    order_parameters: tuple[str, ...]
    columns: tuple[str, ...]
    """Columns stored with every configuration: ``energy``, the order parameters, and all further ones."""
    magnitudes: tuple[str, ...]
    """``abs_x`` of every order parameter x, and of every other column whose magnitude is among ``judged``."""
    judged: tuple[str, ...]
    """Columns and magnitudes that must mix before samples are certified."""

    @property
    def signed(self) -> bool:
        """Whether weights may be negative: averages are then <x sign> / <sign>, with the column ``sign``."""
        return SIGN in self.columns


@dataclass(frozen=True)
class System:
    """What one system's module offers; ``loading.ATTRIBUTES`` and ``OPTIONAL`` say under which names."""

    name: str
    version: int
    """Raised when the system's numbers change."""
    spec: type[Any]
    simulation: type[Simulation]
    algorithms: tuple[str, ...]
    """The first is a local one: it tempers, and ``auto`` tries it wherever it is valid."""
    order_parameters: NamesOf
    """Names of the order parameters, all per site."""
    encoding: str
    """How a configuration is stored: ``bits``, ``int8`` or ``float32``."""
    likelihood: str
    """The decoder distribution that fits the states."""
    example: Any
    """A small spec, for tests."""
    measured: NamesOf = ()
    """Names of further columns."""
    judged: NamesOf | None = None
    """Observables that must mix before samples are certified; None: the energy and |x| of every order parameter x.  The
    sign of x never mixes in an ordered phase."""
    orders: Callable[[Any], tuple[OrderDeclaration, ...]] | None = None
    """The order parameters of a spec with their symmetries; None: each of ``order_parameters`` is of kind ``sign``."""
    refuse: Callable[[Any, str], str | None] = lambda spec, algorithm: None
    """Why an algorithm is not valid at a spec; None if it is."""
    ladder: str = "temperature"
    """Field of the spec that parallel tempering runs over."""
    expected_tau: Callable[[Any, str], float] = lambda spec, algorithm: 10.0
    """Rough autocorrelation time in sweeps of a spec and algorithm: for estimates of cost, and the order in which
    ``auto`` tries algorithms."""
    site_nanoseconds: Callable[[Any, str], float] | None = None
    """Expected cost of one site and sweep of a spec and algorithm; None: the constant of the algorithm's updates."""
    caution: Callable[[Any], str | None] = lambda spec: None
    """A warning to users about a spec that is allowed but may not be what they want; None without one."""
    symmetries: NamesOf = ()
    """Which of ``POSSIBLE_SYMMETRIES`` are exact, sign included; training may transform samples by them."""
    on_request: Callable[[Any], Mapping[str, RequestedMeasurement]] = lambda spec: {}
    """Measurements that a study may ask for at a spec, by name."""
    fluctuations: Callable[[Any], tuple[Fluctuation, ...]] = lambda spec: ()
    """Observables that follow exactly from squares of order parameters."""
    states: range | Callable[[Any], range] | None = None
    """The numbers that a site may hold; required with likelihood ``multinomial``, unused with others."""
    exact_energy: Callable[[Any], ExactEnergy | None] = lambda spec: None
    """The exact energy of a spec, which must have a ``temperature``; None where it is not known.

    ``verify`` and the report compare with it; no simulation and no estimate may read it."""
    bond_sum: Callable[[Any], BondSum | None] = lambda spec: None
    """How the energy of a spec, which must have a ``temperature``, follows from its bonds alone; None where it does
    not, as in a field.

    Analysis then has the energy of what a decoder draws."""
    critical_temperature: Callable[[Any], float | None] = lambda spec: None
    """The temperature above which the infinite lattice has no order; None where it is not known.

    A decoder of one point above it is also judged by the specific heat of what it draws."""

    def states_of(self, spec: Any) -> range:
        """The numbers that a site may hold at ``spec``, of a system of likelihood ``multinomial``.

        Raises:
            IncompleteSystem: the system does not say them.
        """
        if self.states is None:
            raise IncompleteSystem(f"system {self.name!r} lacks STATES")
        return self.states(spec) if callable(self.states) else self.states

    def names(self, spec: Any, requests: tuple[str, ...] = ()) -> ObservableNames:
        """The observables of ``spec``, those of the requested measurements included."""
        order = _names_at(self.order_parameters, spec)
        columns = ("energy", *order, *_names_at(self.measured, spec))
        columns += tuple(name for request in requests for name in self.on_request(spec)[request].columns)
        judged = ("energy", *(f"abs_{x}" for x in order)) if self.judged is None else _names_at(self.judged, spec)
        magnitudes = (*(f"abs_{x}" for x in order), *(name for name in judged if name not in columns))
        return ObservableNames(order, columns, tuple(dict.fromkeys(magnitudes)), judged)

    def orders_of(self, spec: Any) -> tuple[OrderDeclaration, ...]:
        """The order parameters of ``spec``.

        Raises:
            IncompleteSystem: one of an unknown kind, or with a component that is no column.
        """
        if self.orders is None:
            return tuple(OrderDeclaration(name, (name,)) for name in _names_at(self.order_parameters, spec))
        columns = self.names(spec).columns
        for order in self.orders(spec):
            if order.kind not in ORDER_KINDS or not set(order.components) <= set(columns):
                raise IncompleteSystem(
                    f"system {self.name!r}: orders must be of kind {', '.join(ORDER_KINDS)} with components among "
                    f"{', '.join(columns)}, got {order}"
                )
        return self.orders(spec)

    def symmetries_of(self, spec: Any) -> tuple[str, ...]:
        """The exact symmetries of ``spec``.

        Raises:
            IncompleteSystem: an unknown one, or one named twice.
        """
        symmetries = _names_at(self.symmetries, spec)
        if not set(symmetries) <= set(POSSIBLE_SYMMETRIES) or len(set(symmetries)) < len(symmetries):
            raise IncompleteSystem(
                f"system {self.name!r}: SYMMETRIES must be some of {', '.join(POSSIBLE_SYMMETRIES)}, each once, "
                f"got {symmetries}"
            )
        return symmetries

    def cannot_measure(self, spec: Any, requests: tuple[str, ...]) -> str | None:
        """Why one of the requested measurements is not possible at a spec; None if all are."""
        possible = self.on_request(spec)
        unknown = next((name for name in requests if name not in possible), None)
        if unknown is None:
            return None
        if not possible:
            return f"{self.name} measures nothing on request, got {unknown!r}"
        return f"must be some of {', '.join(possible)}, got {unknown!r}"

    def nanoseconds(self, algorithm: str, spec: Any) -> float:
        """Expected cost of one site and sweep on one core."""
        local = self.algorithms[0] if algorithm == TEMPERING else algorithm
        if self.site_nanoseconds is not None:
            return float(self.site_nanoseconds(spec, local))
        return float(self.simulation.kinds[local].nanoseconds)

    def refusal(self, spec: Any, algorithm: str) -> str | None:
        """Why ``algorithm`` cannot sample ``spec``; None if it can."""
        if algorithm not in (*self.algorithms, TEMPERING):
            return f"must be auto or one of {', '.join((*self.algorithms, TEMPERING))}, got {algorithm!r}"
        return self.refuse(spec, self.algorithms[0] if algorithm == TEMPERING else algorithm)


def _names_at(names: NamesOf, spec: Any) -> tuple[str, ...]:
    return names(spec) if callable(names) else tuple(names)
