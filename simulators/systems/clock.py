"""Clock model on the periodic square lattice, H = -J sum_<ij> cos(2 pi (s_i - s_j) / q) with s = 0 to q - 1.

Each bond counts once per (site, +x) and (site, +y), x along a row and y along a column; P ~ exp(-H / T), k_B = 1.
q = 2 is the Ising model, q = 3 the Potts model with coupling 3 J / 2, q = 4 two Ising models with coupling J / 2.

* ``metropolis``: one of the other values is proposed at every site, ``heat-bath``: every site is drawn from its
  distribution given the neighbours; by ``simulators.discrete.transitions``, and for more than 8 and 16 values by
  ``simulators.discrete.differences``.
* ``swendsen-wang``, ``wolff``: clusters of the Ising spins embedded along the normal of a mirror, one of the q that
  reflect values to values, s -> k - s mod q; see ``simulators.clusters.discrete`` and ``simulators.clusters.wolff``.

Observables, with the angles theta = 2 pi s / q: the components of m = 1/N sum_i (cos theta_i, sin theta_i) and, on
lattices of even size, of the staggered one, with the sign of a site + where row + column is even; beside them |m|,
the vorticity sum_p |n_p| / N over plaquettes of winding n_p (exactly opposite neighbours count as a positive half
turn along +x or +y), and the means over sites of cos and sin(theta_(i + x) - theta_i), ``helicity_cosine_x`` and
``helicity_sine_x``, likewise for y.

Axes: R chains, I rows, J columns, G groups of 64 chains, S values.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation
from simulators.clusters import discrete as discrete_clusters
from simulators.clusters import wolff
from simulators.continuous import angles
from simulators.contract import OrderDeclaration, require, rules
from simulators.discrete import clock_sums, differences, transitions
from simulators.discrete.local import Local

VERSION = 1
ENCODING = "int8"
LIKELIHOOD = "multinomial"
MOST_STATES = 64
ORDER_PARAMETERS, MEASURED, JUDGED = angles.order_parameters, angles.measured, angles.judged


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice, at least 2; even for an antiferromagnet."""
    states: int
    """q, 2 to 64."""
    coupling: float
    """J; positive is a ferromagnet, negative an antiferromagnet."""
    temperature: float
    """T, in the units of J / k_B.  The infinite lattice orders below 2.269, 1.492, 1.135 J for q = 2, 3, 4; for more
    values a quasi-long-range ordered phase ends near 0.9 J."""

    def __post_init__(self) -> None:
        require(
            rules.at_least("size", self.size, 2),
            rules.two_sublattices(self.size, self.coupling),
            (2 <= self.states <= MOST_STATES, "states", f"must be 2 to {MOST_STATES}, got {self.states}"),
            rules.not_zero("coupling", self.coupling),
            rules.positive("temperature", self.temperature),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


EXAMPLE = Spec(size=6, states=6, coupling=1.0, temperature=0.9)
SYMMETRIES = ("translations", "point-group", "flip")


def STATES(spec: Spec) -> range:
    """q values."""
    return range(spec.states)


def ORDERS(spec: Spec) -> tuple[OrderDeclaration, ...]:
    """One direction per value. An odd number of values has no opposite ones, so that the staggered magnetization then
    has no such directions: its phases aren't told apart."""
    return angles.orders(spec, spec.states, 1 if spec.states % 2 else spec.states)


def expected_tau(spec: Spec, algorithm: str) -> float:
    """Rough autocorrelation time in sweeps: L^2 / 10 of local updates where the lattice is critical or ordered but for
    slow waves, cut off by a correlation length above; clusters hardly slow down."""
    critical = {2: 2.269, 3: 1.492, 4: 1.135}.get(spec.states, 0.9)
    reduced = spec.temperature / abs(spec.coupling) / critical
    length = min(spec.size, 1.0 / max(reduced - 1.0, 1e-3))
    if algorithm in ("swendsen-wang", "wolff"):
        return 1.0 + length**0.3
    return 1.0 + length**2 / (5 if algorithm == "metropolis" else 10)


def bond_energies(spec: Spec) -> NDArray[np.float64]:
    """(q,) energy of a bond by the difference of its values, the same for d and q - d to the last bit."""
    steps = np.arange(spec.states)
    return -spec.coupling * np.cos(2 * math.pi / spec.states * np.minimum(steps, spec.states - steps))


class Metropolis(Local):
    """Proposals of other values.  ``latentphase bench --only simulators`` measures ``nanoseconds``."""

    nanoseconds: ClassVar[float] = 2.6
    """By table, so for 8 values at most; see ``differences.nanoseconds`` for more."""
    algorithm: ClassVar[str] = "metropolis"

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        few = spec.states <= transitions.MOST_STATES[self.algorithm]
        self._table = transitions.table(bond_energies(spec), spec.temperature, self.algorithm) if few else None

    def sweep(self, states_GX: NDArray[np.uint8], stream_GS: NDArray[np.uint64], sweeps: int) -> None:
        spec = self.spec
        if self._table is not None:
            transitions.sweep(states_GX, stream_GS, *self._table, spec.size, sweeps)
        else:
            rule = (bond_energies(spec), spec.temperature, self.algorithm == "heat-bath")
            differences.sweep(states_GX, stream_GS, *rule, spec.size, sweeps)

    @property
    def cost(self) -> float:
        by_table, heat_bath = self._table is not None, self.algorithm == "heat-bath"
        each = self.nanoseconds if by_table else differences.nanoseconds(self.spec.states, heat_bath)
        return each * self.states_GIJK.size


class HeatBath(Metropolis):
    """Values drawn given the neighbours.  ``latentphase bench --only simulators`` measures ``nanoseconds``."""

    nanoseconds: ClassVar[float] = 2.4
    """By table, so for 16 values at most; see ``differences.nanoseconds`` for more."""
    algorithm: ClassVar[str] = "heat-bath"


class SwendsenWang(discrete_clusters.ReflectedClusters):
    """All clusters along one mirror.  ``latentphase bench --only simulators`` measures ``nanoseconds``."""

    nanoseconds: ClassVar[float] = 18.0
    energies = staticmethod(bond_energies)


class Wolff(wolff.TableClusters):
    """Single clusters, each with a mirror of its own, about as many per sweep as visit every site once.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 12.5

    @staticmethod
    def reflections(spec: Spec) -> wolff.Reflections:
        """The q mirrors."""
        return discrete_clusters.mirrors(bond_energies(spec), spec.temperature)


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``.

    Raises:
        ValueError: an algorithm that is not offered, or no chains.
    """

    kinds: ClassVar[Mapping[str, Any]] = {
        "metropolis": Metropolis,
        "heat-bath": HeatBath,
        "swendsen-wang": SwendsenWang,
        "wolff": Wolff,
    }

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, I, J) starts: one value everywhere, or for J < 0 two that are as opposite as can be; hot ones relaxed by
        clusters, because local moves would leave some of them in stripes or twisted around the lattice."""
        chains, size, q = len(hot), spec.size, spec.states
        states_RIJ = rng.integers(0, q, (chains, size, size), dtype=np.int8)
        first_R = rng.integers(0, q, chains)
        # Of odd q two values are equally far away.
        opposite_R = (first_R + q // 2 + (q % 2) * rng.integers(0, 2, chains)) % q
        odd_IJ = (np.indices((size, size)).sum(axis=0) % 2 == 1) & (spec.coupling < 0)
        ordered_RIJ = np.where(odd_IJ, opposite_R[:, None, None], first_R[:, None, None])
        states_RIJ[~hot] = ordered_RIJ[~hot]
        if hot.any():
            updates = SwendsenWang(spec, states_RIJ[hot], rng)
            updates.advance(relaxation(spec))
            states_RIJ[hot] = updates.states()
        return states_RIJ

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """What ``ORDER_PARAMETERS`` and ``MEASURED`` name, beside the energy; (R,) each and per site."""
        spec, sites = self.spec, self.spec.size**2
        counts = clock_sums.Counts(*clock_sums.count(self.updates.states(), spec.states))
        angle_S = 2 * math.pi / spec.states * np.arange(spec.states)
        cosine_S, sine_S = np.cos(angle_S), np.sin(angle_S)
        sign_2 = np.array([1, -1])[:, None]
        uniform_RS, staggered_RS = counts.sites_R2S.sum(axis=1) / sites, (counts.sites_R2S * sign_2).sum(axis=1) / sites
        cosine_R2, sine_R2 = counts.bonds_R2S @ cosine_S / sites, counts.bonds_R2S @ sine_S / sites
        values = {
            "energy": counts.bonds_R2S.sum(axis=1) @ bond_energies(spec) / sites,
            "magnetization_x": uniform_RS @ cosine_S,
            "magnetization_y": uniform_RS @ sine_S,
            "staggered_magnetization_x": staggered_RS @ cosine_S,
            "staggered_magnetization_y": staggered_RS @ sine_S,
            "vorticity": counts.vortices_R / sites,
            "helicity_cosine_x": cosine_R2[:, 0],
            "helicity_sine_x": sine_R2[:, 0],
            "helicity_cosine_y": cosine_R2[:, 1],
            "helicity_sine_y": sine_R2[:, 1],
        }
        for kind in ("magnetization", "staggered_magnetization"):
            values[kind] = np.hypot(values[f"{kind}_x"], values[f"{kind}_y"])
        return {name: values[name] for name in ("energy", *ORDER_PARAMETERS(spec), *MEASURED(spec))}


ALGORITHMS = tuple(Simulation.kinds)


def relaxation(spec: Spec) -> int:
    """Cluster updates of a start.

    A wall between two domains of different values dissolves where a mirror takes one to the other, with probability
    1/q per update: of 10 q updates one start in 10^5 keeps it.  Twists of many values around the lattice dissolve with
    a probability near 1/2 per update, and the first 2 log2(L) make the domains as large as the lattice.
    """
    return math.ceil(2 * math.log2(spec.size)) + max(60, 10 * spec.states)
