"""What a system module offers, and how it is found.

A *system* is physics: a Hamiltonian on a lattice with the Monte Carlo that samples it.  Its module in
``simulators.systems`` is its only registration; module ``blume_capel`` is the system ``blume-capel``.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

import simulators.systems

ENCODINGS = ("bits", "int8", "float32")


class UnknownSystem(ValueError):
    """No module of ``simulators.systems`` has this name."""


class IncompleteSystem(ValueError):
    """The module lacks something that every system must offer, or offers something unusable."""


class SpecError(ValueError):
    """A parameter point that is not physical; carries every problem at once.

    Attributes:
        problems: (field, message) pairs, such as ``("temperature", "must be positive, got -1.0")``.
    """

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        # The argument as it came, so that the exception survives pickling between processes.
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(f"{field}: {message}" for field, message in self.problems)


def require(*rules: tuple[bool, str, str]) -> None:
    """Check the rules ``(holds, field, message)`` of a spec.

    Raises:
        SpecError: with every rule that does not hold.
    """
    problems = tuple((field, message) for holds, field, message in rules if not holds)
    if problems:
        raise SpecError(problems)


class Spec(Protocol):
    """One parameter point: a frozen, keyword-only dataclass whose fields are the dataset's columns."""

    @property
    def size(self) -> int:
        """Linear size L of the lattice, in sites."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of one configuration."""


class Simulation(Protocol):
    """Many independent Markov chains of one spec; ``simulators.chains.Chains`` has most of it ready.

    ``Simulation(spec, hot, algorithm, rng)``: chain r starts at infinite temperature where ``hot[r]``, else in one
    of the degenerate ordered states, drawn at random.  The constructor ends ready to thermalize: stripes and the
    like, which local moves cannot shed, are gone.  All randomness comes from ``rng``.
    """

    kinds: ClassVar[Mapping[str, Any]]
    """Algorithm -> its updates, with ``nanoseconds``, the cost of one site and sweep, as a class constant.

    ``numerics``, a dictionary of what a certificate should tell of rounding and the like, may be left out.
    """

    def __init__(self, spec: Any, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None: ...

    def advance(self, sweeps: int) -> None:
        """Run the chains; returns to the interpreter at least every two seconds, so that it can be interrupted."""

    def configurations(self) -> NDArray[Any]:
        """(chains, channels, rows, columns) states as they are now; int8 or float32, a copy."""

    def measure(self) -> dict[str, NDArray[np.float64]]:
        """``energy``, every order parameter and whatever else is a column, each (chains,) and per site.

        A system with ``EXTRAS`` has ``measure_on_request(wanted)`` beside it, which gives the columns of the wanted
        ones, and by its name each that is an input, (chains, channels, rows, columns).
        """

    @property
    def acceptance(self) -> float:
        """Accepted over proposed moves since the start, of those that are counted; 0 before the first of them."""

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains on one core, from a table and counts, never from a clock."""

    def reduced_energy(self, spec: Any) -> NDArray[np.float64]:
        """(chains,) -ln of the unnormalized weight of the current states under another spec."""

    def exchange(self, other: Self, chosen: NDArray[np.bool_]) -> None:
        """Swap the states of the chosen chains with those of a simulation whose spec differs in ``ladder`` alone."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that a sweep changes."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a ``state``: the rest of the run is the same, bit for bit."""


class Extra(NamedTuple):
    """What a system measures on request alone, since it takes time or room."""

    columns: tuple[str, ...] = ()
    """Further columns, each per site."""
    shape: tuple[int, int, int] | None = None
    """(channels, rows, columns) of a second input of every sample, real numbers; None: it has none."""
    sweeps: float = 0.0
    """About how many sweeps one measurement costs."""


class Fluctuation(NamedTuple):
    """An even observable that the square of an order parameter x gives exactly, on average: in the mean over
    configurations it is ``scale`` x^2 + ``offset`` + the sum of ``terms``, factors of other columns.

    x is a mean over elements with signs, and what is added takes away what each has with itself: of a sum with other
    weights, in proportion to their squares."""

    order: str
    column: str
    """The observable, which may be one that is measured on request alone."""
    by_channel: bool
    """Whether x^2 is the mean of those of every channel (time) by itself, instead of that of all channels together."""
    scale: float
    offset: float
    terms: Mapping[str, float]


class ExactEnergy(NamedTuple):
    """Exact thermal averages of one spec on its finite lattice, per site; what simulations are compared with."""

    energy: float
    specific_heat: float
    """N (<e^2> - <e>^2) / T^2 with the energy e per site of N sites."""


class BondSum(NamedTuple):
    """The energy as a sum over bonds: -J times ``per_site``, and nothing else."""

    coupling: float
    """J."""
    per_site: Callable[[NDArray[Any]], NDArray[np.float64]]
    """(S, features, rows, columns) configurations -> (S,) their sums over all bonds, divided by the number of sites.

    Features are what a decoder of the system's likelihood draws: spins -1 and 1 in one feature for ``bernoulli``, one
    feature per state, 1 where the site has it and else 0, for ``multinomial``."""


class Names(NamedTuple):
    """Observables of one spec."""

    order_parameters: tuple[str, ...]
    columns: tuple[str, ...]
    """What every configuration is stored with: ``energy``, the order parameters, whatever else is measured."""
    magnitudes: tuple[str, ...]
    """``abs_x`` of every order parameter x, and of any other column that is judged by it."""
    judged: tuple[str, ...]
    """Observables, among columns and magnitudes, whose mixing decides about the certificate."""

    @property
    def signed(self) -> bool:
        """Whether weights may be negative: averages are then <x sign> / <sign>, with the column ``sign``."""
        return SIGN in self.columns


class OrderParameter(NamedTuple):
    """One order parameter as physics: the columns that are its components, and how the symmetry acts on them."""

    name: str
    components: tuple[str, ...]
    """Columns, per site; all 0 without order."""
    kind: str = "sign"
    """``sign``: one component that changes sign. ``states``: q components, 1 where state s is everywhere and
    -1 / (q - 1) where another one is, permuted with the states. ``angles``: two components, turned by 2 pi / q.
    ``sublattices``: q components that sum to 0, of which no phases are told apart. ``continuous``: a vector that turns
    by any angle."""
    directions: int = 2
    """Number of ordered phases: 2 by sign, q states or angles, otherwise 1."""


SIGN = "sign"
"""Column of systems whose weights may be negative: 1 or -1; configurations come as often as |weight| says."""
SYMMETRIES = ("translations", "point-group", "time", "flip")
"""What may leave the weight of every configuration as it is: shifts along rows and columns; the eight operations of the
square; cyclic shifts and the reversal of the channels, where these are slices of imaginary time; and x -> -x at all
sites, of states the reversal of their order, s -> first + last - s."""
KINDS = ("sign", "states", "angles", "sublattices", "continuous")

TEMPERING = "tempering"
"""The algorithm that every system has beside its own: parallel tempering with its first one."""


Offer = tuple[str, ...] | Callable[[Any], tuple[str, ...]]
"""Names, or what gives them for a spec."""


@dataclass(frozen=True)
class System:
    """What one system module offers."""

    name: str
    version: int
    """Raised when the system's numbers change."""
    spec: type[Any]
    simulation: type[Simulation]
    algorithms: tuple[str, ...]
    """The first is a local one: it tempers, and ``auto`` tries it wherever it is valid."""
    order_parameters: Offer
    """Names of the order parameters, all per site."""
    encoding: str
    """How a configuration is stored: ``bits``, ``int8`` or ``float32``."""
    likelihood: str
    """The decoder distribution that fits the states."""
    example: Any
    """A small spec, for tests."""
    measured: Offer = ()
    """Names of further columns."""
    judged: Offer | None = None
    """Observables whose mixing decides about a certificate; None: the energy and |x| of every order parameter x, whose
    sign never mixes in an ordered phase."""
    orders: Callable[[Any], tuple[OrderParameter, ...]] | None = None
    """The order parameters of a spec as physics; None: each of ``order_parameters`` is one of kind ``sign``."""
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
    """What users should know of a spec that is allowed, but may not be what they want."""
    symmetries: Offer = ()
    """Which of ``SYMMETRIES`` are exact, sign included; training may turn samples by them."""
    extras: Callable[[Any], Mapping[str, Extra]] = lambda spec: {}
    """What can be measured at a spec on request, by name."""
    fluctuations: Callable[[Any], tuple[Fluctuation, ...]] = lambda spec: ()
    """What squares of order parameters say, exactly, of observables that are measured otherwise."""
    states: range | Callable[[Any], range] | None = None
    """The numbers that a site may hold; of likelihood ``multinomial`` they must be there, others need none."""
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

    def names(self, spec: Any, on_request: tuple[str, ...] = ()) -> Names:
        """The observables of ``spec``, with those of the ``extras`` that are measured on request."""
        order = _offered(self.order_parameters, spec)
        columns = ("energy", *order, *_offered(self.measured, spec))
        columns += tuple(name for extra in on_request for name in self.extras(spec)[extra].columns)
        judged = ("energy", *(f"abs_{x}" for x in order)) if self.judged is None else _offered(self.judged, spec)
        wanted = (*(f"abs_{x}" for x in order), *(name for name in judged if name not in columns))
        return Names(order, columns, tuple(dict.fromkeys(wanted)), judged)

    def orders_of(self, spec: Any) -> tuple[OrderParameter, ...]:
        """The order parameters of ``spec``.

        Raises:
            IncompleteSystem: one of an unknown kind, or with a component that is no column.
        """
        if self.orders is None:
            return tuple(OrderParameter(name, (name,)) for name in _offered(self.order_parameters, spec))
        columns = self.names(spec).columns
        for order in self.orders(spec):
            if order.kind not in KINDS or not set(order.components) <= set(columns):
                raise IncompleteSystem(
                    f"system {self.name!r}: orders must be of kind {', '.join(KINDS)} with components among "
                    f"{', '.join(columns)}, got {order}"
                )
        return self.orders(spec)

    def symmetries_of(self, spec: Any) -> tuple[str, ...]:
        """The exact symmetries of ``spec``.

        Raises:
            IncompleteSystem: an unknown one, or one named twice.
        """
        found = _offered(self.symmetries, spec)
        if not set(found) <= set(SYMMETRIES) or len(set(found)) < len(found):
            raise IncompleteSystem(
                f"system {self.name!r}: SYMMETRIES must be some of {', '.join(SYMMETRIES)}, each once, got {found}"
            )
        return found

    def cannot_measure(self, spec: Any, on_request: tuple[str, ...]) -> str | None:
        """Why something cannot be measured on request at a spec; None if it can."""
        offered = self.extras(spec)
        wrong = next((name for name in on_request if name not in offered), None)
        if wrong is None:
            return None
        if not offered:
            return f"{self.name} measures nothing on request, got {wrong!r}"
        return f"must be some of {', '.join(offered)}, got {wrong!r}"

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


def _offered(offer: Offer, spec: Any) -> tuple[str, ...]:
    return offer(spec) if callable(offer) else tuple(offer)


ATTRIBUTES = {
    "version": "VERSION",
    "spec": "Spec",
    "simulation": "Simulation",
    "algorithms": "ALGORITHMS",
    "order_parameters": "ORDER_PARAMETERS",
    "encoding": "ENCODING",
    "likelihood": "LIKELIHOOD",
    "example": "EXAMPLE",
}
"""Field of ``System`` -> attribute of the module."""
OPTIONAL = {
    "measured": "MEASURED",
    "judged": "JUDGED",
    "orders": "ORDERS",
    "refuse": "refuse",
    "ladder": "LADDER",
    "expected_tau": "expected_tau",
    "site_nanoseconds": "site_nanoseconds",
    "caution": "caution",
    "symmetries": "SYMMETRIES",
    "extras": "EXTRAS",
    "fluctuations": "FLUCTUATIONS",
    "states": "STATES",
    "exact_energy": "EXACT_ENERGY",
    "bond_sum": "BOND_SUM",
    "critical_temperature": "CRITICAL_TEMPERATURE",
}
"""The same for what a module may leave out."""


def names() -> tuple[str, ...]:
    """Every system found, sorted; modules whose name starts with an underscore are not systems."""
    modules = {module.name for module in pkgutil.iter_modules(simulators.systems.__path__)}
    return tuple(sorted(name.replace("_", "-") for name in modules if not name.startswith("_")))


def load(name: str) -> System:
    """The system called ``name``, such as ``blume-capel``.

    Raises:
        UnknownSystem: no such system; the message lists those that exist.
        IncompleteSystem: its module does not keep the contract.
    """
    path = f"simulators.systems.{name.replace('-', '_')}"
    # Asked for every task of a study: folders are searched once for each name.
    module, system = _loaded.get(name, (None, None))
    if system is not None and sys.modules.get(path) is module:
        return system
    known = names()
    if name not in known:
        raise UnknownSystem(f"no system is called {name!r}; there are: {', '.join(known)}")
    module = importlib.import_module(path)
    system = _from_module(name, module)
    _loaded[name] = module, system
    return system


_loaded: dict[str, tuple[ModuleType, System]] = {}
"""What ``load`` has found, with the modules that it is of."""


def _from_module(name: str, module: ModuleType) -> System:
    missing = [attribute for attribute in ATTRIBUTES.values() if not hasattr(module, attribute)]
    if missing:
        raise IncompleteSystem(f"system {name!r} ({module.__file__}) lacks {', '.join(missing)}")
    offered = ATTRIBUTES | {field: name for field, name in OPTIONAL.items() if hasattr(module, name)}
    system = System(name, **{field: getattr(module, attribute) for field, attribute in offered.items()})
    if system.encoding not in ENCODINGS:
        raise IncompleteSystem(
            f"system {name!r}: ENCODING must be one of {', '.join(ENCODINGS)}, got {system.encoding!r}"
        )
    if not system.algorithms:
        raise IncompleteSystem(f"system {name!r}: ALGORITHMS must name at least one, got none")
    if system.likelihood == "multinomial" and system.states is None:
        raise IncompleteSystem(f"system {name!r} ({module.__file__}) lacks STATES, which likelihood multinomial needs")
    return system
