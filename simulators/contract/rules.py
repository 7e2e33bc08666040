"""Rules that the specs of several systems share, for ``require``."""

import math

from simulators.contract.specs import Rule


def finite(field: str, value: float) -> Rule:
    """Neither infinite nor NaN."""
    return math.isfinite(value), field, f"must be finite, got {value}"


def not_zero(field: str, value: float) -> Rule:
    """Finite and not zero."""
    return (False, field, f"must not be zero, got {value}") if value == 0 else finite(field, value)


def positive(field: str, value: float) -> Rule:
    """Finite and above zero."""
    return (False, field, f"must be positive, got {value}") if value <= 0 else finite(field, value)


def at_least(field: str, value: int, least: int) -> Rule:
    """A smallest value."""
    return value >= least, field, f"must be at least {least}, got {value}"


def two_sublattices(size: int, coupling: float, name: str = "coupling") -> Rule:
    """An even size where the coupling, called ``name``, is negative."""
    fits = not (coupling < 0 and size % 2 == 1)
    return (
        fits,
        "size",
        f"must be even with a negative {name}, since two sublattices do not fit into an odd lattice, got {size}",
    )
