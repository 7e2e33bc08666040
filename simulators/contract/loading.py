"""From the name of a system to its module: the folder ``simulators.systems`` is the only list of them."""

import importlib
import pkgutil
import sys
from types import ModuleType

import simulators.systems
from simulators.contract.system import IncompleteSystem, System

ENCODINGS = ("bits", "int8", "float32")


class UnknownSystem(ValueError):
    """No module of ``simulators.systems`` has this name."""


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
    "on_request": "MEASURED_ON_REQUEST",
    "fluctuations": "FLUCTUATIONS",
    "states": "STATES",
    "exact_energy": "EXACT_ENERGY",
    "bond_sum": "BOND_SUM",
    "critical_temperature": "CRITICAL_TEMPERATURE",
}
"""The same for attributes that a module may leave out."""


def names() -> tuple[str, ...]:
    """All systems, sorted; modules whose name starts with an underscore are not systems."""
    modules = {module.name for module in pkgutil.iter_modules(simulators.systems.__path__)}
    return tuple(sorted(name.replace("_", "-") for name in modules if not name.startswith("_")))


def load(name: str) -> System:
    """The system called ``name``, such as ``blume-capel``.

    Raises:
        UnknownSystem: no such system; the message lists those that exist.
        IncompleteSystem: its module does not keep the contract.
    """
    path = f"simulators.systems.{name.replace('-', '_')}"
    # Called for every task of a study: folders are searched once for each name.
    module, system = _loaded.get(name, (None, None))
    if system is not None and sys.modules.get(path) is module:
        return system
    systems = names()
    if name not in systems:
        raise UnknownSystem(f"no system is called {name!r}; there are: {', '.join(systems)}")
    module = importlib.import_module(path)
    system = _from_module(name, module)
    _loaded[name] = module, system
    return system


_loaded: dict[str, tuple[ModuleType, System]] = {}
"""Systems that ``load`` has returned, by name, with their modules."""


def _from_module(name: str, module: ModuleType) -> System:
    missing = [attribute for attribute in ATTRIBUTES.values() if not hasattr(module, attribute)]
    if missing:
        raise IncompleteSystem(f"system {name!r} ({module.__file__}) lacks {', '.join(missing)}")
    present = ATTRIBUTES | {field: name for field, name in OPTIONAL.items() if hasattr(module, name)}
    system = System(name, **{field: getattr(module, attribute) for field, attribute in present.items()})
    if system.encoding not in ENCODINGS:
        raise IncompleteSystem(
            f"system {name!r}: ENCODING must be one of {', '.join(ENCODINGS)}, got {system.encoding!r}"
        )
    if not system.algorithms:
        raise IncompleteSystem(f"system {name!r}: ALGORITHMS must name at least one, got none")
    if system.likelihood == "multinomial" and system.states is None:
        raise IncompleteSystem(f"system {name!r} ({module.__file__}) lacks STATES, which likelihood multinomial needs")
    return system
