"""Simulations of Hirsch's auxiliary field: what the systems of ``simulators.fermions.hirsch`` share.

``metropolis`` proposes single flips, ``lines`` also flips of a site's field in all slices at once.  Observables are
means over the slices of what Wick's theorem gives in the field.

Axes as in ``simulators.fermions.auxiliary_field``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation
from simulators.fermions import hirsch, on_request
from simulators.fermions.auxiliary_field import FieldUpdates
from simulators.fermions.determinants import Matrices, one_thread
from simulators.fermions.hirsch import CAUTION_COUPLING, FieldSpec
from simulators.fermions.tight_binding import sublattices
from simulators.fermions.wick import Values

COMPLEX_COST, LINES_COST = 3.0, 1.6
"""Times that of real matrices, and of single flips alone."""


class Metropolis(FieldUpdates):
    """Single flips."""

    name: ClassVar[str] = "metropolis"
    fermions = staticmethod(hirsch.fermions)

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains."""
        return site_nanoseconds(self.spec, self.name) * self.states_RTIJ.size


class Lines(Metropolis):
    """Single flips, and flips of some sites in all slices at once."""

    name = "lines"
    lines = 4


def site_nanoseconds(spec: FieldSpec, algorithm: str) -> float:
    """Measured cost of one site of one slice and sweep, good to a third: matrices of N x N orbitals are multiplied."""
    orbitals = spec.orbitals
    species = 1.0 if spec.one_species else 2.0
    complex_numbers = COMPLEX_COST if spec.is_complex else 1.0
    lines = LINES_COST if algorithm == "lines" else 1.0
    share = orbitals / spec.size**2
    cube = 0.45 if spec.rings() is None else 0.19
    return species * complex_numbers * lines * share * (33.0 * orbitals + cube * orbitals**2)


def expected_tau(spec: FieldSpec, algorithm: str = "metropolis") -> float:
    """Rough autocorrelation time of S(pi, pi) in sweeps, for estimates of cost only."""
    strength = (abs(spec.interaction) / 4) ** (4 if algorithm == "metropolis" else 2)
    return 0.5 + 0.5 / spec.temperature * strength * spec.size / 4


def coarse(spec: FieldSpec, error: float) -> str | None:
    """What to say of slices that are coarse; ``error``: of energies, over (dtau U)^2."""
    coupling = spec.trotter_step * abs(spec.interaction)
    if coupling <= CAUTION_COUPLING:
        return None
    return (
        f"dtau |U| = {coupling:.2g} (U = {spec.interaction:g}): energies may be off by about "
        f"{error * coupling**2:.2g}, an error that goes with the square of trotter_step"
    )


class FieldChains(ChainSimulation):
    """Independent chains of one spec; a system says ``columns`` and ``of_slice``."""

    kinds: ClassVar[Mapping[str, type[Any]]] = {"metropolis": Metropolis, "lines": Lines}
    columns: ClassVar[tuple[str, ...]]
    """Columns: ``energy``, ``staggered_field``, ``sign`` and those of ``of_slice``."""
    updates: Metropolis

    def __init__(self, spec: Any, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        super().__init__(spec, hot, algorithm, rng)
        self.amplitudes_NN = spec.amplitudes()
        self.sublattice_N = sublattices(spec.size)

    @classmethod
    def of_fields(cls, spec: Any, field_RTIJ: NDArray[np.int8]) -> Self:
        """Chains in given fields, -1 or 1, to be measured: their Green's functions are as good as after sweeps.

        Raises:
            SingularField: Green's functions of a field cannot be computed.
        """
        chains = cls(spec, np.ones(len(field_RTIJ), dtype=bool), Metropolis.name, np.random.default_rng(0))
        chains.updates.states_RTIJ[...] = field_RTIJ
        chains.updates.settle()
        return chains

    @staticmethod
    def start(spec: Any, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, T, I, J) fields: random ones where ``hot``, else the two antiferromagnets."""
        shape = (len(hot), *spec.shape)
        field_RTIJ = np.where(rng.integers(0, 2, shape, dtype=np.int8) > 0, 1, -1).astype(np.int8)
        sign_R = np.where(rng.integers(0, 2, len(hot), dtype=np.int8) > 0, 1, -1).astype(np.int8)
        ordered_IJ = sublattices(spec.size).astype(np.int8).reshape(spec.size, spec.size)
        field_RTIJ[~hot] = sign_R[~hot, None, None, None] * ordered_IJ
        return field_RTIJ

    def of_slice(self, G_SCNN: Matrices) -> dict[str, Values]:
        """Observables per site of one slice, from its Green's functions.

        Complex values come from fields whose mirror image in time (with the opposite sign where lambda is imaginary)
        has equal weight and the conjugate values: the real part is the mean.
        """
        raise NotImplementedError

    def configurations(self) -> NDArray[np.int8]:
        """(R, T, I, J) fields."""
        return self.updates.states()

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """``columns``; (R,) each and per site."""
        field_RTN = self.updates.states_RTIJ.reshape(*self.updates.states_RTIJ.shape[:2], -1)
        values = {name: np.zeros(len(field_RTN)) for name in self.columns}
        values["staggered_field"] = (field_RTN * self.sublattice_N).mean(axis=(1, 2))
        with one_thread().limit(limits=1, user_api="blas"):
            for chosen_C in self.updates.batches():
                greens = self.updates.greens_functions(chosen_C)
                values["sign"][chosen_C] = greens.log_weight()[0]
                for G_SCNN in greens.each_slice():
                    for name, value_C in self.of_slice(G_SCNN).items():
                        values[name][chosen_C] += value_C.real / self.spec.slices
        return values

    def measure_on_request(self, requests: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        """What ``simulators.fermions.on_request`` offers."""
        measurement = on_request.Measurement(self.spec, requests)
        values: dict[str, NDArray[np.float64]] = {}
        with one_thread().limit(limits=1, user_api="blas"):
            for chosen_C in self.updates.batches():
                for name, value in measurement.of(self.updates.greens_functions(chosen_C)).items():
                    shape = (len(self.updates.states_RTIJ), *value.shape[1:])
                    values.setdefault(name, np.zeros(shape))[chosen_C] = value
        return values

    @property
    def numerics(self) -> dict[str, float]:
        """Numbers on rounding for the certificate."""
        return self.updates.numerics

    def reduced_energy(self, spec: Any) -> NDArray[np.float64]:
        """(R,) -ln |weight| of the current fields with the couplings of ``spec``, which has as many slices."""
        other = type(self.updates)(spec, self.updates.states_RTIJ, np.random.default_rng(0))
        energy_R = np.zeros(len(self.updates.states_RTIJ))
        with one_thread().limit(limits=1, user_api="blas"):
            for chosen_C in other.batches():
                energy_R[chosen_C] = -other.greens_functions(chosen_C).log_weight()[1]
        return energy_R
