"""Hirsch's auxiliary field: what the points of all systems with a repulsion or attraction on sites have in common.

beta = 1 / T is cut into slices of dtau.  In each, a field s_i = -1 or 1 of every interacting orbital takes the place of
the interaction (Hirsch, Phys. Rev. B 28, 4059 (1983)):

* ``channel = "spin"``, U >= 0: exp(-dtau U (n_up - 1/2)(n_dn - 1/2)) ~ sum_s exp(lambda s (n_up - n_dn)),
  cosh lambda = exp(dtau U / 2).  The field follows the local moment, <s_i s_j> = tanh^2(lambda) <m_i m_j>.
* ``channel = "charge"``: ~ sum_s exp(lambda s (n_up + n_dn - 1)), cosh lambda = exp(dtau |U| / 2) where U <= 0; where
  U > 0, at particle-hole symmetry only, lambda is imaginary: cos |lambda| = exp(-dtau U / 2).

In the charge channel and at particle-hole symmetry one determinant stands for both, and the weight is positive: they
are equal, or holes of one spin are particles of the other, det_down = exp(-lambda sum s) det_up* up to a constant.

With a complex hopping (a twist other than 0 and 1/2, the same for both spins) the latter still holds, and with an
imaginary lambda the square of a determinant is positive, too.  Otherwise weights would be complex: such are refused.

Axes: N orbitals, S species.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.contract import Fluctuation, require, rules
from simulators.contract.specs import Rule
from simulators.fermions.greens_functions import Fermions
from simulators.fermions.tight_binding import is_real

CHANNELS = ("spin", "charge")
LARGEST_COUPLING, CAUTION_COUPLING = 2.0, 0.8
"""Of dtau |U|: beyond the first a spec is refused, beyond the second users are warned."""
LARGEST_EXPONENT = 600.0
"""A double holds exp(709)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldSpec:
    """One parameter point; a system says ``amplitudes`` and ``bandwidth``, and may add fields."""

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
    twist_x: float = 0.0
    """Phase around the lattice along a row, over 2 pi, from 0 to below 1: 0 is periodic, 0.5 antiperiodic."""
    twist_y: float = 0.0
    """The same along a column."""
    breaking: ClassVar[tuple[str, ...]] = ("chemical_potential",)
    """Fields that break particle-hole symmetry where they are not 0."""

    def __post_init__(self) -> None:
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "channel"}
        require(*(rules.finite(name, value) for name, value in numbers.items()))
        require(
            (self.size >= 2 and self.size % 2 == 0, "size", f"must be even and at least 2, got {self.size}"),
            rules.positive("temperature", self.temperature),
            rules.positive("trotter_step", self.trotter_step),
            (self.channel in CHANNELS, "channel", f"must be one of {', '.join(CHANNELS)}, got {self.channel!r}"),
            (
                self.channel != "spin" or self.interaction >= 0,
                "interaction",
                f'must not be negative in the spin channel, got {self.interaction}; take channel = "charge"',
            ),
            *self._symmetry_rules(),
            *(self._twist_rule(name) for name in ("twist_x", "twist_y")),
        )
        # beta is a whole number of steps; a step that fits stays as it is, so a spec made of a spec's fields is equal.
        fitting = 1.0 / (self.temperature * self.slices)
        if not math.isclose(self.trotter_step, fitting, rel_tol=1e-9):
            object.__setattr__(self, "trotter_step", fitting)
        coupling = self.trotter_step * abs(self.interaction)
        exponent = self.bandwidth / self.temperature + self.slices * abs(self.coupling)
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

    def _symmetry_rules(self) -> Iterable[Rule]:
        """Fields that break particle-hole symmetry where the weights would be complex."""
        for name in self.breaking:
            value = getattr(self, name)
            yield (
                self.channel != "charge" or self.interaction <= 0 or value == 0,
                name,
                f"must be 0 in the charge channel with a positive interaction, where the weights are complex away from "
                f'particle-hole symmetry, got {value}; take channel = "spin"',
            )

    def _twist_rule(self, name: str) -> Rule:
        twist = getattr(self, name)
        if not 0 <= twist < 1:
            return False, name, f"must be at least 0 and below 1, in units of 2 pi, got {twist}"
        positive = self.interaction == 0 or (self.symmetric and (self.interaction > 0 or self.channel == "spin"))
        return (
            positive or is_real(twist, 0),
            name,
            f"must be 0 or 0.5 with an attractive interaction or away from particle-hole symmetry, where a complex "
            f"hopping makes weights complex, got {twist}",
        )

    @property
    def bandwidth(self) -> float:
        """Bound of one-particle energies, all else than the interaction."""
        raise NotImplementedError

    @property
    def orbitals(self) -> int:
        """N."""
        return self.size**2

    def amplitudes(self) -> NDArray[Any]:
        """(N, N) Hermitian T_ij of -sum T_ij c+_i c_j, all else than interaction and chemical potential; orbitals with
        an interaction come first."""
        raise NotImplementedError

    def rings(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """(L, L) amplitudes along rows and along columns, where ``amplitudes`` are those of two commuting rings."""
        return None

    @property
    def symmetric(self) -> bool:
        """Whether particles are holes."""
        return all(getattr(self, name) == 0 for name in self.breaking)

    @property
    def one_species(self) -> bool:
        """Whether the determinants of both spins are known from one."""
        return self.channel == "charge" or self.symmetric

    @property
    def holes(self) -> bool:
        """Whether that one's holes are the other spin's particles."""
        return self.channel == "spin" and self.symmetric

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
    def is_complex(self) -> bool:
        """Whether Green's functions are."""
        return self.coupling.imag != 0 or not is_real(self.twist_x, self.twist_y)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self.slices, self.size, self.size


def symmetries(spec: FieldSpec) -> tuple[str, ...]:
    """What leaves the weight of a field, sign included, as it is.

    * Translations: a gauge moves the phase of a twist to other bonds.
    * The point group: where a twist and its opposite are the same, and that along x is that along y.
    * Time: the trace is cyclic, and its transpose has the slices in reverse order, with the opposite twists. Those make
      weights complex conjugate, which is no change of positive ones, if the vertices are real.
    * s to -s: in the spin channel it exchanges the determinants of the two spins, in the charge channel particles and
      holes, which again have the opposite twists.
    """
    is_periodic = is_real(spec.twist_x, spec.twist_y)
    names = ["translations"]
    if is_periodic and spec.twist_x == spec.twist_y:
        names.append("point-group")
    if is_periodic or spec.channel == "spin":
        names.append("time")
    if spec.channel == "spin" or (is_periodic and spec.symmetric):
        names.append("flip")
    return tuple(names)


def fluctuations(spec: FieldSpec) -> tuple[Fluctuation, ...]:
    """chi(pi, pi) and S(pi, pi) of the moments from squares of the staggered field; nothing where the field does not
    follow the moments.

    <s_i(tau) s_j(tau')> = tanh^2(lambda) <m_i(tau) m_j(tau')>, but 1 for a site and slice with itself.  Summed over N
    sites with the signs of the sublattices, for the staggered mean M of all T slices, and M_tau of a single one,

        N T <M^2> = 1 - tanh^2(lambda) <m_i^2> + 4 tanh^2(lambda) chi / dtau,
        N <M_tau^2> = 1 - tanh^2(lambda) <m_i^2> + 4 tanh^2(lambda) S.

    The whole field's square is that of chi: T chi <= S, and equal if the moments do not fluctuate in imaginary time.
    """
    follows = math.tanh(abs(spec.coupling)) ** 2
    if spec.channel != "spin" or follows == 0:
        return ()
    sites, step = spec.size**2, spec.trotter_step

    def of(column: str, unit: float, spins: int, by_channel: bool) -> Fluctuation:
        terms = {"local_moment": unit}
        return Fluctuation("staggered_field", column, by_channel, unit * spins / follows, -unit / follows, terms)

    return (
        of("spin_susceptibility", step / 4, sites * spec.slices, by_channel=False),
        of("spin_structure", 1 / 4, sites, by_channel=True),
    )


def fermions(spec: FieldSpec) -> Fermions:
    """What a slice of the field does."""
    T_NN, rings = spec.amplitudes(), spec.rings()
    sigma_S = np.array([1.0] if spec.one_species else [1.0, -1.0])
    field_2 = np.array([-1.0, 1.0])
    vertex_S2 = np.exp(spec.coupling * np.outer(sigma_S, field_2))
    # The square of one determinant needs the factor exp(-lambda s): in the charge channel it is part of the coupling
    # to n - 1; at half filling in the spin channel, det(1 + ...) of spin down is that of spin up times this factor.
    return Fermions(
        hop_NN=_grown(T_NN, spec.chemical_potential, spec.trotter_step),
        unhop_NN=_grown(T_NN, spec.chemical_potential, -spec.trotter_step),
        vertex_S2=vertex_S2.astype(np.result_type(vertex_S2, T_NN)),
        log_weight_2=-spec.coupling * field_2 * spec.one_species,
        factors=rings
        and (
            _grown(rings[0], spec.chemical_potential / 2, spec.trotter_step),
            _grown(rings[1], spec.chemical_potential / 2, spec.trotter_step),
        ),
    )


def _grown(T_NN: NDArray[Any], potential: float, time: float) -> NDArray[Any]:
    """exp(time (T + potential))."""
    energy_K, mode_NK = np.linalg.eigh(T_NN)
    return np.asarray((mode_NK * np.exp(time * (energy_K + potential))) @ mode_NK.conj().T)
