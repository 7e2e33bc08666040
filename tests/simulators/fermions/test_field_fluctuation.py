"""chi(pi, pi) and S(pi, pi) from squares of the staggered field: exact, by enumeration of all fields."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from simulators.fermions import hirsch
from simulators.systems import anderson, hubbard

SPECS = [
    (hubbard, hubbard.Spec(size=2, temperature=1.0, interaction=4.0, trotter_step=0.5)),
    (hubbard, hubbard.Spec(size=2, temperature=0.5, interaction=2.0, trotter_step=0.7, chemical_potential=-0.4)),
    (anderson, anderson.Spec(size=2, temperature=1.0, interaction=3.0, trotter_step=0.5, hybridization=0.8)),
]


def means(system: Any, spec: Any) -> dict[str, float]:
    """Averages over all fields with their weights, signs among them, of columns and of the squared staggered field."""
    field_RTIJ = np.array(list(product([-1, 1], repeat=int(np.prod(spec.shape)))), dtype=np.int8)
    chains = system.Simulation.of_fields(spec, field_RTIJ.reshape(-1, *spec.shape))
    values = chains.measure() | chains.measure_on_request(("imaginary-time",))
    values["square"] = values["staggered_field"] ** 2
    slices_RT = (chains.configurations().reshape(len(field_RTIJ), spec.slices, -1) * chains.sublattice_N).mean(axis=2)
    values["square_by_channel"] = (slices_RT**2).mean(axis=1)
    log_R = -chains.reduced_energy(spec)
    weight_R = values["sign"] * np.exp(log_R - log_R.max())
    return {name: float((weight_R * value_R).sum() / weight_R.sum()) for name, value_R in values.items()}


@pytest.mark.parametrize(("system", "spec"), SPECS)
def test_it_is_exact_on_average(system: Any, spec: Any) -> None:
    """Other factors are noticed: the negative control."""
    found = means(system, spec)
    for known in system.FLUCTUATIONS(spec):
        square = known.scale * found["square_by_channel" if known.by_channel else "square"]
        rest = known.offset + sum(factor * found[name] for name, factor in known.terms.items())
        assert square + rest == pytest.approx(found[known.column], rel=1e-9)
        assert 1.03 * square + rest != pytest.approx(found[known.column], rel=1e-3)
    # The moments fluctuate in imaginary time.
    assert 0 < spec.temperature * found["spin_susceptibility"] < found["spin_structure"]


def test_fields_that_do_not_follow_moments_say_nothing() -> None:
    free = hubbard.Spec(size=2, temperature=1.0, interaction=0.0)
    charge = hubbard.Spec(size=2, temperature=1.0, interaction=4.0, channel="charge")
    assert hirsch.fluctuations(free) == hirsch.fluctuations(charge) == ()
