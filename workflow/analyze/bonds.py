"""Energies that follow from bonds alone: what a system says of its parameter points."""

from __future__ import annotations

from collections.abc import Sequence

from simulators import contract
from simulators.contract import BondSum
from workflow.storage.typed_json import Parameters


def bond_sums(name: str, points: Sequence[Parameters]) -> list[BondSum] | None:
    """How the energy follows from bonds at every one of ``points``; None where it does not at one of them.

    Args:
        name: of the system, or of data that were not simulated, which have no energy.
        points: parameters, as shards have them.
    """
    if name not in contract.names():
        return None
    system = contract.load(name)
    sums = [system.bond_sum(system.spec(**point)) for point in points]
    defined = [bonds for bonds in sums if bonds is not None]
    return defined if len(defined) == len(sums) else None
