"""What the file of a system offers, and how it is loaded.

A *system* is physics: a Hamiltonian on a lattice with the Monte Carlo that samples it.  Its module in
``simulators.systems`` is its only registration; module ``blume_capel`` is the system ``blume-capel``.

A system's file imports from here what it declares, and ``load(name)`` returns all that it offers as a ``System``.
"""

from simulators.contract import rules
from simulators.contract.declarations import (
    SIGN,
    BondSum,
    ExactEnergy,
    Fluctuation,
    OrderDeclaration,
    RequestedMeasurement,
)
from simulators.contract.loading import UnknownSystem, load, names
from simulators.contract.simulation import Simulation
from simulators.contract.specs import Spec, SpecError, require
from simulators.contract.system import TEMPERING, IncompleteSystem, ObservableNames, System

__all__ = [
    "SIGN",
    "TEMPERING",
    "BondSum",
    "ExactEnergy",
    "Fluctuation",
    "IncompleteSystem",
    "ObservableNames",
    "OrderDeclaration",
    "RequestedMeasurement",
    "Simulation",
    "Spec",
    "SpecError",
    "System",
    "UnknownSystem",
    "load",
    "names",
    "require",
    "rules",
]
