"""Names of the observables of spins with an angle, clock and XY: columns, and those that decide a certificate."""

from simulators.contract import OrderDeclaration, Spec

HELICITY = ("helicity_cosine_x", "helicity_sine_x", "helicity_cosine_y", "helicity_sine_y")


def order_parameters(spec: Spec) -> tuple[str, ...]:
    """Components of the magnetization, and of the staggered one where the lattice has sublattices."""
    uniform = ("magnetization_x", "magnetization_y")
    return uniform if spec.size % 2 else (*uniform, *(f"staggered_{name}" for name in uniform))


def orders(spec: Spec, directions: int, staggered_directions: int) -> tuple[OrderDeclaration, ...]:
    """The magnetizations as vectors that point in one of so many directions; 1: in any, by a continuous symmetry."""
    directions_of = {"magnetization": directions, "staggered_magnetization": staggered_directions}
    return tuple(
        OrderDeclaration(name, (f"{name}_x", f"{name}_y"), "continuous" if number == 1 else "angles", number)
        for name, number in directions_of.items()
        if name == "magnetization" or spec.size % 2 == 0
    )


def measured(spec: Spec) -> tuple[str, ...]:
    """Lengths of the magnetizations, vorticity, terms of the helicity modulus."""
    lengths = ("magnetization",) if spec.size % 2 else ("magnetization", "staggered_magnetization")
    return (*lengths, "vorticity", *HELICITY)


def judged(spec: Spec) -> tuple[str, ...]:
    """What rotations leave as it is."""
    return ("energy", *(name for name in measured(spec) if name.endswith("magnetization")))
