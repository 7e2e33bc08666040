"""Hubbard model on the periodic square lattice, by determinants in Hirsch's auxiliary field.

H = -t sum_<ij>,s (c+_is c_js + h.c.) + U sum_i (n_i,up - 1/2)(n_i,dn - 1/2) - mu sum_i n_i; mu = 0 is half filling.
Each bond counts once per (site, +x) and (site, +y), so L = 2 is a ring of four sites with 2 t.  k_B = 1.

beta = 1 / T is cut into slices of dtau.  In each, a field s_i = -1 or 1 of every site takes the place of the
interaction (Hirsch, Phys. Rev. B 28, 4059 (1983)):

* ``channel = "spin"``, U >= 0: exp(-dtau U (n_up - 1/2)(n_dn - 1/2)) ~ sum_s exp(lambda s (n_up - n_dn)),
  cosh lambda = exp(dtau U / 2).  The field follows the local moment, <s_i s_j> = tanh^2(lambda) <m_i m_j>.
* ``channel = "charge"``: ~ sum_s exp(lambda s (n_up + n_dn - 1)), cosh lambda = exp(dtau |U| / 2) where U <= 0; where
  U > 0, at half filling only, lambda is imaginary: cos |lambda| = exp(-dtau U / 2).

The stored configuration is the field, slices as channels; the observables are means over the slices of what Wick's
theorem gives in that field.  With ``sign`` a thermal average is <O sign> / <sign>.  The sign is 1 at half filling and
in the charge channel, where one determinant stands for both: they are equal, or particles are holes of the other spin.

``metropolis`` proposes single flips, ``lines`` also flips of a site's field in all slices at once.

Axes as in ``simulators.auxiliary_field``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.auxiliary_field import FieldUpdates
from simulators.chains import Chains
from simulators.contract import require
from simulators.determinants import one_thread
from simulators.greens_functions import Fermions
from simulators.wick import Moments, moments

VERSION = 1
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

CHANNELS = ("spin", "charge")
LARGEST_COUPLING, CAUTION_COUPLING = 2.0, 0.8
"""Of dtau |U|: what is refused, and what users are told about."""
LARGEST_EXPONENT = 600.0
"""A double holds exp(709)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice; even, so that the antiferromagnet fits."""
    temperature: float
    """T = 1 / beta, in the units of t / k_B."""
    interaction: float
    """U, in the units of t; not negative in the spin channel."""
    chemical_potential: float = 0.0
    """mu, in the units of t; 0 is half filling."""
    trotter_step: float = 0.1
    """dtau, in the units of 1 / t; replaced by the nearest step of which beta is a whole multiple."""
    hopping: float = 1.0
    """t."""
    channel: str = "spin"
    """What the field couples to: ``spin`` or ``charge``."""

    def __post_init__(self) -> None:
        numbers = ("temperature", "interaction", "chemical_potential", "trotter_step", "hopping")
        require(
            *((math.isfinite(x), name, f"must be finite, got {x}") for name in numbers for x in [getattr(self, name)])
        )
        require(
            (self.size >= 2 and self.size % 2 == 0, "size", f"must be even and at least 2, got {self.size}"),
            (self.temperature > 0, "temperature", f"must be positive, got {self.temperature}"),
            (self.trotter_step > 0, "trotter_step", f"must be positive, got {self.trotter_step}"),
            (self.channel in CHANNELS, "channel", f"must be one of {', '.join(CHANNELS)}, got {self.channel!r}"),
            (
                self.channel != "spin" or self.interaction >= 0,
                "interaction",
                f'must not be negative in the spin channel, got {self.interaction}; take channel = "charge"',
            ),
            (
                self.channel != "charge" or self.interaction <= 0 or self.chemical_potential == 0,
                "chemical_potential",
                f"must be 0 in the charge channel with a positive interaction, where the weights are complex away from "
                f'half filling, got {self.chemical_potential}; take channel = "spin"',
            ),
        )
        # beta is a whole number of steps; a step that fits stays as it is, so a spec made of a spec's fields is equal.
        fitting = 1.0 / (self.temperature * self.slices)
        if not math.isclose(self.trotter_step, fitting, rel_tol=1e-9):
            object.__setattr__(self, "trotter_step", fitting)
        coupling = self.trotter_step * abs(self.interaction)
        exponent = (4 * abs(self.hopping) + abs(self.chemical_potential)) / self.temperature
        exponent += self.slices * abs(self.coupling)
        require(
            (
                coupling <= LARGEST_COUPLING,
                "trotter_step",
                f"times |U| must be at most {LARGEST_COUPLING:g} for the slices to mean anything (0.4 is usual), got "
                f"{coupling:.3g}",
            ),
            (
                exponent <= LARGEST_EXPONENT,
                "temperature",
                f"is so low that numbers of exp({exponent:.0f}) occur; exp({LARGEST_EXPONENT:.0f}) can be held",
            ),
        )

    @property
    def slices(self) -> int:
        """Trotter slices, beta / dtau."""
        return max(1, round(1 / (self.temperature * self.trotter_step)))

    @property
    def coupling(self) -> complex:
        """lambda; imaginary where a positive U couples to the charge."""
        gain = self.trotter_step * self.interaction / 2
        if self.channel == "charge" and self.interaction > 0:
            return 1j * math.acos(math.exp(-gain))
        return math.acosh(math.exp(min(abs(gain), LARGEST_EXPONENT)))

    @property
    def interval(self) -> int:
        """Slices after which Green's functions are computed anew, unless that turns out too many."""
        time = min(1 / max(1.0, abs(self.hopping)), 4 / max(4.0, abs(self.interaction)))
        return max(1, int(time / self.trotter_step + 1e-9))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.slices, self.size, self.size


EXAMPLE = Spec(size=4, temperature=0.5, interaction=4.0, chemical_potential=-0.5, trotter_step=0.25)


def expected_tau(spec: Spec, algorithm: str = "metropolis") -> float:
    """Rough autocorrelation time of S(pi, pi) in sweeps, for estimates of cost only."""
    strength = (abs(spec.interaction) / 4) ** (4 if algorithm == "metropolis" else 2)
    return 0.5 + 0.5 / spec.temperature * strength * spec.size / 4


def site_nanoseconds(spec: Spec, algorithm: str) -> float:
    """Measured cost of one site of one slice and sweep, good to a third: matrices of N x N sites are multiplied."""
    sites = spec.size**2
    species = 1.0 if one_species(spec) else 2.0
    complex_numbers = 3.0 if spec.coupling.imag else 1.0
    lines = 1.6 if algorithm == "lines" else 1.0
    return species * complex_numbers * lines * (80.0 * sites + 0.85 * sites**2)


def caution(spec: Spec) -> str | None:
    """The error of coarse slices: 0.10 to 0.17 (dtau U)^2 t in the energy of 4 x 4 and 2 x 2 sites, U = 4 t and 8 t."""
    coupling = spec.trotter_step * abs(spec.interaction)
    if coupling <= CAUTION_COUPLING:
        return None
    error = 0.15 * coupling**2 * abs(spec.hopping)
    return (
        f"dtau |U| = {coupling:.2g} (U = {spec.interaction:g}): energies may be off by about {error:.2g}, an error "
        "that goes with the square of trotter_step"
    )


def amplitudes(spec: Spec) -> NDArray[np.float64]:
    """(N, N) T_ij of the hopping -sum T_ij c+_i c_j."""
    sites_IJ = np.arange(spec.size**2).reshape(spec.size, spec.size)
    T_NN = np.zeros((spec.size**2, spec.size**2))
    for axis in (0, 1):
        neighbour_IJ = np.roll(sites_IJ, -1, axis=axis)
        np.add.at(T_NN, (sites_IJ.ravel(), neighbour_IJ.ravel()), spec.hopping)
        np.add.at(T_NN, (neighbour_IJ.ravel(), sites_IJ.ravel()), spec.hopping)
    return T_NN


def sublattices(size: int) -> NDArray[np.float64]:
    """(N,) 1 and -1 on the two sublattices."""
    return np.asarray(1.0 - 2.0 * (np.indices((size, size)).sum(axis=0) % 2)).ravel()


def one_species(spec: Spec) -> bool:
    """Whether the determinants of both spins are known from one."""
    return spec.channel == "charge" or spec.chemical_potential == 0


def fermions(spec: Spec) -> Fermions:
    """What a slice of the field does."""
    energy_K, mode_NK = np.linalg.eigh(amplitudes(spec) + spec.chemical_potential * np.eye(spec.size**2))
    grow_K = np.exp(spec.trotter_step * energy_K)
    sigma_S = np.array([1.0] if one_species(spec) else [1.0, -1.0])
    field_2 = np.array([-1.0, 1.0])
    coupling = spec.coupling
    # The square of one determinant needs the factor exp(-lambda s): in the charge channel it is part of the coupling
    # to n - 1; at half filling in the spin channel, det(1 + ...) of spin down is that of spin up times this factor.
    return Fermions(
        hop_NN=(mode_NK * grow_K) @ mode_NK.T,
        unhop_NN=(mode_NK / grow_K) @ mode_NK.T,
        vertex_S2=np.exp(coupling * np.outer(sigma_S, field_2)),
        log_weight_2=-coupling * field_2 * one_species(spec),
    )


class Metropolis(FieldUpdates):
    """Single flips."""

    name: ClassVar[str] = "metropolis"
    fermions = staticmethod(fermions)

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains."""
        return site_nanoseconds(self.spec, self.name) * self.states_RTIJ.size


class Lines(Metropolis):
    """Single flips, and flips of some sites in all slices at once."""

    name = "lines"
    lines = 4


class Simulation(Chains):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``."""

    kinds: ClassVar[Mapping[str, type[Any]]] = {"metropolis": Metropolis, "lines": Lines}
    updates: Metropolis

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, T, I, J) fields: random ones where ``hot``, else the two antiferromagnets."""
        shape = (len(hot), *spec.shape)
        field_RTIJ = np.where(rng.integers(0, 2, shape, dtype=np.int8) > 0, 1, -1).astype(np.int8)
        sign_R = np.where(rng.integers(0, 2, len(hot), dtype=np.int8) > 0, 1, -1).astype(np.int8)
        ordered_IJ = sublattices(spec.size).astype(np.int8).reshape(spec.size, spec.size)
        field_RTIJ[~hot] = sign_R[~hot, None, None, None] * ordered_IJ
        return field_RTIJ

    def configurations(self) -> NDArray[np.int8]:
        """(R, T, I, J) fields."""
        return self.updates.states()

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """What ``ORDER_PARAMETERS`` and ``MEASURED`` name, beside the energy; (R,) each and per site."""
        field_RTN = self.updates.states_RTIJ.reshape(*self.updates.states_RTIJ.shape[:2], -1)
        values = {name: np.zeros(len(field_RTN)) for name in ("energy", *ORDER_PARAMETERS, *MEASURED)}
        values["staggered_field"] = (field_RTN * sublattices(self.spec.size)).mean(axis=(1, 2))
        hopping_NN, sublattice_N = amplitudes(self.spec), sublattices(self.spec.size)
        with one_thread().limit(limits=1, user_api="blas"):
            for chosen_C in self.updates.batches():
                greens = self.updates.greens_functions(chosen_C)
                values["sign"][chosen_C] = greens.log_weight()[0]
                for G_SCNN in greens.each_slice():
                    found = per_slice(self.spec, moments(G_SCNN, hopping_NN, sublattice_N))
                    for name, value_C in found.items():
                        values[name][chosen_C] += value_C / self.spec.slices
        return values

    @property
    def numerics(self) -> dict[str, float]:
        """What the certificate tells of rounding."""
        return self.updates.numerics

    def reduced_energy(self, spec: Spec) -> NDArray[np.float64]:
        """(R,) -ln |weight| of the current fields with the couplings of ``spec``, which has as many slices."""
        other = type(self.updates)(spec, self.updates.states_RTIJ, np.random.default_rng(0))
        energy_R = np.zeros(len(self.updates.states_RTIJ))
        with one_thread().limit(limits=1, user_api="blas"):
            for chosen_C in other.batches():
                energy_R[chosen_C] = -other.greens_functions(chosen_C).log_weight()[1]
        return energy_R


def per_slice(spec: Spec, of: Moments) -> dict[str, NDArray[np.float64]]:
    """(C,) observables per site of one slice.

    Complex values come from fields whose opposite, of equal weight, has the conjugate ones: the real part is the mean.
    """
    sites, sublattice_N = spec.size**2, sublattices(spec.size)
    up_CN = of.occupation_SCN[0]
    # One species stands for both: it has the hopping and the correlations of the other one, too.
    copies = 2 // len(of.occupation_SCN)
    down_CN = of.occupation_SCN[-1] if copies == 1 or spec.channel == "charge" else 1 - up_CN
    kinetic_C, connected_C = (copies * x_SC.sum(axis=0) for x_SC in (of.hopping_SC, of.connected_SC))
    density_C = (up_CN + down_CN).mean(axis=-1)
    double_C = (up_CN * down_CN).mean(axis=-1)
    spin_C, charge_C = ((x_CN * sublattice_N).sum(axis=-1) for x_CN in (up_CN - down_CN, up_CN + down_CN))
    potential_C = spec.interaction * (double_C - density_C / 2 + 0.25)
    values = {
        "energy": kinetic_C / sites + potential_C - spec.chemical_potential * density_C,
        "density": density_C,
        "double_occupancy": double_C,
        "local_moment": density_C - 2 * double_C,
        "kinetic_energy": kinetic_C / sites,
        "potential_energy": potential_C,
        "spin_structure": (spin_C**2 + connected_C) / (4 * sites),
        "charge_structure": (charge_C**2 + connected_C) / sites,
    }
    return {name: value_C.real for name, value_C in values.items()}


ALGORITHMS = tuple(Simulation.kinds)
