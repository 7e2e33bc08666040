"""Hubbard model on the periodic square lattice, by determinants in Hirsch's auxiliary field.

H = -t sum_<ij>,s (c+_is c_js + h.c.) + U sum_i (n_i,up - 1/2)(n_i,dn - 1/2) - mu sum_i n_i; mu = 0 is half filling.
Each bond counts once per (site, +x) and (site, +y), so L = 2 is a ring of four sites with 2 t.  k_B = 1.

The stored configuration is the field of ``simulators.fermions.hirsch``, slices as channels; the observables are means
over the slices of what Wick's theorem gives in that field. With ``sign`` a thermal average is <O sign> / <sign>.  The
sign is 1 at half filling and in the charge channel.

Axes as in ``simulators.fermions.auxiliary_field``.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from simulators.fermions import field_chains, hirsch, on_request, tight_binding, wick
from simulators.fermions.determinants import Matrices
from simulators.fermions.field_chains import FieldChains
from simulators.fermions.hirsch import FieldSpec

VERSION = 3
ENCODING = "bits"
LIKELIHOOD = "bernoulli"
LADDER = "interaction"
"""Not the temperature: it fixes the number of slices, and chains exchange their fields."""
ORDER_PARAMETERS = ("staggered_field",)
MEASURED = (
    "sign",
    "density",
    "double_occupancy",
    "local_moment",
    "kinetic_energy",
    "potential_energy",
    "spin_structure",
    "charge_structure",
)
JUDGED = ("energy", "abs_staggered_field", "spin_structure")
ENERGY_ERROR = 0.15
"""Of slices: 0.10 to 0.17 (dtau U)^2 t in the energy of 4 x 4 and 2 x 2 sites, U = 4 t and 8 t."""

expected_tau, site_nanoseconds = field_chains.expected_tau, field_chains.site_nanoseconds
SYMMETRIES = hirsch.symmetries
MEASURED_ON_REQUEST = on_request.measurements
FLUCTUATIONS = hirsch.fluctuations


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec(FieldSpec):
    """One parameter point; its fields are those of every such system."""

    @property
    def bandwidth(self) -> float:
        return 4 * abs(self.hopping) + abs(self.chemical_potential)

    def amplitudes(self) -> NDArray[Any]:
        """(N, N) T_ij of the hopping -sum T_ij c+_i c_j."""
        return tight_binding.amplitudes(self.size, self.hopping, self.twist_x, self.twist_y)

    def rings(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(L, L) T_ij along rows and along columns."""
        along_y, along_x = (
            tight_binding.ring(self.size, self.hopping, twist) for twist in (self.twist_y, self.twist_x)
        )
        return along_y, along_x


EXAMPLE = Spec(size=4, temperature=0.5, interaction=4.0, chemical_potential=-0.5, trotter_step=0.25)


def caution(spec: Spec) -> str | None:
    """The error of coarse slices."""
    return field_chains.coarse(spec, ENERGY_ERROR * abs(spec.hopping))


class Simulation(FieldChains):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``."""

    columns = ("energy", *ORDER_PARAMETERS, *MEASURED)

    def of_slice(self, G_SCNN: Matrices) -> dict[str, wick.Values]:
        spec = self.spec
        values = wick.interacting(G_SCNN, spec.holes, spec.interaction, self.sublattice_N)
        values["kinetic_energy"] = wick.hopping(G_SCNN, self.amplitudes_NN) / spec.size**2
        values["energy"] = (
            values["kinetic_energy"] + values["potential_energy"] - spec.chemical_potential * values["density"]
        )
        return values


ALGORITHMS = tuple(Simulation.kinds)
