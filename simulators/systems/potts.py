"""Potts model on the periodic square lattice, H = -J sum_<ij> delta(s_i, s_j) with s = 0 to q - 1.

Each bond counts once per (site, +x) and (site, +y); P ~ exp(-H / T), k_B = 1.

* ``metropolis``: one of the other values is proposed at every site, see ``simulators.discrete.potts_metropolis``.
* ``heat-bath``: every site is drawn from its distribution given the neighbours, see
  ``simulators.discrete.transitions``, and ``simulators.discrete.differences`` for more than 16 values.
* ``swendsen-wang``, ``wolff``: Fortuin-Kasteleyn clusters, for J > 0; see ``simulators.clusters.discrete``.

Observables, from the shares rho_s of the sites with value s, and those of the even sites (row + column even) and odd
sites, rho_s(even) and rho_s(odd), each of which sums to one:

* ``magnetization`` (q max_s rho_s - 1) / (q - 1), from 0 (all values alike) to 1 (one value everywhere), and its
  components ``magnetization_s`` (q rho_s - 1) / (q - 1);
* on lattices of even size ``staggered_magnetization`` 1/2 sum_s |rho_s(even) - rho_s(odd)|, from 0 to 1 (the
  sublattices have no value in common, as in every ground state for J < 0), and its components
  ``staggered_magnetization_s`` rho_s(even) - rho_s(odd), from -1 to 1.

For q = 2 these are |m|, +-m and the same of the staggered magnetization of the Ising model, whose coupling is J / 2.

Axes: R chains, I rows, J columns, G groups of 64 chains, S values.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation, RowMajor, cut, few_chains
from simulators.clusters import discrete as discrete_clusters
from simulators.clusters.single import SITES_PER_CALL, SingleClusters
from simulators.clusters.swendsen_wang import bond_threshold
from simulators.contract import BondSum, OrderDeclaration, require, rules
from simulators.discrete import differences, potts_metropolis, potts_sums, transitions
from simulators.discrete.local import Local
from simulators.discrete.multispin import thresholds

VERSION = 1
ENCODING = "int8"
LIKELIHOOD = "multinomial"
MOST_STATES = 64


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
    """T, in the units of J / k_B; the infinite lattice orders below J / ln(1 + sqrt q), for q > 4 at a first-order
    transition."""

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


EXAMPLE = Spec(size=6, states=3, coupling=1.0, temperature=1.0)
SYMMETRIES = ("translations", "point-group", "flip")


def STATES(spec: Spec) -> range:
    """q values."""
    return range(spec.states)


def BOND_SUM(spec: Spec) -> BondSum:
    """Bonds of equal values."""
    return BondSum(float(spec.coupling), equal_bonds)


def equal_bonds(one_hot_SQHW: NDArray[Any]) -> NDArray[np.float64]:
    """(S,) mean over sites of the number of equal neighbours towards +x and +y: -energy per site over J.

    Axes: S samples, Q states, H rows, W columns.
    """
    state = np.asarray(one_hot_SQHW, dtype=float)
    pairs = state * (np.roll(state, -1, -1) + np.roll(state, -1, -2))
    return np.asarray(pairs.sum(axis=1).mean(axis=(1, 2)))


def ORDER_PARAMETERS(spec: Spec) -> tuple[str, ...]:
    """The magnetizations and their components; the staggered ones where the lattice has sublattices."""
    kinds = ("magnetization",) if spec.size % 2 else ("magnetization", "staggered_magnetization")
    return tuple(name for kind in kinds for name in (kind, *(f"{kind}_{s}" for s in range(spec.states))))


def ORDERS(spec: Spec) -> tuple[OrderDeclaration, ...]:
    """The shares of the values; on sublattices the order depends on q, and for q = 2 it is that of the Ising model."""
    q = spec.states
    uniform = OrderDeclaration("magnetization", tuple(f"magnetization_{s}" for s in range(q)), "states", q)
    if spec.size % 2:
        return (uniform,)
    name = "staggered_magnetization"
    if q == 2:
        return uniform, OrderDeclaration(name, (f"{name}_0",))
    return uniform, OrderDeclaration(name, tuple(f"{name}_{s}" for s in range(q)), "sublattices", 1)


def JUDGED(spec: Spec) -> tuple[str, ...]:
    """What a permutation of the values leaves as it is."""
    staggered = () if spec.size % 2 else ("staggered_magnetization",)
    return ("energy", "magnetization", *staggered)


def refuse(spec: Spec, algorithm: str) -> str | None:
    """Why ``algorithm`` is not valid at ``spec``; None if it is."""
    if spec.coupling < 0 and algorithm in ("swendsen-wang", "wolff"):
        return f"Fortuin-Kasteleyn clusters need J > 0, got {spec.coupling}; take metropolis or heat-bath"
    return None


def expected_tau(spec: Spec, algorithm: str) -> float:
    """Rough autocorrelation time in sweeps.

    Metropolis: about (q - 1) times that of Ising spins, L^2.2 / 40 at the transition, cut off by a correlation length
    that falls with the distance from it; heat bath is about twice as fast.  Clusters slow down with q.
    """
    critical = abs(spec.coupling) / math.log(1 + math.sqrt(spec.states))
    length = min(spec.size, 1.0 / max(abs(spec.temperature - critical) / critical, 1e-3))
    if algorithm in ("swendsen-wang", "wolff"):
        return 0.5 + length ** min(2.0, 0.35 * spec.states - 0.5)
    return 0.5 + (spec.states - 1 if algorithm == "metropolis" else 1) * length**2.2 / 40


def bond_energies(spec: Spec) -> NDArray[np.float64]:
    """(q,) energy of a bond by the difference of its values."""
    return np.where(np.arange(spec.states) == 0, -spec.coupling, 0.0)


class Metropolis(Local):
    """Proposals of other values.  ``latentphase bench --only simulators`` measures ``nanoseconds``."""

    nanoseconds: ClassVar[float] = 1.0

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        reduced = Decimal(abs(spec.coupling)) / Decimal(spec.temperature)
        self._bits_P = thresholds([c * reduced for c in (1, 2, 3, 4)]).bits_P

    def sweep(self, states_GX: NDArray[np.uint8], stream_GS: NDArray[np.uint64], sweeps: int) -> None:
        spec = self.spec
        sign = int(math.copysign(1, spec.coupling))
        potts_metropolis.sweep(states_GX, stream_GS, self._bits_P, spec.states, sign, spec.size, sweeps)


class HeatBath(Local):
    """Values drawn given the neighbours.  ``latentphase bench --only simulators`` measures ``nanoseconds``."""

    nanoseconds: ClassVar[float] = 2.5
    """By table, so for 16 values at most; see ``differences.nanoseconds`` for more."""

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        few = spec.states <= transitions.MOST_STATES["heat-bath"]
        self._table = transitions.table(bond_energies(spec), spec.temperature, "heat-bath") if few else None

    def sweep(self, states_GX: NDArray[np.uint8], stream_GS: NDArray[np.uint64], sweeps: int) -> None:
        spec = self.spec
        if self._table is not None:
            transitions.sweep(states_GX, stream_GS, *self._table, spec.size, sweeps)
        else:
            rule = (bond_energies(spec), spec.temperature, True)
            differences.sweep(states_GX, stream_GS, *rule, spec.size, sweeps)

    @property
    def cost(self) -> float:
        by_table = self._table is not None
        each = self.nanoseconds if by_table else differences.nanoseconds(self.spec.states, heat_bath=True)
        return each * self.states_GIJK.size


class SwendsenWang(RowMajor):
    """All clusters of every chain; as acceptance, sites changed per site and update.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 15.0

    def advance(self, sweeps: int) -> None:
        """Update all clusters of every chain, ``sweeps`` times."""
        spec = self.spec
        bond_SS = np.zeros((spec.states, spec.states), dtype=np.uint64)
        np.fill_diagonal(bond_SS, bond_threshold(spec.coupling / spec.temperature))
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, SITES_PER_CALL):
            states_RN = states_RIJ.reshape(len(states_RIJ), -1)
            for part in cut(sweeps, SITES_PER_CALL // states_RIJ.size):
                self.counts_2[0] += discrete_clusters.potts_swendsen_wang(states_RN, state_RV, bond_SS, spec.size, part)
        self.counts_2[1] += sweeps * self.states_RIJ.size


class Wolff(SingleClusters):
    """Single clusters, about as many per sweep as visit every site once.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 26.0

    def prepare(self, spec: Spec) -> None:
        self._rule = (bond_threshold(spec.coupling / spec.temperature), spec.states, spec.size)

    def grow(self, states_RIJ: NDArray[Any], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        """Change ``clusters`` clusters of every chain, in place; returns their sites, which are those changed."""
        states_RN = states_RIJ.reshape(len(states_RIJ), -1)
        changed = int(discrete_clusters.potts_wolff(states_RN, state_RV, *self._rule, clusters))
        return changed, changed


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``.

    Raises:
        ValueError: an algorithm that is not offered or not valid, or no chains.
    """

    kinds: ClassVar[Mapping[str, Any]] = {
        "metropolis": Metropolis,
        "heat-bath": HeatBath,
        "swendsen-wang": SwendsenWang,
        "wolff": Wolff,
    }

    def __init__(self, spec: Spec, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        reason = refuse(spec, algorithm)
        if reason is not None:
            raise ValueError(f"algorithm {algorithm}: {reason}")
        super().__init__(spec, hot, algorithm, rng)

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, I, J) starts: one value everywhere, or for J < 0 one on each sublattice; hot ones relaxed by clusters,
        because local moves would leave some of them in stripes."""
        chains, size = len(hot), spec.size
        states_RIJ = rng.integers(0, spec.states, (chains, size, size), dtype=np.int8)
        first_R = rng.integers(0, spec.states, chains)
        other_R = (first_R + rng.integers(1, spec.states, chains)) % spec.states
        odd_IJ = (np.indices((size, size)).sum(axis=0) % 2 == 1) & (spec.coupling < 0)
        ordered_RIJ = np.where(odd_IJ, other_R[:, None, None], first_R[:, None, None])
        states_RIJ[~hot] = ordered_RIJ[~hot]
        if hot.any():
            states_RIJ[hot] = relax(spec, states_RIJ[hot], rng)
        return states_RIJ

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """Energy and ``ORDER_PARAMETERS`` of every chain, (R,), per site."""
        q, sites = self.spec.states, self.spec.size**2
        sites_R2S, equal_R = potts_sums.count(self.updates.states(), q)
        share_RS = sites_R2S.sum(axis=1) / sites
        values = {"energy": -self.spec.coupling * equal_R / sites}
        values["magnetization"] = (q * share_RS.max(axis=1) - 1) / (q - 1)
        values |= {f"magnetization_{s}": (q * share_RS[:, s] - 1) / (q - 1) for s in range(q)}
        if self.spec.size % 2 == 0:
            difference_RS = (sites_R2S[:, 0] - sites_R2S[:, 1]) / (sites // 2)
            values["staggered_magnetization"] = np.abs(difference_RS).sum(axis=1) / 2
            values |= {f"staggered_magnetization_{s}": difference_RS[:, s] for s in range(q)}
        return values


ALGORITHMS = tuple(Simulation.kinds)


def relax(spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int8]:
    """The states after cluster updates: Swendsen-Wang, or for J < 0 exchanges of pairs of values.

    Two neighbouring domains become one with probability 1/q per update.  A domain has several neighbours, so their
    number falls by a factor of about 1 + 3 / q, and q log2(L) / 2 updates leave a stripe or so; of 10 q more one start
    in 10^5 keeps one.  Of the exchanges half may leave a value as it is, and these take twice as many.
    """
    updates = math.ceil(max(2, spec.states / 2) * math.log2(spec.size)) + 10 * spec.states
    if spec.coupling > 0:
        clusters = SwendsenWang(spec, states_RIJ, rng)
        clusters.advance(updates)
        return clusters.states()
    exchanges = Exchanges(spec, states_RIJ, rng)
    exchanges.advance(2 * updates)
    return exchanges.states()


class Exchanges(discrete_clusters.ReflectedClusters):
    """Clusters for the starts of antiferromagnets."""

    nanoseconds: ClassVar[float] = SwendsenWang.nanoseconds
    energies = staticmethod(bond_energies)
