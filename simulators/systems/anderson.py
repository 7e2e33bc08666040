"""Periodic Anderson model on the periodic square lattice, by determinants in Hirsch's auxiliary field.

H = -t sum_<ij>,s (c+_is c_js + h.c.) - V sum_i,s (c+_is f_is + h.c.) + U sum_i (n_f,i,up - 1/2)(n_f,i,dn - 1/2)
    + level sum_i n_f,i - mu sum_i (n_c,i + n_f,i)

Every unit cell has an orbital c, which hops, and an orbital f, which holds the interaction and meets the c of its cell
only.  Each bond counts once per (cell, +x) and (cell, +y), so L = 2 has 2 t.  k_B = 1.  With mu = level = 0 particles
are holes, P = 1 and -1 on the two sublattices of the cells for f and the opposite for c: both are half filled.

The stored configuration is the field of ``simulators.fermions.hirsch`` on the f orbitals, slices as channels; the
observables are means over the slices of what Wick's theorem gives in that field, per unit cell. With ``sign`` a
thermal average is <O sign> / <sign>.  The sign is 1 at half filling and in the charge channel.

A small V leaves moments on the f that order through the c; a large one binds each moment in a singlet of its own.
``singlet_correlation`` is -3 <S^z_c S^z_f> within cells, which spin rotations make the mean of -<S_c . S_f>: 3/4 in a
singlet, 0 between independent spins.

Axes as in ``simulators.fermions.auxiliary_field``; N cells, M = 2 N orbitals, f first.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.fermions import field_chains, hirsch, on_request, tight_binding, wick
from simulators.fermions.determinants import Matrices
from simulators.fermions.field_chains import FieldChains
from simulators.fermions.hirsch import FieldSpec

VERSION = 2
ENCODING = "bits"
LIKELIHOOD = "bernoulli"
LADDER = "interaction"
"""Not the temperature: it fixes the number of slices, and chains exchange their fields."""
ORDER_PARAMETERS = ("staggered_field",)
MEASURED = (
    "sign",
    "density",
    "c_density",
    "f_density",
    "double_occupancy",
    "local_moment",
    "kinetic_energy",
    "hybridization_energy",
    "potential_energy",
    "singlet_correlation",
    "spin_structure",
    "charge_structure",
)
JUDGED = ("energy", "abs_staggered_field", "spin_structure", "singlet_correlation")
ENERGY_ERROR = 0.09
"""Of slices: 0.08 to 0.11 (dtau U)^2 V^2 / U in the energy of 2 x 2 cells, U = 4 t and 8 t, V = 0.6 t to 1.6 t."""

site_nanoseconds = field_chains.site_nanoseconds
SYMMETRIES = hirsch.symmetries
MEASURED_ON_REQUEST = on_request.measurements
FLUCTUATIONS = hirsch.fluctuations


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec(FieldSpec):
    """One parameter point; ``interaction`` is that of f, ``hopping`` that of c."""

    hybridization: float
    """V, in the units of t."""
    level: float = 0.0
    """Energy of f, in the units of t; 0 is half filled with mu = 0."""
    breaking: ClassVar[tuple[str, ...]] = ("chemical_potential", "level")

    @property
    def bandwidth(self) -> float:
        on_cell = abs(self.hybridization) + abs(self.level) + abs(self.chemical_potential)
        return 4 * abs(self.hopping) + on_cell

    @property
    def orbitals(self) -> int:
        return 2 * self.size**2

    def amplitudes(self) -> NDArray[Any]:
        """(M, M) T_ij of -sum T_ij c+_i c_j over f and c."""
        hop_NN = tight_binding.amplitudes(self.size, self.hopping, self.twist_x, self.twist_y)
        one_NN = np.eye(self.size**2)
        return np.block([[-self.level * one_NN, self.hybridization * one_NN], [self.hybridization * one_NN, hop_NN]])


EXAMPLE = Spec(size=2, temperature=0.5, interaction=4.0, hybridization=1.0, chemical_potential=-0.5, trotter_step=0.25)


def expected_tau(spec: Spec, algorithm: str = "metropolis") -> float:
    """Rough autocorrelation time of S(pi, pi) in sweeps, for estimates of cost only: singlets turn over quickly."""
    strength = (abs(spec.interaction) / 4) ** (4 if algorithm == "metropolis" else 2)
    return 0.5 + 10.0 * strength / (1.0 + spec.hybridization**4)


def caution(spec: Spec) -> str | None:
    """The error of coarse slices."""
    return field_chains.coarse(spec, ENERGY_ERROR * spec.hybridization**2 / max(abs(spec.interaction), 1.0))


class Simulation(FieldChains):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``."""

    columns = ("energy", *ORDER_PARAMETERS, *MEASURED)

    def of_slice(self, G_SCNN: Matrices) -> dict[str, wick.Values]:
        spec, N = self.spec, self.spec.size**2
        f_SCNN, c_SCNN = G_SCNN[..., :N, :N], G_SCNN[..., N:, N:]
        values = wick.interacting(f_SCNN, spec.holes, spec.interaction, self.sublattice_N)
        f, c = (wick.occupations(x_SCNN, spec.holes) for x_SCNN in (f_SCNN, c_SCNN))
        cf_SCN, fc_SCN = (
            np.diagonal(x_SCNN, axis1=-2, axis2=-1) for x_SCNN in (G_SCNN[..., N:, :N], G_SCNN[..., :N, N:])
        )
        moments_C = ((c.up_CN - c.down_CN) * (f.up_CN - f.down_CN)).mean(axis=-1)
        values["singlet_correlation"] = -0.75 * (moments_C - wick.both((cf_SCN * fc_SCN).mean(axis=-1)))
        values["f_density"] = values.pop("density")
        values["c_density"] = (c.up_CN + c.down_CN).mean(axis=-1)
        values["density"] = values["f_density"] + values["c_density"]
        values["kinetic_energy"] = wick.hopping(c_SCNN, self.amplitudes_NN[N:, N:]) / N
        values["hybridization_energy"] = spec.hybridization * wick.both((cf_SCN + fc_SCN).mean(axis=-1))
        values["energy"] = (
            values["kinetic_energy"]
            + values["hybridization_energy"]
            + values["potential_energy"]
            + spec.level * values["f_density"]
            - spec.chemical_potential * values["density"]
        )
        return values


ALGORITHMS = tuple(Simulation.kinds)
